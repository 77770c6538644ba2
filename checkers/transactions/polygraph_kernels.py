"""Compiled parts of the polygraph: replaying transactions one after the other, and reachability as bit sets.

`replay` lets every node happen as soon as it may, in an order that a hint prefers, and decides as it goes which version
of each key is next: a write waits until all readers of the present version have begun; where transactions have a start
and a commit (`split`), one that has started holds the keys that it writes until it commits. What is left in the end
waits for one another.

Cost: replay O(e log n) mostly; reachability O(e × columns / 64).
"""

from __future__ import annotations

import numpy as np

from harness.compiled import kernel, kernel_part


@kernel
def topological(first, order, target, nodes):
    """Kahn's algorithm; shorter than `nodes` if there is a cycle."""
    missing = np.zeros(nodes, np.int32)
    for i in range(len(order)):
        missing[target[order[i]]] += 1
    result = np.empty(nodes, np.int32)
    count = 0
    for node in range(nodes):
        if missing[node] == 0:
            result[count] = node
            count += 1
    at = 0
    while at < count:
        node = result[at]
        at += 1
        for i in range(first[node], first[node + 1]):
            other = target[order[i]]
            missing[other] -= 1
            if missing[other] == 0:
                result[count] = other
                count += 1
    return result[:count]


COMMIT, READ_ONLY, AT_ONCE, EARLY = 0, 1, 2, 3
"""What goes first: commits, then transactions that write nothing, then those that can commit at once."""
_CLASS = np.int64(1) << 40


@kernel
def replay(
    first,
    order,
    target,
    txns,
    split,
    priority,
    key_start,
    writer,
    key_of_version,
    reader_start,
    reader,
    write_first,
    write_version,
    read_first,
    read_version,
    done,
    current,
    holder,
    rank,
    missing,
    pending,
    installed,
):
    """Goes on with a replay, as far as it gets.

    done: for each node its turn, -1 if it has not come. current, holder: for each key the version that stands there and
    the transaction that holds it, -1 for none. rank: for each version its place in its key. missing: for each node how
    many known edges it waits for. pending: for each key how many of the readers of its version have not begun.
    installed: for each key how many versions it has had.
    first, order, target: the known edges by source. priority: int64[txns], lower goes first. write_first,
    write_version, read_first, read_version: the versions that each transaction wrote and read.
    """
    nodes = len(first) - 1
    keys = len(key_start) - 1
    head = np.full(keys, -1, np.int64)
    tail = np.full(keys, -1, np.int64)
    behind = np.full(len(writer), -1, np.int64)
    parked = np.zeros(len(writer), np.bool_)
    woke_at = np.full(nodes, -1, np.int64)
    # each node is in the heap at most twice: once as EARLY, once otherwise
    queued = np.zeros((2, nodes), np.bool_)
    heap_key = np.empty(2 * nodes + 1, np.int64)
    heap_node = np.empty(2 * nodes + 1, np.int64)
    size = np.int64(0)
    ready = np.empty(2 * nodes + len(writer) + len(reader) + 1, np.int64)
    ready_count = np.int64(0)
    woken = np.empty(len(writer) + len(reader) + 1, np.int64)
    turn = np.int64(0)
    for node in range(len(done)):
        turn = max(turn, done[node] + 1)
    swept = False
    early = np.int64(-1)
    while True:
        if size == 0:
            if swept:
                break
            swept = True
            for node in range(nodes):
                if done[node] < 0 and missing[node] == 0:
                    ready[ready_count] = node
                    ready_count += 1
        else:
            rating, node = heap_key[0] // _CLASS, heap_node[0]
            queued[rating // EARLY, node] = False
            size -= 1
            last_key, last_node = heap_key[size], heap_node[size]
            at = np.int64(0)
            while 2 * at + 1 < size:
                below = 2 * at + 1
                if below + 1 < size and heap_key[below + 1] < heap_key[below]:
                    below += 1
                if heap_key[below] >= last_key:
                    break
                heap_key[at] = heap_key[below]
                heap_node[at] = heap_node[below]
                at = below
            heap_key[at] = last_key
            heap_node[at] = last_node
            if done[node] >= 0 or missing[node] > 0:
                continue
            is_start = node < txns
            is_commit = (txns <= node < 2 * txns) if split else is_start
            txn = node - txns if is_commit and split else node
            blocked = False
            wait = False
            woken_count = 0
            if is_start or is_commit:
                for i in range(write_first[txn], write_first[txn + 1]):
                    version = write_version[i]
                    key = key_of_version[version]
                    unread = pending[key]
                    if unread > 0 and is_start:
                        for j in range(read_first[txn], read_first[txn + 1]):
                            if read_version[j] == current[key]:
                                unread -= 1
                                break
                    if split and is_start:
                        if holder[key] >= 0:
                            blocked = True
                        elif unread > 0 and rating < EARLY:
                            wait = True
                        else:
                            continue
                    elif unread > 0:
                        blocked = True
                    else:
                        continue
                    if not parked[version]:
                        parked[version] = True
                        behind[version] = -1
                        if head[key] < 0:
                            head[key] = version
                        else:
                            behind[tail[key]] = version
                        tail[key] = version
                writes = write_first[txn] < write_first[txn + 1]
                if split and is_start and writes and rating < EARLY and missing[node + txns] > 1:
                    wait = True
            if blocked or wait:
                if woke_at[node] < turn:
                    # once until something happens: two that wait for each other would wake each other for ever
                    woke_at[node] = turn
                    for i in range(write_first[txn], write_first[txn + 1]):
                        version = write_version[i]
                        key = key_of_version[version]
                        if not parked[version] and head[key] >= 0:
                            woken[woken_count] = key
                            woken_count += 1
                if not blocked:
                    early = node
            else:
                done[node] = turn
                turn += 1
                swept = False
                if is_start:
                    for i in range(read_first[txn], read_first[txn + 1]):
                        version = read_version[i]
                        key = key_of_version[version]
                        if current[key] != version or pending[key] == 0:
                            continue
                        pending[key] -= 1
                        if pending[key] == 0:
                            woken[woken_count] = key
                            woken_count += 1
                        elif pending[key] == 1:
                            for j in range(reader_start[version], reader_start[version + 1]):
                                if done[reader[j]] < 0:
                                    ready[ready_count] = reader[j]
                                    ready_count += 1
                                    break
                if is_start and split:
                    for i in range(write_first[txn], write_first[txn + 1]):
                        holder[key_of_version[write_version[i]]] = txn
                if is_commit:
                    for i in range(write_first[txn], write_first[txn + 1]):
                        version = write_version[i]
                        key = key_of_version[version]
                        holder[key] = -1
                        current[key] = version
                        rank[version] = installed[key]
                        installed[key] += 1
                        pending[key] = 0
                        for j in range(reader_start[version], reader_start[version + 1]):
                            if done[reader[j]] < 0:
                                pending[key] += 1
                        woken[woken_count] = key
                        woken_count += 1
                for i in range(first[node], first[node + 1]):
                    other = np.int64(target[order[i]])
                    missing[other] -= 1
                    if split and missing[other] == 1 and txns <= other < 2 * txns:
                        other -= txns
                    if missing[other] == 0 and done[other] < 0:
                        ready[ready_count] = other
                        ready_count += 1
            for i in range(woken_count):
                version = head[woken[i]]
                if version >= 0:
                    head[woken[i]] = behind[version]
                    parked[version] = False
                    other = np.int64(writer[version])
                    ready[ready_count] = other + txns if split and done[other] >= 0 else other
                    ready_count += 1
        for i in range(ready_count + 1):
            late = early if i == ready_count else ready[i]
            if late < 0 or missing[late] > 0:
                continue
            owner = late % txns if late < 2 * txns and (split or late < txns) else np.int64(-1)
            rating = COMMIT
            if i == ready_count:
                rating = EARLY
            elif late < txns:
                rating = READ_ONLY if write_first[late] == write_first[late + 1] else AT_ONCE
            if queued[rating // EARLY, late]:
                continue
            queued[rating // EARLY, late] = True
            rated = rating * _CLASS + (priority[owner] if owner >= 0 else 0)
            at = size
            while at > 0:
                above = (at - 1) >> 1
                if heap_key[above] <= rated:
                    break
                heap_key[at] = heap_key[above]
                heap_node[at] = heap_node[above]
                at = above
            heap_key[at] = rated
            heap_node[at] = late
            size += 1
        ready_count = np.int64(0)
        early = np.int64(-1)


@kernel
def waits(done, current, holder, txns, split, key_start, writer, reader_start, reader):
    """What the nodes that never came wait for beside known edges: int64[3, e], (place, first, second). Each is an edge
    that holds because version `first` is before `second`: rw from the reader at a place of `reader`; ww if it is -1.
    """
    shift = txns if split else 0
    capacity = 1024
    columns = np.empty((3, capacity), np.int64)
    count = 0
    for key in range(len(key_start) - 1):
        version = current[key]
        held = current[key] * 0 - 1
        for own in range(key_start[key], key_start[key + 1]):
            if writer[own] == holder[key]:
                held = own
        for other in range(key_start[key], key_start[key + 1]):
            late = writer[other]
            if done[late + shift] >= 0:
                continue
            sources = reader_start[version + 1] - reader_start[version] if version >= 0 else 0
            for j in range(-1, sources):
                if j < 0:
                    if held < 0 or held == other:
                        continue
                    place, before = np.int64(-1), held
                else:
                    place, before = np.int64(reader_start[version] + j), version
                    if done[reader[place]] >= 0 or reader[place] == late:
                        continue
                if count == capacity:
                    capacity *= 2
                    grown = np.empty((3, capacity), np.int64)
                    for i in range(count):
                        grown[0, i], grown[1, i], grown[2, i] = columns[0, i], columns[1, i], columns[2, i]
                    columns = grown
                columns[0, count] = place
                columns[1, count] = before
                columns[2, count] = other
                count += 1
    return columns[:, :count].copy()


@kernel
def reach(first, order, target, topological_order, column, words):
    """uint64[nodes, words]: for each node which columns it leads to. column: int64[nodes], -1 where a node is none."""
    bits = np.zeros((len(topological_order), words), np.uint64)
    for i in range(len(topological_order) - 1, -1, -1):
        node = topological_order[i]
        row = bits[node]
        for j in range(first[node], first[node + 1]):
            other = target[order[j]]
            below = bits[other]
            for word in range(words):
                row[word] |= below[word]
            at = column[other]
            if at >= 0:
                row[at >> 6] |= np.uint64(1) << np.uint64(at & 63)
    return bits


@kernel_part
def _leads(bits, node, at):
    return at >= 0 and (bits[node, at >> 6] >> np.uint64(at & 63)) & np.uint64(1) != 0


@kernel
def impossible_orders(
    bits, column, txns, split, key_start, square, writer, reader_start, reader, reads_count, no, stamp, again
):
    """Marks in `no` (uint8, a square for each key from square[key] on) which version can't be before which.

    reads_count: whether rw edges matter. again: look at orders that are known to hold, too (see `newly_forced`).
    """
    shift = txns if split else 0
    for key in range(len(key_start) - 1):
        low, width = key_start[key], key_start[key + 1] - key_start[key]
        for i in range(width):
            version = low + i
            own = column[writer[version] + shift]
            for j in range(width):
                at = square[key] + i * width + j
                if i == j or no[at] != 0 or (stamp[at] != 0 and not again):
                    continue
                other = np.int64(writer[low + j])
                closed = _leads(bits, other, own)
                if not closed and reads_count:
                    for place in range(reader_start[version], reader_start[version + 1]):
                        if reader[place] != other and _leads(bits, other + shift, column[reader[place]]):
                            closed = True
                            break
                if closed:
                    no[at] = 1


@kernel
def newly_forced(no, stamp, now, key_start, square, by_turn):
    """Orders that follow, as their reverse is impossible: (first, second) of those whose edges say something new, and a
    pair of versions that can't come in either order, (-1, -1) if there is none. Marks them in `stamp` with `now`.

    stamp: uint16, as `no`: the round in which version i was found to be before j, 0 for none. by_turn: the versions of
    each key in a topological order of their commits.
    """
    capacity = 1024
    firsts = np.empty(capacity, np.int64)
    seconds = np.empty(capacity, np.int64)
    count = 0
    fresh = 0
    for key in range(len(key_start) - 1):
        low, width = key_start[key], key_start[key + 1] - key_start[key]
        base = square[key]
        changed = False
        for i in range(width):
            for j in range(width):
                if i == j or no[base + j * width + i] == 0:
                    continue
                if stamp[base + i * width + j] != 0 and no[base + i * width + j] == 0:
                    continue
                if no[base + i * width + j] != 0:
                    return firsts[:0].copy(), seconds[:0].copy(), low + i, low + j, fresh
                stamp[base + i * width + j] = now
                fresh += 1
                changed = True
        if not changed:
            continue
        kept = np.empty(width, np.int64)
        for a in range(width):
            i = by_turn[low + a] - low
            kept_count = 0
            for b in range(width):
                j = by_turn[low + b] - low
                if stamp[base + i * width + j] == 0:
                    continue
                needed = True
                if b > a:
                    for c in range(kept_count):
                        if stamp[base + kept[c] * width + j] != 0:
                            needed = False
                            break
                    if needed:
                        kept[kept_count] = j
                        kept_count += 1
                if needed and stamp[base + i * width + j] == now:
                    if count == capacity:
                        capacity *= 2
                        grown = np.empty((2, capacity), np.int64)
                        for pair in range(count):
                            grown[0, pair], grown[1, pair] = firsts[pair], seconds[pair]
                        firsts, seconds = grown[0], grown[1]
                    firsts[count] = low + i
                    seconds[count] = low + j
                    count += 1
    return firsts[:count].copy(), seconds[:count].copy(), -1, -1, fresh

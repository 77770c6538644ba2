"""The search for cycles over row-compressed columns (CSR), compiled: components by kinds of edges, and shortest cycles.

A CSR here is first: int64[nodes + 1], target: int32[e], kind: int8[e], the edges of each node in the order of their
kinds. `allowed` is a set of kinds as bits. Nodes below `solid` are transactions (or their halves), the others are
virtual and cost no length; neither does an edge of kind SELF, from a transaction's start to its commit.

Sources: R. Tarjan (1972) for the components, without recursion; breadth-first search with edges of length 0 and 1.
Cost: O(nodes + edges) each; the path searches have a budget of edges.
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, RW, WR, WW
from harness.compiled import kernel, kernel_part
from harness.history import OK

SELF = 6
DONE = 2**31 - 1
NO_LENGTH = 2**62
SHORT_ROW, LONG_ROW = 24, 64
"""Up to how many edges of a node are sorted one by one, and are gone through to find one that leads back."""


@kernel
def adjacency(source, target, nodes):
    """(first, targets, edges): the graph as rows, without kinds. edges: int32[e], which edge stands at each place."""
    first = np.zeros(nodes + 1, np.int64)
    for edge in range(len(source)):
        first[source[edge] + 1] += 1
    for node in range(nodes):
        first[node + 1] += first[node]
    fill = first[:-1].copy()
    targets = np.empty(len(source), np.int32)
    edges = np.empty(len(source), np.int32)
    for edge in range(len(source)):
        at = fill[source[edge]]
        targets[at], edges[at] = target[edge], edge
        fill[source[edge]] += 1
    return first, targets, edges


@kernel_part
def _highest(allowed):
    """The last of the allowed kinds, without SELF: behind it, no edge of a node is of use."""
    highest = SELF
    while highest > 0 and not (allowed & ~(1 << SELF)) >> highest & 1:
        highest -= 1
    return highest


@kernel_part
def _refine(first, target, kind, allowed, within, ranked, room):
    """See `refine`. The last nodes are roots first: most edges lead onward in time, and so to what is done already."""
    nodes = len(within)
    label = np.full(nodes, -1, np.int32)
    rank = np.full(nodes if ranked else 0, -1, np.int32)
    # the turn of each node: 0 before it comes, DONE once its component is known
    number, stack = room[0], room[1]
    number[:nodes] = 0
    # for each step of the way from the root: the node, its lowest turn so far, and where it goes on
    way, low, onward = room[2], room[3], room[4]
    highest = _highest(allowed)
    stacked = 0
    counter = 0
    found = 0
    ranks = 0
    for root in range(nodes - 1, -1, -1):
        own = within[root]
        if number[root] != 0 or own < 0:
            continue
        depth = 0
        node = root
        counter += 1
        number[node] = counter
        lowest = counter
        stack[stacked] = node
        stacked += 1
        edge, end = first[node], first[node + 1]
        while True:
            while edge < end:
                how = kind[edge]
                other = target[edge]
                edge += 1
                if not (allowed >> how) & 1:
                    if highest < how < SELF:
                        edge = end
                    continue
                turn = number[other]
                if turn != 0:
                    # what is neither done nor new is of this component
                    if turn < lowest:
                        lowest = int(turn)
                elif within[other] == own:
                    way[depth], low[depth], onward[depth] = node, lowest, edge
                    depth += 1
                    node = int(other)
                    counter += 1
                    number[node] = counter
                    lowest = counter
                    stack[stacked] = node
                    stacked += 1
                    edge, end = first[node], first[node + 1]
            if lowest == number[node]:
                alone = stack[stacked - 1] == node
                while True:
                    stacked -= 1
                    member = stack[stacked]
                    if ranked:
                        rank[member] = ranks
                    number[member] = DONE
                    if not alone:
                        label[member] = found
                    if member == node:
                        break
                ranks += 1
                if not alone:
                    found += 1
            if depth == 0:
                break
            depth -= 1
            node, edge = int(way[depth]), np.int64(onward[depth])
            end = first[node + 1]
            lowest = min(lowest, int(low[depth]))
    return label, found, rank


def room_to_refine(nodes: int) -> np.ndarray:
    """What `refine` and `refine_around` work in; fresh memory costs as much as the search itself."""
    return np.empty((5, nodes), np.int32)


@kernel
def refine(first, target, kind, allowed, within, ranked, room):
    """Components along allowed edges, inside of those of `within` (-1: not to be looked at).

    Returns (label, count, rank). label: int32[nodes], -1 for a node on no cycle. rank: int32[nodes] if `ranked`:
    allowed edges inside of `within` never lead to a higher one. room: see `room_to_refine`; it may be larger.
    """
    return _refine(first, target, kind, allowed, within, ranked, room)


@kernel
def edges_around(first, target, kind, allowed, within, inner):
    """(source, target, kind): the allowed edges inside of components of `within` that no known group holds.

    inner: int32[nodes], the group that each node is in, -1 for none.
    """
    highest = _highest(allowed)
    out_source = np.empty(len(target), np.int32)
    out_target = np.empty(len(target), np.int32)
    out_kind = np.empty(len(target), np.int8)
    edges = 0
    for node in range(len(within)):
        if within[node] < 0:
            continue
        group = inner[node]
        for edge in range(first[node], first[node + 1]):
            how = kind[edge]
            if not (allowed >> how) & 1:
                if highest < how < SELF:
                    break
                continue
            other = target[edge]
            if (group >= 0 and inner[other] == group) or within[other] != within[node]:
                continue
            out_source[edges], out_target[edges], out_kind[edges] = node, other, how
            edges += 1
    return out_source[:edges], out_target[:edges], out_kind[:edges]


@kernel
def refine_around(source, target, kind, allowed, within, inner, groups, room):
    """(label, count) of `refine`, where some nodes are known to be in one component.

    source, target, kind: see `edges_around`. inner: int32[nodes], which of `groups` known groups a node is in, -1 for
    none; each holds several nodes, of one component. In a giant knot few edges lead from group to group.
    """
    nodes = len(within)
    small = np.full(nodes, -1, np.int32)
    count = groups
    for node in range(nodes):
        if within[node] >= 0:
            if inner[node] >= 0:
                small[node] = inner[node]
            else:
                small[node] = count
                count += 1
    row = np.zeros(count + 1, np.int64)
    kept = np.empty(len(source), np.int32)
    edges = 0
    for edge in range(len(source)):
        node, other = source[edge], target[edge]
        own = small[node]
        if (allowed >> kind[edge]) & 1 and own >= 0 and within[node] == within[other] and own != small[other]:
            row[own + 1] += 1
            kept[edges] = edge
            edges += 1
    for own in range(count):
        row[own + 1] += row[own]
    fill = row[:-1].copy()
    to = np.empty(edges, np.int32)
    for edge in kept[:edges]:
        own = small[source[edge]]
        to[fill[own]] = small[target[edge]]
        fill[own] += 1
    label, found, _ = _refine(row, to, np.zeros(edges, np.int8), 1, np.zeros(count, np.int32), False, room)
    for group in range(groups):
        if label[group] < 0:
            label[group] = found
            found += 1
    result = np.full(nodes, -1, np.int32)
    for node in range(nodes):
        if small[node] >= 0:
            result[node] = label[small[node]]
    return result, found


@kernel
def inner_edges(first, target, edge, kind, label, new_number, nodes):
    """The edges inside of components as a CSR over the nodes that have a new number, without parallel dependencies.

    first, target, edge: see `adjacency`. kind: int8[e], by number of edge. nodes: how many have a new number.
    Returns (first, source, target, kind, edge, read). Of several dependencies (ww, wr, rw) between the same two nodes
    only the weakest is kept; read: the wr edge that was left out for a ww edge, else -1.
    """
    row = np.zeros(nodes + 1, np.int64)
    out_source = np.empty(len(target), np.int32)
    out_target = np.empty(len(target), np.int32)
    out_kind = np.empty(len(target), np.int8)
    out_edge = np.empty(len(target), np.int32)
    out_read = np.empty(len(target), np.int32)
    kept_at = np.full(nodes, -1, np.int64)
    by_kind = np.zeros(8, np.int64)
    kept = 0
    for old in range(len(label)):
        own = label[old]
        if own < 0:
            continue
        # a row is taken from place `begin` on, in the order of kinds; what is kept never overtakes what is read
        begin = end = kept
        for place in range(first[old], first[old + 1]):
            other = target[place]
            if label[other] != own:
                continue
            how = kind[edge[place]]
            at = end
            if end - begin < SHORT_ROW:
                while at > begin and out_kind[at - 1] > how:
                    out_target[at], out_kind[at], out_edge[at] = out_target[at - 1], out_kind[at - 1], out_edge[at - 1]
                    at -= 1
            out_target[at], out_kind[at], out_edge[at] = new_number[other], how, edge[place]
            end += 1
        if end - begin > SHORT_ROW:
            by_kind[:] = 0
            for i in range(begin, end):
                by_kind[out_kind[i] + 1] += 1
            for k in range(7):
                by_kind[k + 1] += by_kind[k]
            unordered = out_target[begin:end].copy(), out_kind[begin:end].copy(), out_edge[begin:end].copy()
            for i in range(end - begin):
                how = unordered[1][i]
                at = begin + by_kind[how]
                out_target[at], out_kind[at], out_edge[at] = unordered[0][i], how, unordered[2][i]
                by_kind[how] += 1
        node = new_number[old]
        low = kept
        for i in range(begin, end):
            other, how = out_target[i], out_kind[i]
            if how <= PASS:
                weaker = kept_at[other]
                if weaker >= low:
                    if how == WR and out_kind[weaker] == WW:
                        out_read[weaker] = out_edge[i]
                    continue
                kept_at[other] = kept
            out_source[kept], out_target[kept], out_kind[kept], out_edge[kept] = node, other, how, out_edge[i]
            out_read[kept] = -1
            kept += 1
        row[node + 1] = kept
    return row, out_source[:kept], out_target[:kept], out_kind[:kept], out_edge[:kept], out_read[:kept]


@kernel
def split_graph(first, target, kind, txns, beyond):
    """Starts (0..t-1), commits (t..2t-1) and virtual nodes (from 2t on): (first, source, target, kind, edge, rw).

    rw edges leave starts, all others leave commits. rw edges lead to commits, and so do edges of the kinds in `beyond`
    (as bits); all others lead to starts. `edge`: the place of each edge in the graph given, -1 for a transaction's way
    from its start to its commit. rw: int64[r], the places of the rw edges.
    """
    nodes = len(first) - 1
    against = 0
    for edge in range(first[txns]):
        if kind[edge] == RW:
            against += 1
    row = np.empty(nodes + txns + 1, np.int64)
    count = txns + len(target)
    out_source = np.empty(count, np.int32)
    out_target = np.empty(count, np.int32)
    out_kind = np.empty(count, np.int8)
    out_edge = np.empty(count, np.int32)
    rw = np.empty(against, np.int64)
    start, commit = 0, txns + against
    for node in range(nodes):
        if node < txns:
            row[node] = start
            out_source[start], out_target[start], out_kind[start], out_edge[start] = node, node + txns, SELF, -1
            start += 1
        row[node + txns] = commit
        for edge in range(first[node], first[node + 1]):
            how = kind[edge]
            to_commit = target[edge] >= txns or how in (RW, PASS) or (beyond >> how) & 1
            if node < txns and how == RW:
                at, begin = start, node
                rw[start - node - 1] = start
                start += 1
            else:
                at, begin = commit, node + txns
                commit += 1
            out_source[at] = begin
            out_target[at] = target[edge] + txns if to_commit else target[edge]
            out_kind[at] = how
            out_edge[at] = edge
    row[nodes + txns] = commit
    return row, out_source, out_target, out_kind, out_edge, rw


@kernel
def candidates(among, source, target, label, count, skip):
    """Those of some edges that lie inside of components that are not skipped: (edges, bounds, component of each)."""
    size = np.zeros(count + 1, np.int64)
    inside = np.empty(len(among), np.int64)
    found = 0
    for edge in among:
        own = label[source[edge]]
        if own >= 0 and own == label[target[edge]] and not skip[own]:
            size[own + 1] += 1
            inside[found] = edge
            found += 1
    groups = 0
    for own in range(count):
        if size[own + 1]:
            groups += 1
        size[own + 1] += size[own]
    edges = np.empty(size[-1], np.int64)
    bounds = np.zeros(groups + 1, np.int64)
    component = np.empty(groups, np.int64)
    at = 0
    for own in range(count):
        if size[own + 1] > size[own]:
            bounds[at + 1] = size[own + 1]
            component[at] = own
            at += 1
    for edge in inside[:found]:
        own = label[source[edge]]
        edges[size[own]] = edge
        size[own] += 1
    return edges, bounds, component


@kernel
def with_edge(among, source, target, label, count):
    """bool[count]: the components that have one of some edges inside."""
    result = np.zeros(count, np.bool_)
    for edge in among:
        own = label[source[edge]]
        if own >= 0 and own == label[target[edge]]:
            result[own] = True
    return result


@kernel
def edges_of_kinds(kind):
    """The edges of the kinds ww, wr and rw: three int64 arrays, in order."""
    size = np.zeros(SELF + 1, np.int64)
    for edge in range(len(kind)):
        size[kind[edge]] += 1
    writes, reads, against = np.empty(size[WW], np.int64), np.empty(size[WR], np.int64), np.empty(size[RW], np.int64)
    size[:] = 0
    for edge in range(len(kind)):
        how = kind[edge]
        if how == WW:
            writes[size[WW]] = edge
        elif how == WR:
            reads[size[WR]] = edge
        elif how == RW:
            against[size[RW]] = edge
        size[how] += 1
    return writes, reads, against


@kernel
def rw_in_a_row(first, source, target, kind, against, txns, label, count, skip, tried_max):
    """Some pairs of rw edges of each component of which one leads to where the other begins: (there, onward).

    against: all rw edges.
    """
    tried = np.zeros(count, np.int64)
    there = np.empty(count * tried_max, np.int64)
    onward = np.empty(count * tried_max, np.int64)
    found = 0
    for edge in against:
        own = label[source[edge]]
        if own < 0 or skip[own] or tried[own] >= tried_max or source[edge] >= txns:
            continue
        middle = target[edge]
        if middle >= txns or label[middle] != own:
            continue
        for other in range(first[middle], first[middle + 1]):
            if kind[other] != RW or target[other] >= txns or label[target[other]] != own:
                continue
            tried[own] += 1
            there[found] = edge
            onward[found] = other
            found += 1
            if tried[own] >= tried_max:
                break
    return there[:found].copy(), onward[:found].copy()


@kernel
def find_mutual(first, source, target, kind, txns, names, status_ok, process, began, completed, timed):
    """All cycles of two transactions: (one edge, the edge back, or BY_SESSION, BY_TIME), each once."""
    # long rows are not gone through for each edge that leads to their node: those edges are listed, with their reverse
    row = np.zeros(txns + 1, np.int64)
    listed = 0
    for node in range(txns):
        if first[node + 1] - first[node] > LONG_ROW:
            listed += 1
    if listed:
        for edge in range(first[txns]):
            node = target[edge]
            if kind[edge] <= RW and node < txns and first[node + 1] - first[node] > LONG_ROW:
                row[node + 1] += 1
        for node in range(txns):
            row[node + 1] += row[node]
    back = np.full(row[txns], -1, np.int32)
    fill = row[:-1].copy()
    if listed:
        for edge in range(first[txns]):
            node = target[edge]
            if kind[edge] <= RW and node < txns and first[node + 1] - first[node] > LONG_ROW:
                back[fill[node]] = edge
                fill[node] += 1
        onward_to = np.full(txns, -1, np.int32)
        for node in range(txns):
            if row[node] == row[node + 1]:
                continue
            for edge in range(first[node], first[node + 1]):
                if kind[edge] <= RW and target[edge] < txns:
                    onward_to[target[edge]] = edge
            for i in range(row[node], row[node + 1]):
                back[i] = onward_to[source[back[i]]]
            for edge in range(first[node], first[node + 1]):
                if target[edge] < txns:
                    onward_to[target[edge]] = -1
            fill[node] = row[node]
    there = np.empty(first[txns], np.int64)
    returned = np.empty(first[txns], np.int64)
    count = 0
    for node in range(txns):
        for edge in range(first[node], first[node + 1]):
            other = target[edge]
            if kind[edge] > RW:
                break
            if other >= txns:
                continue
            reverse = -1
            begin, end = first[other], first[other + 1]
            if end - begin > LONG_ROW:
                reverse = back[fill[other]]
                fill[other] += 1
            else:
                for onward in range(begin, end):
                    if kind[onward] > RW:
                        break
                    if target[onward] == node:
                        reverse = onward
                        break
            if reverse >= 0:
                if other > node:
                    there[count] = edge
                    returned[count] = reverse
                    count += 1
                continue
            late, early = names[node], names[other]
            if status_ok[early] and 0 <= completed[early] < began[late]:
                if process[early] == process[late]:
                    there[count] = edge
                    returned[count] = -1
                    count += 1
                elif timed:
                    there[count] = edge
                    returned[count] = -2
                    count += 1
    return there[:count].copy(), returned[:count].copy()


@kernel
def shortest_cycles(
    first,
    target,
    kind,
    allowed,
    solid,
    label,
    rank,
    begins,
    ends,
    bounds,
    against,
    least,
    budget_each,
    budget_all,
    budget_least,
):
    """For each group of candidates the shortest of the paths begins[i] ⇝ ends[i].

    Candidates bounds[g]:bounds[g + 1] are group g. A path stays in the component of its end and on allowed edges, which
    never lead to a higher rank. Edges that may be looked at: budget_each for a group, budget_all for all together, but
    budget_least for any.
    against: how many rw edges a path must have; of a candidate whose shortest path has fewer no other path is sought.
    least: a path of that length ends the search.
    Returns (best, path_start, path, length, whole): best[g] the candidate, -1 where there is no path; its edges are
    path[path_start[g] : path_start[g + 1]], its length (transactions reached) length[g]; whole[g]: all candidates were
    tried, or no shorter path can be.
    """
    nodes = len(first) - 1
    groups = len(bounds) - 1
    stamp = np.zeros(nodes, np.int32)
    distance = np.zeros(nodes, np.int32)
    via = np.empty(nodes, np.int64)
    came_from = np.empty(nodes, np.int32)
    here = np.empty(2 * nodes + 2, np.int32)
    there = np.empty(2 * nodes + 2, np.int32)
    best = np.full(groups, -1, np.int64)
    lengths = np.zeros(groups, np.int64)
    whole = np.ones(groups, np.bool_)
    path_start = np.zeros(groups + 1, np.int64)
    path = np.empty(64, np.int64)
    run = 0
    used = 0
    for group in range(groups):
        best_length = NO_LENGTH
        base = path_start[group]
        path_start[group + 1] = base
        looked = 0
        budget = max(budget_least, min(budget_each, budget_all - used))
        for i in range(bounds[group], bounds[group + 1]):
            begin, end = begins[i], ends[i]
            component = label[end]
            if label[begin] != component or rank[begin] < rank[end]:
                continue
            if looked > budget:
                whole[group] = False
                break
            looked += 1
            run += 1
            stamp[begin] = run
            distance[begin] = 0
            via[begin] = -1
            here[0] = begin
            here_count = 1
            length = 0
            reached = begin == end
            while here_count > 0 and not reached and length < best_length and looked <= budget:
                there_count = 0
                at = 0
                while at < here_count and not reached:
                    node = here[at]
                    at += 1
                    if distance[node] < length:
                        continue
                    for edge in range(first[node], first[node + 1]):
                        looked += 1
                        other = target[edge]
                        if not (allowed >> kind[edge]) & 1 or label[other] != component or rank[other] < rank[end]:
                            continue
                        step = 0 if other >= solid or kind[edge] == SELF else 1
                        if stamp[other] == run and distance[other] <= length + step:
                            continue
                        stamp[other] = run
                        distance[other] = length + step
                        via[other] = edge
                        came_from[other] = node
                        if step == 0:
                            here[here_count] = other
                            here_count += 1
                            if other == end:
                                reached = True
                                break
                        else:
                            there[there_count] = other
                            there_count += 1
                    if looked > budget:
                        break
                if reached:
                    break
                if looked > budget:
                    break
                length += 1
                if stamp[end] == run:
                    reached = True
                    break
                here, there = there, here
                here_count = there_count
            if not reached and looked > budget:
                whole[group] = False
                break
            if not reached or length >= best_length:
                continue
            count = 0
            back = 0
            node = end
            while via[node] >= 0:
                count += 1
                back += kind[via[node]] == RW
                node = came_from[node]
            if back < against:
                continue
            best_length = length
            best[group] = i
            lengths[group] = length
            if base + count > len(path):
                grown = np.empty(2 * (base + count), np.int64)
                for place in range(base):
                    grown[place] = path[place]
                path = grown
            path_start[group + 1] = base + count
            node = end
            while via[node] >= 0:
                count -= 1
                path[base + count] = via[node]
                node = came_from[node]
            if best_length <= least:
                break
        used += looked
    return best, path_start, path, lengths, whole


@kernel
def cycles_of(
    best,
    path_start,
    path,
    before,
    onward,
    edge_of,
    writes_alone,
    first,
    source,
    target,
    kind,
    txns,
    names,
    status,
    process,
    began,
    completed,
):
    """The closed walks that `shortest_cycles` found, as cycles that visit no transaction twice.

    Walk g is before[best[g]] (if there is `before`), onward[best[g]] and its path; edge_of: the edges of `source`,
    `target` and `kind` that these rows stand for, -1 for none. A step leads from a transaction to the next one, and may
    go through virtual nodes. A step that only clients or realtime prove is one of ww or wr if there is such an edge too
    (with `writes_alone`, of ww), or else of the session if it is in one.
    Returns (group, class, start, opens, closes, how): the walk and the class (kind, and 5 times the strength) of each
    cycle; its steps are start[i] : start[i + 1], each with its first and last edge and its kind.
    """
    groups = len(best)
    longest = 0
    found = 0
    for group in range(groups):
        if best[group] >= 0:
            found += 1
            longest = max(longest, path_start[group + 1] - path_start[group] + 2)
    walk = np.empty(longest, np.int64)
    seen = np.full(txns, -1, np.int64)
    seen_at = np.empty(txns, np.int64)
    run = 0
    room = len(path) + 2 * groups
    opens = np.empty(room, np.int64)
    closes = np.empty(room, np.int64)
    how = np.empty(room, np.int8)
    whose = np.empty(found, np.int64)
    classes = np.empty(found, np.int8)
    start = np.zeros(found + 1, np.int64)
    count = 0
    for group in range(groups):
        if best[group] < 0:
            continue
        length = 0
        turn = -1
        begin = path_start[group]
        for i in range(-2, path_start[group + 1] - begin):
            if i == -2:
                row = before[best[group]] if len(before) else -1
            else:
                row = onward[best[group]] if i == -1 else path[begin + i]
            edge = edge_of[row] if row >= 0 else -1
            if edge >= 0:
                if turn < 0 and source[edge] < txns:
                    turn = length
                walk[length] = edge
                length += 1
        # steps between transactions
        low = high = start[count]
        for i in range(length):
            edge = walk[(turn + i) % length]
            if source[edge] < txns:
                opens[high] = edge
            if target[edge] < txns:
                closes[high] = edge
                high += 1
        # leave out detours, but none between two rw that it keeps apart
        i = low
        run += 1
        while i < high:
            node = source[opens[i]]
            if seen[node] != run:
                seen[node] = run
                seen_at[node] = i
                i += 1
                continue
            again = seen_at[node]
            if kind[opens[again]] == RW and kind[opens[i - 1]] == RW:
                for other in range(i, high):
                    opens[again + other - i] = opens[other]
                    closes[again + other - i] = closes[other]
                high -= i - again
            else:
                for other in range(again, i):
                    opens[low + other - again] = opens[other]
                    closes[low + other - again] = closes[other]
                high = low + i - again
            i = low
            run += 1
        kinds = 0
        against = 0
        adjacent = False
        for i in range(low, high):
            how[i] = kind[opens[i]]
            if how[i] >= PROCESS:
                node, other = source[opens[i]], target[closes[i]]
                for edge in range(first[node], first[node + 1]):
                    if kind[edge] >= (WR if writes_alone else RW):
                        break
                    if target[edge] == other:
                        opens[i] = closes[i] = edge
                        how[i] = kind[edge]
                        break
                early, late = names[node], names[other]
                same_client = process[early] == process[late] and status[early] == OK
                if how[i] == REALTIME and same_client and completed[early] < began[late]:
                    how[i] = PROCESS
            kinds |= 1 << how[i]
            if how[i] == RW:
                against += 1
                if i > low and how[i - 1] == RW:
                    adjacent = True
        if against > 1 and how[low] == RW and how[high - 1] == RW:
            adjacent = True
        if against == 0:
            own = 1 if kinds >> WR & 1 else 0
        else:
            own = 2 if against == 1 else 4 if adjacent else 3
        strength = 2 if kinds >> REALTIME & 1 else 1 if kinds >> PROCESS & 1 else 0
        whose[count] = group
        classes[count] = own + 5 * strength
        count += 1
        start[count] = high
    return whose, classes, start, opens, closes, how

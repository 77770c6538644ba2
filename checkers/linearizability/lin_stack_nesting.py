"""Can elements with flexible ends be nested? The compiled part of `lin_stack`, with its idea.

Of a stretch of time with elements x, from its first push's return s to its last pop's invocation e, an element is
*ready on the left* if its push was invoked before s, on the right if its pop returned after e. Stretches only shrink,
so what is ready stays so; what is ready on both sides is taken away. Three trees of minima over ranges serve for it:
how many elements cover each piece of time, and which elements are not ready yet on each side.

Cost: O(n log n), 200 bytes an element.
"""

from __future__ import annotations

import numpy as np

from harness.compiled import kernel, kernel_part

_BIG = 2**62


def unnested(pushed: np.ndarray, push_returned: np.ndarray, popping: np.ndarray, popped: np.ndarray) -> list[int]:
    """Numbers of elements of one stretch of which none can be below all others; empty where all can be nested.

    int64[n] each: places of the push's invocation and return, and of the pop's, NEVER where there is none.
    push_returned < popping for each.
    """
    order = np.argsort(push_returned, kind="stable")
    if not len(order):
        return []
    times = np.unique(np.concatenate([push_returned, popping]))
    begin = np.searchsorted(times, push_returned[order])
    end = np.searchsorted(times, popping[order])
    rest = _peel(
        pushed[order].astype(np.int64),
        np.where(popped[order] >= _BIG, _BIG + 1, popped[order]).astype(np.int64),
        begin.astype(np.int64),
        end.astype(np.int64),
        times.astype(np.int64),
    )
    return order[rest].tolist()


@kernel
def _peel(pushed, popped, begin, end, times):
    """Numbers (by push's return) of the elements of a stretch that can't be nested."""
    count, pieces = len(pushed), len(times) - 1
    size = 1
    while size < max(count, pieces):
        size *= 2
    cover = np.full(2 * size, _BIG, np.int64)
    lazy = np.zeros(2 * size, np.int64)
    left = np.full(2 * size, _BIG, np.int64)
    right = np.full(2 * size, _BIG, np.int64)
    depth = np.zeros(pieces + 1, np.int64)
    for x in range(count):
        depth[begin[x]] += 1
        depth[end[x]] -= 1
        left[size + x] = pushed[x]
        right[size + x] = -popped[x]
    total = 0
    for piece in range(pieces):
        total += depth[piece]
        cover[size + piece] = total
    for node in range(size - 1, 0, -1):
        cover[node] = min(cover[2 * node], cover[2 * node + 1])
        left[node] = min(left[2 * node], left[2 * node + 1])
        right[node] = min(right[2 * node], right[2 * node + 1])
    gone = np.zeros(count, np.bool_)
    ready = np.zeros(count, np.int8)
    taken = np.empty(count, np.int64)
    # Stretches to look at: the first and the last piece (excluded). Each piece that nothing covers any more is a gap.
    todo = np.empty((pieces + 2, 2), np.int64)
    todo[0, 0], todo[0, 1] = 0, pieces
    waiting = 1
    fresh = True
    while waiting:
        waiting -= 1
        first, last = todo[waiting, 0], todo[waiting, 1]
        low = np.searchsorted(begin, first)
        high = np.searchsorted(begin, last)
        found = 0
        if not fresh:
            while True:
                x = _next_below(left, size, low, high, times[first])
                if x < 0:
                    break
                _put(left, size, x, _BIG)
                ready[x] += 1
                if ready[x] == 2:
                    taken[found] = x
                    found += 1
            while True:
                x = _next_below(right, size, low, high, -times[last])
                if x < 0:
                    break
                _put(right, size, x, _BIG)
                ready[x] += 1
                if ready[x] == 2:
                    taken[found] = x
                    found += 1
            if found == 0:
                return np.array([x for x in range(low, high) if not gone[x]])
            for i in range(found):
                gone[taken[i]] = True
                _add(cover, lazy, size, begin[taken[i]], end[taken[i]], -1)
        fresh = False
        start = first
        while start < last:
            gap = _next_zero(cover, lazy, size, start, last)
            if gap < 0:
                gap = last
            else:
                _add(cover, lazy, size, gap, gap + 1, _BIG // 2)
            if gap > start:
                todo[waiting, 0], todo[waiting, 1] = start, gap
                waiting += 1
            start = gap + 1
    return np.empty(0, np.int64)


@kernel_part
def _put(tree, size, place, value):
    node = size + place
    tree[node] = value
    node //= 2
    while node:
        tree[node] = min(tree[2 * node], tree[2 * node + 1])
        node //= 2


@kernel_part
def _next_below(tree, size, low, high, bound):
    """The first place in low ... high - 1 with a value below the bound, -1 for none."""
    place = low
    while place < high:
        node, width = size + place, 1
        while node % 2 == 0 and place + 2 * width <= high:
            node //= 2
            width *= 2
        if tree[node] < bound:
            while node < size:
                node *= 2
                if tree[node] >= bound:
                    node += 1
            return node - size
        place += width
    return -1


@kernel_part
def _add(cover, lazy, size, low, high, amount):
    """Add to the places low ... high - 1. A node's `lazy` counts for all below it, and is in its own value."""
    first, last = low + size, high + size
    while first < last:
        if first % 2:
            cover[first] += amount
            lazy[first] += amount
            first += 1
        if last % 2:
            last -= 1
            cover[last] += amount
            lazy[last] += amount
        first //= 2
        last //= 2
    for end in (low + size, high - 1 + size):
        node = end // 2
        while node:
            cover[node] = min(cover[2 * node], cover[2 * node + 1]) + lazy[node]
            node //= 2


@kernel_part
def _next_zero(cover, lazy, size, low, high):
    """The first place in low ... high - 1 with value 0, -1 for none. Values are never below 0."""
    place = low
    while place < high:
        node, width = size + place, 1
        while node % 2 == 0 and place + 2 * width <= high:
            node //= 2
            width *= 2
        above = 0
        up = node // 2
        while up:
            above += lazy[up]
            up //= 2
        if cover[node] + above == 0:
            while node < size:
                above += lazy[node]
                node *= 2
                if cover[node] + above != 0:
                    node += 1
            return node - size
        place += width
    return -1

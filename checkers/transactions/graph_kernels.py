"""Strongly connected components and shortest paths over columns of edges, compiled.

A row-compressed graph (CSR) is `first`, int64[nodes + 1], and `order`, int64[e]: the edges of node i are
order[first[i] : first[i + 1]].

Sources: R. Tarjan (1972) for the components, without recursion; breadth-first search with edges of length 0 and 1.
Cost: O(nodes + edges) each; a path search stays inside its component.
"""

from __future__ import annotations

import numpy as np

from harness.compiled import kernel

NO_LENGTH = 2**62


def rows(source: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """(first, order): the edges of each node, in the order in which they are given."""
    return _rows(np.ascontiguousarray(source, np.int32), nodes)


def components(first: np.ndarray, order: np.ndarray, target: np.ndarray, nodes: int) -> np.ndarray:
    """int32[nodes]: the strongly connected component of each node, numbered so that edges lead to lower numbers."""
    return _components(first, order, np.ascontiguousarray(target, np.int32), nodes)


def shortest_returns(
    first: np.ndarray,
    order: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    label: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    avoid: np.ndarray,
    groups: np.ndarray,
    budget: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each group of candidates the shortest of the paths begins[i] ⇝ ends[i].

    Candidates groups[g]:groups[g + 1] are group g. A path stays in the component of its end and avoids node avoid[i].
    weight: int8[e], 0 or 1, the length of each edge. budget: how many edges may be looked at for one group.
    Returns (best, path_start, path, whole): best[g] the candidate, -1 where there is no path; its edges are
    path[path_start[g] : path_start[g + 1]]; whole[g]: all candidates were tried (a path of one step ends the search).
    """
    if len(groups) <= 1:
        none = np.empty(0, np.int64)
        return none, np.zeros(1, np.int64), none, np.empty(0, bool)
    return _shortest_returns(
        first,
        order,
        np.ascontiguousarray(target, np.int32),
        np.ascontiguousarray(weight, np.int8),
        label,
        np.ascontiguousarray(begins, np.int64),
        np.ascontiguousarray(ends, np.int64),
        np.ascontiguousarray(avoid, np.int64),
        np.ascontiguousarray(groups, np.int64),
        budget,
    )


@kernel
def _rows(source, nodes):
    first = np.zeros(nodes + 1, np.int64)
    for edge in range(len(source)):
        first[source[edge] + 1] += 1
    for node in range(nodes):
        first[node + 1] += first[node]
    fill = first[:-1].copy()
    order = np.empty(len(source), np.int64)
    for edge in range(len(source)):
        order[fill[source[edge]]] = edge
        fill[source[edge]] += 1
    return first, order


@kernel
def _components(first, order, target, nodes):
    label = np.full(nodes, -1, np.int32)
    number = np.zeros(nodes, np.int32)
    low = np.zeros(nodes, np.int32)
    at = np.zeros(nodes, np.int64)
    stack = np.empty(nodes, np.int32)
    call = np.empty(nodes, np.int32)
    stacked = 0
    counter = 0
    found = 0
    for root in range(nodes):
        if number[root] != 0:
            continue
        depth = 0
        call[0] = root
        counter += 1
        number[root] = low[root] = counter
        at[root] = first[root]
        stack[stacked] = root
        stacked += 1
        while depth >= 0:
            node = call[depth]
            if at[node] < first[node + 1]:
                other = target[order[at[node]]]
                at[node] += 1
                if number[other] == 0:
                    counter += 1
                    number[other] = low[other] = counter
                    at[other] = first[other]
                    stack[stacked] = other
                    stacked += 1
                    depth += 1
                    call[depth] = other
                elif label[other] < 0 and number[other] < low[node]:
                    low[node] = number[other]
                continue
            depth -= 1
            if depth >= 0 and low[node] < low[call[depth]]:
                low[call[depth]] = low[node]
            if low[node] == number[node]:
                while True:
                    stacked -= 1
                    member = stack[stacked]
                    label[member] = found
                    if member == node:
                        break
                found += 1
    return label


@kernel
def _shortest_returns(first, order, target, weight, label, begins, ends, avoid, groups, budget):
    nodes = len(first) - 1
    group_count = len(groups) - 1
    stamp = np.zeros(nodes, np.int32)
    closed = np.zeros(nodes, np.int32)
    via = np.empty(nodes, np.int64)
    came_from = np.empty(nodes, np.int32)
    here = np.empty(nodes + len(order) + 1, np.int32)
    there = np.empty(nodes + len(order) + 1, np.int32)
    best = np.full(group_count, -1, np.int64)
    whole = np.ones(group_count, np.bool_)
    path_start = np.zeros(group_count + 1, np.int64)
    path = np.empty(64, np.int64)
    run = 0
    for group in range(group_count):
        best_length = NO_LENGTH
        base = path_start[group]
        path_start[group + 1] = base
        looked = 0
        for i in range(groups[group], groups[group + 1]):
            if looked > budget:
                whole[group] = False
                break
            begin, end = begins[i], ends[i]
            component = label[end]
            if label[begin] != component:
                continue
            run += 1
            stamp[begin] = run
            via[begin] = -1
            here[0] = begin
            here_count = 1
            length = 0
            reached = begin == end
            while here_count > 0 and not reached and length < best_length and looked <= budget:
                there_count = 0
                at = 0
                while at < here_count and not reached and looked <= budget:
                    node = here[at]
                    at += 1
                    if closed[node] == run:
                        continue
                    closed[node] = run
                    for j in range(first[node], first[node + 1]):
                        edge = order[j]
                        other = target[edge]
                        looked += 1
                        if label[other] != component or other == avoid[i] or closed[other] == run:
                            continue
                        if weight[edge] == 0:
                            stamp[other] = run
                            via[other] = edge
                            came_from[other] = node
                            here[here_count] = other
                            here_count += 1
                            if other == end:
                                reached = True
                                break
                        elif stamp[other] != run:
                            stamp[other] = run
                            via[other] = edge
                            came_from[other] = node
                            there[there_count] = other
                            there_count += 1
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
            best_length = length
            best[group] = i
            count = 0
            node = end
            while via[node] >= 0:
                count += 1
                node = came_from[node]
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
            if best_length <= 1:
                break
    return best, path_start, path, whole

"""What the charts draw, as columns packed into one base64 text.

Layout of the packed text, after base64 and gzip: a little-endian uint32 length, that many bytes of JSON (`meta`), then
the columns one after the other, each at an offset that is a multiple of 8 (name, dtype, length and offset stand in
meta["columns"]). Base64 has no `<`, `&` or quote, so nothing that a database said can end the script element that
holds it; the page sets all of it as text, never as markup.

Cost: about 9 bytes of HTML an operation. At most OPS_MAX operations are drawn: all that prove an anomaly, then evenly
spaced others. Rates and percentiles are worked out here from all operations.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np

from harness.fault import Window
from harness.history import FAIL, INFO, OK, History
from harness.report.operations import Operations
from harness.report.values import one_line

OPS_MAX = 120_000
TEXT_MAX = 1_500_000
"""Characters of operations' texts that are embedded for the hover box; beyond it only some operations have one."""
RATE_BINS, LATENCY_BINS = 1_200, 240


def pack(
    history: History, operations: Operations, windows: list[Window], guilty: dict[int, str], workers: int | None = None
) -> str:
    """The charts' data. guilty: row of an operation → what it proves. workers: how many, where that is known."""
    meta, columns = collect(history, operations, windows, guilty, workers)
    blobs: list[bytes] = []
    offset = 0
    described = []
    for name, column in columns.items():
        data = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<"))).tobytes()
        described.append({"name": name, "dtype": column.dtype.name, "length": len(column), "offset": offset})
        data += b"\0" * (-len(data) % 8)
        blobs.append(data)
        offset += len(data)
    header = json.dumps({**meta, "columns": described}, separators=(",", ":"), ensure_ascii=True).encode()
    header += b" " * (-(len(header) + 4) % 8)
    raw = len(header).to_bytes(4, "little") + header + b"".join(blobs)
    return base64.b64encode(gzip.compress(raw, compresslevel=7, mtime=0)).decode()


def collect(
    history: History, operations: Operations, windows: list[Window], guilty: dict[int, str], workers: int | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(meta, columns) before packing."""
    span_ns = max(int(history.time_ns[-1]) if len(history) else 0, 1)
    first_ns = min(int(history.time_ns[0]) if len(history) else 0, 0)
    tick_ns = max(1_000, -(-(span_ns - first_ns) // 2**31))
    rows = _chosen(operations, guilty)
    nodes = sorted({node for node in history.node if node is not None}, key=_natural)
    number = {node: place for place, node in enumerate(nodes)}
    lanes = operations.process % workers if workers else pack_rows(operations)
    texts = _texts(operations, rows, guilty)
    errors: dict[str, int] = {}
    columns = {
        "begin": np.diff((operations.begin_ns[rows] - first_ns) // tick_ns, prepend=0).astype(np.uint32),
        "latency": ((operations.end_ns[rows] - operations.begin_ns[rows]) // tick_ns).astype(np.uint32),
        "outcome": operations.outcome[rows].astype(np.uint8),
        "lane": lanes[rows].astype(np.uint16),
        "process": operations.process[rows].astype(np.int32),
        "f": operations.f[rows].astype(np.uint8),
        "node": np.array([_node(history, operations, row, number) for row in rows], dtype=np.uint8),
        "index": np.diff(
            history.index[np.where(operations.end >= 0, operations.end, operations.begin)[rows]], prepend=0
        ).astype(np.int32),
        "guilty": np.array([row in guilty for row in rows], dtype=np.uint8),
        "error": np.array([_error(history, operations, row, errors) for row in rows], dtype=np.uint16),
        **_rates(operations, first_ns, span_ns),
        **_quantiles(operations, first_ns, span_ns),
    }
    meta = {
        "tick_ns": tick_ns,
        "first_ns": first_ns,
        "span_ns": span_ns - first_ns,
        "f": list(history.f_names),
        "nodes": nodes,
        "errors": list(errors),
        "texts": texts,
        "proves": {str(place): guilty[row] for place, row in enumerate(rows) if row in guilty},
        "lanes": int(lanes.max()) + 1 if len(lanes) else 0,
        "rate_bins": RATE_BINS,
        "latency_bins": LATENCY_BINS,
        "total": len(operations),
        "drawn": len(rows),
        "windows": [_window(window) for window in windows],
        "phases": _phases(history),
    }
    return meta, columns


def pack_rows(operations: Operations) -> np.ndarray:
    """int64[m]: the row of the timeline on which each operation is drawn, where the workers are not known.

    A process is one session; a worker whose session was lost goes on under a new number. Processes whose stretches of
    time do not overlap share a row, so there are about as many rows as workers.
    """
    if not len(operations):
        return np.zeros(0, dtype=np.int64)
    processes, member = np.unique(operations.process, return_inverse=True)
    begin = np.full(len(processes), np.iinfo(np.int64).max)
    end = np.full(len(processes), np.iinfo(np.int64).min)
    np.minimum.at(begin, member, operations.begin_ns)
    drawn_end = np.where(operations.end >= 0, operations.end_ns, operations.begin_ns)
    np.maximum.at(end, member, drawn_end)
    free: list[int] = []
    row = np.zeros(len(processes), dtype=np.int64)
    for process in np.argsort(begin, kind="stable"):
        lane = next((lane for lane, free_at in enumerate(free) if free_at <= begin[process]), len(free))
        if lane == len(free):
            free.append(0)
        free[lane] = int(end[process])
        row[process] = lane
    return row[member]


def longest_gap(times_ns: np.ndarray, first_ns: int, last_ns: int) -> tuple[int, int]:
    """(begin, end) of the longest stretch between two of these times (and the ends)."""
    edges = np.concatenate([[first_ns], np.sort(times_ns), [last_ns]])
    widest = int(np.argmax(np.diff(edges)))
    return int(edges[widest]), int(edges[widest + 1])


def _chosen(operations: Operations, guilty: dict[int, str]) -> np.ndarray:
    """Rows to draw, in order of their beginning."""
    count = len(operations)
    keep = np.full(count, count <= OPS_MAX)
    if count > OPS_MAX:
        keep[np.linspace(0, count - 1, OPS_MAX).astype(np.int64)] = True
        keep[list(guilty)] = True
    rows = np.flatnonzero(keep)
    return rows[np.argsort(operations.begin_ns[rows], kind="stable")]


def _texts(operations: Operations, rows: np.ndarray, guilty: dict[int, str]) -> dict[str, str]:
    """Place among the drawn → the operation's text; guilty ones always, others evenly spaced while the budget lasts."""
    texts: dict[str, str] = {}
    left = TEXT_MAX
    if not len(rows):
        return texts
    sample = rows[:: max(1, len(rows) // 200)]
    mean = sum(len(_text(operations, int(row), 120)) for row in sample) / len(sample) + 8
    step = max(1, -(-int(len(rows) * mean) // TEXT_MAX))
    for place, row in enumerate(rows):
        if int(row) in guilty:
            texts[str(place)] = _text(operations, int(row), 400)
        elif place % step == 0 and left > 0:
            texts[str(place)] = text = _text(operations, int(row), 120)
            left -= len(text) + 8
    return texts


def _text(operations: Operations, row: int, width: int) -> str:
    op = operations.one(row)
    return one_line(op.f, op.value, known=op.outcome == "ok", width=width)


def _node(history: History, operations: Operations, row: int, number: dict[str, int]) -> int:
    node = history.node[int(operations.begin[row])]
    return 255 if node is None else min(number[node], 254)


def _error(history: History, operations: Operations, row: int, errors: dict[str, int]) -> int:
    """Number of the operation's error plus one, 0 for none."""
    end = int(operations.end[row])
    error = history.error[end] if end >= 0 else "never completed"
    if error is None:
        return 0
    text = str(error)[:160]
    if text not in errors and len(errors) >= 2_000:
        text = "(another error; see the history)"
    return errors.setdefault(text, len(errors)) + 1


def _rates(operations: Operations, first_ns: int, span_ns: int) -> dict[str, np.ndarray]:
    place = _bins(operations.end_ns, first_ns, span_ns, RATE_BINS)
    completed = operations.end >= 0
    return {
        f"rate_{name}": np.bincount(place[completed & (operations.outcome == code)], minlength=RATE_BINS).astype(
            np.uint32
        )
        for name, code in (("ok", OK), ("fail", FAIL), ("info", INFO))
    }


def _quantiles(operations: Operations, first_ns: int, span_ns: int) -> dict[str, np.ndarray]:
    """Median and 99th percentile of the latency of ok operations, per bin of their completion, in µs (NaN: none)."""
    ok = operations.outcome == OK
    place = _bins(operations.end_ns[ok], first_ns, span_ns, LATENCY_BINS)
    latency = (operations.end_ns[ok] - operations.begin_ns[ok]) / 1_000
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(LATENCY_BINS + 1))
    result = {name: np.full(LATENCY_BINS, np.nan, dtype=np.float32) for name in ("p50", "p99")}
    for number in range(LATENCY_BINS):
        inside = latency[order[bounds[number] : bounds[number + 1]]]
        if len(inside):
            result["p50"][number], result["p99"][number] = np.percentile(inside, [50, 99])
    return result


def _bins(times_ns: np.ndarray, first_ns: int, span_ns: int, count: int) -> np.ndarray:
    share = (times_ns - first_ns) / max(span_ns - first_ns, 1)
    return np.clip((share * count).astype(np.int64), 0, count - 1)


def _phases(history: History) -> list[dict[str, Any]]:
    """When each phase of a run began, as the journal marks it."""
    return [{"name": name[:40], "at_ns": int(history.time_ns[place])} for place, name in history.phases()]


def _window(window: Window) -> dict[str, Any]:
    return {
        "id": window.fault.id,
        "kind": window.fault.kind,
        "lane": window.fault.lane,
        "nodes": window.fault.nodes,
        "begin_ns": window.begin_ns,
        "end_ns": window.end_ns,
        "effect": window.took_effect,
    }


def _natural(name: str) -> tuple[int, str]:
    return len(name), name

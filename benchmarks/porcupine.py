"""Porcupine on the same register histories, where Go is installed: the peer's time beside ours.

    python -m benchmarks.porcupine h.edn [more.edn ...] [--limit 60]

Reads each history (unkeyed or keyed `read`, `write`, `cas`; one file for each key), drops what can't matter to either
checker (failed operations, reads without a result), and times Porcupine's own check, without the reading; then ours,
from the same operations. Porcupine is fetched as a Go module; nothing of it is in this repository.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from checkers.linearizability.linearizable import Linearizable
from checkers.linearizability.linearizable_calls import calls_by_object
from checkers.linearizability.linearizable_model import NEVER
from checkers.linearizability.register_model import Register
from harness.checker import CheckOptions
from harness.history import History
from harness.reading import read_history

PEER = Path(__file__).parent / "peers" / "porcupine"


def built(folder: Path) -> Path:
    """The peer's program. Raises SystemExit where Go is missing or can't build it."""
    if shutil.which("go") is None:
        raise SystemExit("Go is not installed: Porcupine can't be built")
    program = folder / "porcupine"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=PEER, check=True)
    return program


def export(history: History, folder: Path, name: str) -> list[Path]:
    """The operations of each key as the peer reads them."""
    paths = []
    for number, each in enumerate(calls_by_object(history, Register())):
        end = len(history)
        lines = []
        numbers: dict[object, int] = {None: -1}
        for operation in each.operations:
            f, *values = operation.action  # type: ignore[misc]
            unknown = operation.returned == NEVER
            if unknown and f == "read":
                continue
            first, second = (*(numbers.setdefault(value, len(numbers)) for value in values), -1)[:2]
            returned = end if unknown else operation.returned
            lines.append(f"{len(lines)},{f[0]},{first},{second},{operation.invoked},{returned},{int(unknown)}\n")
        path = folder / f"{name}-{number}.csv"
        path.write_text("".join(lines))
        paths.append(path)
    return paths


def main() -> None:
    """Measure each file, the peer in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which the peer gives up on one key")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = built(folder)
        checker = Linearizable()
        for path in arguments.paths:
            history = read_history(path)
            files = export(history, folder, path.stem)
            command = [str(program), f"-limit={arguments.limit}s", *map(str, files)]
            answers = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
            answers = [line.split() for line in answers if line]
            peer_s = sum(float(took) for _, took, *_ in answers)
            verdicts = {verdict for verdict, *_ in answers}
            peer_mb = max(int(peak) for _, _, peak, _ in answers)
            ours_s = []
            for _ in range(4):
                began = time.process_time()
                verdict = checker.check(history, CheckOptions(model="linearizable", time_budget_s=arguments.limit))
                ours_s.append(time.process_time() - began)
            warm_s = sorted(ours_s[1:])[1]
            print(
                f"{path.name}: Porcupine {'/'.join(sorted(verdicts))} {peer_s:.3f} s, {peer_mb} MB; "
                f"ours {verdict.verdict} {warm_s:.3f} s; ratio {peer_s / warm_s:.1f}"
            )


if __name__ == "__main__":
    main()

"""One run that is killed again and again at random steps: `python -m tests.faults.kills FOLDER TIMES SEED`.

It is a process of its own, because it forks the runs (see `children`). It prints what it found as JSON.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from pathlib import Path

from tests.conftest import TINY
from tests.faults import children, invariants
from tests.faults.children import Child

OPTIONS = (
    *TINY, "stop=emv", "stop.patience=100000", "record_every=1", "snapshot_every=50", "checkpoint_every=0.02",
    "keep_checkpoint=true", "baselines=false",
)  # fmt: skip


def recorded_step(out: Path) -> int:
    """The step of the last complete line of the run's `metrics.csv`; 0 before the first."""
    for path in out.glob("*/metrics.csv"):
        step = path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2].partition(b",")[0]
        return int(step) if step.isdigit() else 0
    return 0


def kill(out: Path, options: list[str], step: int, delay: float) -> int:
    """Start the run and kill it `delay` seconds after it has recorded `step`. Returns the exit status."""
    child = Child([*options, f"out={out}"], out.with_suffix(".txt"))
    deadline = time.monotonic() + 120
    while recorded_step(out) < step and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(delay)
    child.send(signal.SIGKILL)
    return child.wait(60)


def main(place: Path, times: int, seed: int) -> dict[str, object]:
    """The differences from the undisturbed run, the exit status of each kill, and the number of files after each."""
    children.get_ready()
    rng = random.Random(seed)
    steps = 20 * times
    options = [*OPTIONS, f"steps={steps}"]
    whole = Child([*options, f"out={place / 'whole'}"], place / "whole.txt")
    assert whole.wait(600) == 0, whole.text
    out, codes, litter, files = place / "killed", [], [], []
    for step in sorted(rng.randrange(int(0.9 * steps)) for _ in range(times)):
        codes.append(kill(out, options, step, rng.uniform(0, 0.2)))
        for folder in out.glob("*"):
            litter.append(len(list(folder.rglob(".*.tmp"))))
            files.append(len(list((folder / "checkpoints").glob("*"))))
    last = Child([*options, f"out={out}"], place / "last.txt")
    assert last.wait(600) == 0, last.text
    (one,), (other,) = (place / "whole").iterdir(), out.iterdir()
    wrong = invariants.differences(invariants.evidence(other), invariants.evidence(one))
    return {
        "codes": codes,
        "litter": litter,
        "files": files,
        "wrong": wrong,
        "left": invariants.litter(other),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))

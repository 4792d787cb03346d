"""Soak test: random runs under random faults for a given time.

    python -m tests.faults.soak --minutes 60 --seed 0

Each round draws options, makes an undisturbed twin, disturbs the same run several times and lets it end: it must equal
its twin exactly. One process at a time, one thread. The folders of rounds that fail are kept, and the exit status is 1.
"""

import argparse
import os
import random
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from dip import runs
from dip.errors import RunError
from dip.runs.checkpoint_files import stored, verified
from tests.disturbed import Child, differences, litter, numbers, only
from tests.runs.states import DAMAGES

TARGETS = (
    "target=clean", "target=noisy target.sigma=0.2", "target=noise", "target=shuffled", "target=degraded",
    "target=inpaint target.missing=0.5", "target=superres target.simulate=true target.factor=2",
    "target=jpeg target.quality=20", "target=deblur target.simulate=true target.sigma=1",
)  # fmt: skip
STOPS = (
    "stop=never", "stop=auto", "stop=wmv stop.window=10 stop.patience=30", "stop=emv stop.patience=30",
    "stop=heldout stop.patience=20", "stop=combined stop.patience=40", "stop=compare",
)  # fmt: skip
OPTIONS = {
    "net.channels": (4, 8), "size": (16, 24, 32, 33, "[20,28]"), "precision": ("fp32", "fp32", "bf16", "fp64", "auto"),
    "steps": range(5, 150), "record_every": range(1, 20), "checkpoint_every": (0, 0.05, 0.3),
    "logger": ("csv", "csv", "tensorboard"), "keep_checkpoint": ("true", "false"),
    "baselines": ("true", "false", "false"), "perturbation": (0, 0.03), "z.distribution": ("gaussian", "uniform"),
    "ema": (0.9, 0.99), "seed": range(10**6), "ensemble": (1, 1, 1, 2), "perturbation_warm_up": (0, 0, 20),
    "optimizer": ("adam", "muon"),
}  # fmt: skip
# The exit statuses allowed: an orderly end, or the default action before the fit starts or after it has ended.
SIGNALS = {
    "SIGKILL": (0, -9), "SIGTERM": (0, 143, -15), "SIGINT": (0, 130, -2), "SIGINT SIGINT": (0, 130, -2),
    "SIGHUP": (0, 129, -1), "SIGUSR1": (0, -10), "SIGTERM SIGKILL": (0, 143, -15, -9),
}  # fmt: skip


def draw(rng: random.Random) -> list[str]:
    """The options of a small run."""
    depth = rng.choice((2, 3))
    skips = ",".join(map(str, sorted(rng.sample(range(1, depth + 1), rng.randint(0, depth)))))
    drawn = [f"{name}={rng.choice(values)}" for name, values in OPTIONS.items()]
    return [*rng.choice(TARGETS).split(), *rng.choice(STOPS).split(), f"net.depth={depth}", f"skips=[{skips}]", *drawn]


class Round:
    """One run, its twin and its faults. Every violation of a promise is an AssertionError."""

    def __init__(self, place: Path, options: list[str], rng: random.Random) -> None:
        self.place, self.options, self.rng = place, options, rng
        began = time.monotonic()
        self.end(self.begin("twin"), (0,))
        self.seconds, self.twin = time.monotonic() - began, only(place / "twin")
        self.folder = place / "disturbed" / self.twin.name

    def begin(self, out: str = "disturbed", *more: str, room: int | None = None) -> Child:
        """Start the run. With `room`, no file may grow beyond so many bytes, as on a full disk."""

        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, most)) if room else None
        return Child([*self.options, f"out={self.place / out}", *more], self.place / "console", limit)

    def end(self, child: Child, allowed: tuple[int, ...]) -> int:
        """Wait for the run and check its exit status, its output and its folder."""
        code, text = child.ended(), child.output
        assert code in allowed, f"exit status {code}: {text.strip()[-300:]}"
        assert "Traceback" not in text or code in (130, -2), text.strip()[-300:]
        if code == 0:
            for folder in self.place.glob("*/*/"):
                assert runs.finished(folder), "exit status 0, but not finished"
                assert not litter(folder)
        try:
            os.killpg(child.pid, 0)
        except ProcessLookupError:
            return code
        raise AssertionError("a process outlived the run")

    def disturb(self, fault: str) -> None:
        """Inject `fault`, during the run or between two attempts."""
        if fault in SIGNALS:
            child = self.begin()
            if self.rng.random() < 0.75:
                child.wait_for((self.folder / ".lock").exists)
            time.sleep(self.rng.uniform(0, self.seconds / 3))
            for name in fault.split():
                child.send_signal(signal.Signals[name])
                time.sleep(self.rng.uniform(0, 0.05))
            self.end(child, SIGNALS[fault])
        elif fault == "disk full":
            if self.end(self.begin(room=int(10 ** self.rng.uniform(1.5, 5.5))), (0, 1)) == 0:
                # Metrics and images may be missing, but the numbers must be the same.
                assert numbers(self.folder) == numbers(self.twin)
                shutil.rmtree(self.folder)  # so that everything is written again
        elif fault == "result.json" or (fault == "metrics.csv" and not runs.finished(self.folder)):
            if (path := self.folder / fault).exists():  # a finished run makes only its result again
                os.truncate(path, self.rng.randint(0, path.stat().st_size))
        elif fault in DAMAGES and not runs.finished(self.folder):
            checkpoints = [path for path in stored(self.folder / "checkpoints") if path.is_file()]
            for path in checkpoints[: self.rng.choice((1, 2))]:
                DAMAGES[fault](path)
            if checkpoints and not any(map(intact, checkpoints)):
                child = self.begin()
                self.end(child, (1,))
                assert "error: " in child.output
                assert "overwrite=true" in child.output
                self.end(self.begin("disturbed", "overwrite=true"), (0,))

    def finish(self) -> None:
        """Without further faults, the run must end like its twin."""
        self.end(self.begin(), (0,))
        assert not (wrong := differences(self.folder, self.twin)), f"differs from its twin in {', '.join(wrong)}"
        assert only(self.place / "disturbed") == self.folder


def intact(path: Path) -> bool:
    try:
        return bool(verified(path))
    except RunError:
        return False


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="duration (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of options and faults (default 0)")
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="soak-"))
    kinds = ["SIGKILL"] * 4 + [*SIGNALS, *DAMAGES, "result.json", "metrics.csv", "disk full"]
    tried, failed, number, deadline = Counter[str](), 0, 0, time.monotonic() + 60 * given.minutes
    while time.monotonic() < deadline:
        number += 1
        rng = random.Random(f"{given.seed}.{number}")
        place = top / f"round-{number:05d}"
        place.mkdir()
        faults = [rng.choice(kinds) for _ in range(rng.randint(1, 8))]
        tried.update(faults)
        options = draw(rng)
        try:
            this = Round(place, options, rng)
            for fault in faults:
                this.disturb(fault)
            this.finish()
        except (AssertionError, OSError) as error:
            failed += 1
            print(f"FAILED in {place} with {' > '.join(faults)}: {error}", flush=True)
            print(f"    python train.py {shlex.join(options)}", flush=True)
        else:
            shutil.rmtree(place)
    print(f"{number} rounds, {failed} failed; faults: {dict(tried)}")
    if failed:
        return 1
    top.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One round of the soak test: a run of random options, its undisturbed twin, and the faults injected."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from dip import runs
from tests.faults import injecting, invariants
from tests.faults.children import Child, handles

TARGETS = (
    "target=clean", "target=noisy target.sigma=0.2", "target=noise", "target=shuffled", "target=degraded",
    "target=inpaint target.missing=0.5", "target=superres target.simulate=true target.factor=2",
    "target=jpeg target.quality=20", "target=deblur target.simulate=true target.sigma=1",
)  # fmt: skip
STOPS = (
    "stop=never", "stop=auto", "stop=wmv stop.window=10 stop.patience=30", "stop=emv stop.patience=30",
    "stop=heldout stop.patience=20", "stop=combined stop.patience=40", "stop=compare",
)  # fmt: skip
PATIENCE = 180  # seconds that a tiny run may take on a busy machine


def draw(rng: random.Random) -> list[str]:
    """The options of a small run."""
    depth = rng.choice((2, 3))
    skips = sorted(rng.sample(range(1, depth + 1), rng.randint(0, depth)))
    return [
        *rng.choice(TARGETS).split(), *rng.choice(STOPS).split(), f"net.depth={depth}", f"skips={skips}".replace(" ",
        ""), f"net.channels={rng.choice((4, 8))}", f"size={rng.choice(('16', '24', '32', '33', '[20,28]'))}",
        f"precision={rng.choice(('fp32', 'fp32', 'bf16', 'fp64', 'auto'))}", f"steps={rng.randint(5, 150)}",
        f"record_every={rng.randint(1, 20)}", f"checkpoint_every={rng.choice((0, 0.05, 0.3))}",
        f"logger={rng.choice(('csv', 'csv', 'tensorboard'))}", f"keep_checkpoint={rng.choice(('true', 'false'))}",
        f"baselines={rng.choice(('true', 'false', 'false'))}", f"perturbation={rng.choice((0, 0.03))}",
        f"z.distribution={rng.choice(('gaussian', 'uniform'))}", f"ema={rng.choice((0.9, 0.99))}",
        f"seed={rng.randint(0, 10**6)}", f"ensemble={rng.choice((1, 1, 1, 2))}",
        f"perturbation_warm_up={rng.choice((0, 0, 20))}", f"optimizer={rng.choice(('adam', 'muon'))}",
    ]  # fmt: skip


class Violation(Exception):
    """Something that must hold does not."""


class Round:
    """One run, its twin and its faults."""

    def __init__(self, place: Path, options: list[str], rng: random.Random) -> None:
        self.place, self.options, self.rng = place, options, rng
        self.suffered: list[str] = []
        self.current = "no fault"
        self.console = place / "console.txt"
        self.folder = place / "run"  # until the twin's folder gives the name
        self.seconds = 1.0

    def begin(self, out: str, *more: str, prepare: Callable[[], None] | None = None) -> Child:
        """Start the run."""
        self.litter = invariants.litter(self.folder)
        self.child = Child([*self.options, f"out={self.place / out}", *more], self.console, prepare)
        return self.child

    def wait_a_little(self, child: Child) -> None:
        """Wait for a random time: until the imports, in three of four cases until the fit or its end."""
        if self.rng.random() < 0.75:
            child.wait_for((self.folder / ".lock").exists)
            time.sleep(self.rng.uniform(0, self.seconds / 3))
        else:
            time.sleep(self.rng.uniform(0, self.seconds))

    def end(self, child: Child, allowed: tuple[int, ...], room: int | None = None) -> int:
        """Wait for the run and check its folder. Its output is limited to `room` bytes."""
        code = child.wait(PATIENCE)
        text = child.text
        if room is not None and len(text.encode()) >= room:
            text = "error: (the disk is full)"
        found = invariants.complaints(self.folder, code, text, self.litter) if self.folder.is_dir() else []
        if code not in allowed:
            found.append(f"exit status {code}: {child.text.strip().splitlines()[-1:]}")
        if survivors := child.survivors():
            found.append(f"processes {survivors} outlived the run")
        if found:
            raise Violation("; ".join(found))
        return code

    def refused(self, child: Child, *words: str) -> None:
        """Wait for a run that must fail with one line that contains `words`."""
        code, text = child.wait(PATIENCE), child.text
        if code != 1 or "Traceback" in text or not all(word in text for word in ("error: ", *words)):
            raise Violation(f"exit status {code}: {text.strip()[-300:]}")

    def twin(self) -> None:
        """The undisturbed run, which also shows how long one takes."""
        began = time.monotonic()
        self.end(self.begin("twin"), (0,))
        self.seconds = time.monotonic() - began
        (folder,) = (self.place / "twin").iterdir()
        self.folder = self.place / "disturbed" / folder.name
        self.evidence = invariants.evidence(folder)

    def disturb(self) -> None:
        """Inject one fault, during the run or between two attempts."""
        others = {
            "disk full": self.disk_full, "folder gone": self.folder_gone,
            "folder not writable": self.not_writable, "folder held": self.held,
        }  # fmt: skip
        kinds = [*injecting.SIGNALS, *injecting.DAMAGES, *others]
        weights = [8 if kind == "SIGKILL" else 2 if kind in injecting.SIGNALS else 1 for kind in kinds]
        self.current = kind = self.rng.choices(kinds, weights)[0]
        if kind in injecting.SIGNALS:
            self.signal(*injecting.SIGNALS[kind])
        elif kind in injecting.DAMAGES:
            if not self.folder.is_dir() or not injecting.may_damage(kind, self.folder):
                return
            if not injecting.DAMAGES[kind](self.folder, self.rng):
                return
            if not invariants.usable(self.folder):
                self.refused(self.begin("disturbed"), "overwrite=true", str(self.folder))
                self.end(self.begin("disturbed", "overwrite=true"), (0,))
        elif kind in ("disk full", "folder gone") or (self.folder.is_dir() and not runs.finished(self.folder)):
            others[kind]()
        else:
            return
        self.suffered.append(kind)

    def signal(self, numbers: list[int], allowed: tuple[int, ...]) -> None:
        child = self.begin("disturbed")
        self.wait_a_little(child)
        if numbers == [signal.SIGUSR1]:  # the default action ends a process that has no handler yet
            child.wait_for(lambda: handles(child.pid, signal.SIGUSR1))
        for number in numbers:
            child.send(number)
            time.sleep(self.rng.uniform(0, 0.05))
        self.end(child, allowed)

    def disk_full(self) -> None:
        room = int(10 ** self.rng.uniform(1.5, 5.5))
        child = self.begin("disturbed", prepare=injecting.limited(room))
        if self.end(child, (0, 1), room) == 0 and self.folder.is_dir() and runs.finished(self.folder):
            # Metrics and images may be missing, but the numbers must be the same.
            if invariants.numbers(self.folder) != self.evidence["result"]:
                raise Violation("another result than its twin's")
            shutil.rmtree(self.folder)  # so that everything is written again

    def folder_gone(self) -> None:
        child = self.begin("disturbed")
        self.wait_a_little(child)
        aside = self.folder.with_name(f"{self.folder.name}.aside")
        if not self.folder.is_dir():
            child.wait(PATIENCE)
            return
        os.rename(self.folder, aside)
        code = child.wait(PATIENCE)
        finished = any(map(runs.finished, (aside, self.folder)))  # it may have moved before the run held it
        shutil.rmtree(self.folder, ignore_errors=True)
        os.rename(aside, self.folder)
        if code == 0 and not finished:
            raise Violation("exit status 0 without a run folder")
        if code != 0 and ("error: " not in child.text or str(self.folder) not in child.text):
            raise Violation(f"the folder is not named: {child.text.strip()[-300:]}")

    def not_writable(self) -> None:
        self.folder.chmod(0o555)
        try:
            self.refused(self.begin("disturbed", prepare=injecting.nobody), str(self.folder))
        finally:
            self.folder.chmod(0o755)

    def held(self) -> None:
        with runs.Lock(self.folder):
            self.refused(self.begin("disturbed"), "in use by")

    def finish(self) -> None:
        """Without further faults, the run must end like its twin."""
        self.end(self.begin("disturbed"), (0,))
        if wrong := invariants.differences(invariants.evidence(self.folder), self.evidence):
            raise Violation(f"differs from its undisturbed twin in {', '.join(wrong)}")
        others = [path.name for path in (self.place / "disturbed").iterdir() if path != self.folder]
        if others:
            raise Violation(f"another folder appeared: {', '.join(others)}")

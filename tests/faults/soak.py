"""Soak test: random runs under random faults for a given time.

    python -m tests.faults.soak --minutes 60 --seed 0

Each round draws options, makes an undisturbed twin, disturbs the same run several times and lets it end: it must equal
its twin exactly. One process at a time, one thread. At the end: a table (fault, tried, survived), the same as CSV, and
exit status 1 after a violation. The folders of such rounds are kept.
"""

from __future__ import annotations

import argparse
import csv
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.children import Hang
from tests.faults.rounds import Round, Violation, draw


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="duration (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of options and faults (default 0)")
    parser.add_argument("--csv", type=Path, default=Path("outputs/soak.csv"), help="table (default outputs/soak.csv)")
    parser.add_argument("--folder", type=Path, help="for the runs (default: a temporary folder)")
    options = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    top.chmod(0o755)
    tried, survived = Counter[str](), Counter[str]()
    violations, number, deadline = 0, 0, time.monotonic() + 60 * options.minutes
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it still reports when it is ended early
    while time.monotonic() < deadline:
        number += 1
        rng = random.Random(f"{options.seed}.{number}")
        place = top / f"round-{number:05d}"
        place.mkdir()
        this = Round(place, draw(rng), rng)
        try:
            this.twin()
            for _ in range(rng.randint(1, 8)):
                this.disturb()
            this.current = "no fault"
            this.finish()
        except (Violation, Hang, OSError, ValueError) as error:
            violations += 1
            tried.update([*this.suffered, this.current])
            survived.update(this.suffered if this.current != "no fault" else ())
            print(
                f"VIOLATED in {place} after {' > '.join([*this.suffered, this.current])}: {error!r}",
                flush=True,
            )
            print(f"    python train.py {shlex.join(this.options)}", flush=True)
            continue
        except KeyboardInterrupt:
            this.child.send(signal.SIGKILL)
            break
        tried.update(["no fault", *this.suffered])
        survived.update(["no fault", *this.suffered])
        shutil.rmtree(place)
    if not any(top.iterdir()):
        top.rmdir()
    print(f"\n{'fault':<40} {'tried':>6} {'survived':>9}")
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    with open(options.csv, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("fault", "tried", "survived"))
        for kind in sorted(tried):
            print(f"{kind:<40} {tried[kind]:>6} {survived[kind]:>9}")
            writer.writerow((kind, tried[kind], survived[kind]))
    print(f"{number} rounds, {sum(tried.values())} cases, {violations} violations; written to {options.csv}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

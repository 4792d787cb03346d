"""Random runs under random faults for a given time, against what must always hold.

    python -m tests.faults.soak --minutes 60 --seed 0

Each round draws options, makes an undisturbed twin, then disturbs the same run several times and lets it end: it
must equal its twin to the bit. One process at a time, one thread. At the end: a table (fault, cases tried, cases
survived), the same as CSV, and exit status 1 where anything was violated; the folders of such rounds are kept.
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

from tests.faults import children
from tests.faults.rounds import Round, Violation, draw


def main() -> int:
    """The command line; the answer is the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of options and faults (default 0)")
    parser.add_argument(
        "--csv",
        type=Path,
        default=Path("outputs/soak.csv"),
        help="where the table goes (default outputs/soak.csv)",
    )
    parser.add_argument("--folder", type=Path, help="for the runs (default: a temporary one)")
    options = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    top.chmod(0o755)
    children.get_ready()
    tried, survived = Counter[str](), Counter[str]()
    violations: list[tuple[str, str, str]] = []
    deadline, number = time.monotonic() + 60 * options.minutes, 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end early, it still reports
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
        except (Violation, children.Hang, OSError, ValueError) as error:
            befell = [*this.suffered, this.current]
            tried.update(befell)
            survived.update(this.suffered if this.current != "no fault" else ())
            violations.append((str(place), " > ".join(befell), " ".join(f"{error!r}".split())))
            print(f"VIOLATED in {place} after {violations[-1][1]}: {error}", flush=True)
            print(f"    python train.py {shlex.join(this.options)}", flush=True)
            continue
        except KeyboardInterrupt:
            this.child.send(signal.SIGKILL)
            break
        befell = ["no fault", *this.suffered]
        tried.update(befell)
        survived.update(befell)
        shutil.rmtree(place)
    if not any(top.iterdir()):
        top.rmdir()
    report(options.csv, number, tried, survived, violations)
    return 1 if violations else 0


def report(
    path: Path,
    rounds: int,
    tried: Counter[str],
    survived: Counter[str],
    violations: list[tuple[str, str, str]],
) -> None:
    """Prints the table and writes it to `path`."""
    print(f"\n{'fault':<40} {'tried':>6} {'survived':>9}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("fault", "tried", "survived"))
        for kind in sorted(tried):
            print(f"{kind:<40} {tried[kind]:>6} {survived[kind]:>9}")
            writer.writerow((kind, tried[kind], survived[kind]))
    print(f"{rounds} rounds, {sum(tried.values())} cases, {len(violations)} violations; written to {path}")


if __name__ == "__main__":
    sys.exit(main())

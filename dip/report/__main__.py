"""python -m dip.report FOLDER"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from dip.errors import DipError
from dip.report import write


def main() -> int:
    """Writes the report of the folder named on the command line and says where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m dip.report",
        description="One page about all runs in a folder, finished or not: report.html, results.csv, figures/.",
        epilog="example: python -m dip.report outputs/skips --title 'Do skips at levels 3 and 4 beat all five?'",
    )
    parser.add_argument("folder", type=Path, help="a folder of runs, such as outputs")
    parser.add_argument(
        "--title", help="the question the runs answer; default: the head comment of FOLDER/sweep.yaml"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        print(write(arguments.folder, arguments.title))
    except DipError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

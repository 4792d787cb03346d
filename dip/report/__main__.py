"""The command `python -m dip.report FOLDER`."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from dip.errors import DipError


def main() -> int:
    """Write the page and print its path; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dip.report",
        description="One page about all runs in a folder, finished or not: report.html, results.csv, figures/.",
        epilog="examples: python -m dip.report outputs/skips --title 'Do skips at levels 3 and 4 beat all five?'; "
        "python -m dip.report outputs/skips --publish sweeps/results/skips",
    )
    parser.add_argument("folder", type=Path, help="a folder of runs, for example outputs")
    parser.add_argument(
        "--publish",
        type=Path,
        metavar="TO",
        help="write a result page into folder TO instead: README.md (with the text of TO/reading.md), CSV files, figures",
    )
    parser.add_argument(
        "--leaderboard",
        action="store_true",
        help="compare the methods by their names instead: leaderboard.html and leaderboard.csv, or with --publish its page",
    )
    parser.add_argument("--title", help="the question; default: the first line of FOLDER/sweep.yaml")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    from dip.report import leaderboard_page, page, publishing  # imports matplotlib, which `--help` does not need

    made: Any = leaderboard_page if options.leaderboard else publishing if options.publish else page
    given = [options.folder, options.publish] if options.publish else [options.folder]
    try:
        print((made.publish if options.publish else made.write)(*given, options.title))
    except DipError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

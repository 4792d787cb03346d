"""python -m dip.report FOLDER"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from dip.errors import DipError
from dip.report import publish, refresh, write


def main() -> int:
    """Writes what the command line asks for and says where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m dip.report",
        description="One page about all runs in a folder, finished or not: report.html, results.csv, figures/.",
        epilog="examples: python -m dip.report outputs/skips --title 'Do skips at levels 3 and 4 beat all five?'; "
        "python -m dip.report outputs/skips --publish sweeps/results/skips; python -m dip.report --tables README.md",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", type=Path, nargs="?", help="a folder of runs, such as outputs")
    what.add_argument(
        "--tables",
        type=Path,
        nargs="+",
        metavar="PAGE",
        help="write the tables of these Markdown pages anew from the files that they name",
    )
    parser.add_argument(
        "--publish",
        type=Path,
        metavar="TO",
        help="instead, write a result to be shown into folder TO: README.md with TO/reading.md in it, CSVs, small figures",
    )
    parser.add_argument(
        "--title", help="the question the runs answer; default: the head comment of FOLDER/sweep.yaml"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        if arguments.tables:
            for page in arguments.tables:
                print(f"{page}: {'written anew' if refresh(page) else 'as it was'}")
        elif arguments.publish:
            print(publish(arguments.folder, arguments.publish, arguments.title))
        else:
            print(write(arguments.folder, arguments.title))
    except DipError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

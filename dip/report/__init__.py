"""Many runs to one page: `python -m dip.report FOLDER`, at any time, also while the runs are going on.

With `--publish`, to a result that others can read, with its numbers in tables that are made from its CSV.
"""

from __future__ import annotations

import os
from pathlib import Path

from dip.configuration.commands import command

__all__ = ["command", "publish", "refresh", "write"]


def write(folder: str | os.PathLike[str], title: str | None = None) -> Path:
    """Writes `report.html`, `results.csv` and `figures/` into `folder`, from all runs in it and below.

    Args:
        folder: of run folders, finished or not. Nothing in them is changed.
        title: the question that the runs answer; default the head comment of `sweep.yaml` in `folder`, else its name.

    Returns:
        The path of the page: one HTML file with all in it, to be opened from disk or from a mail.

    Raises:
        RunError: there is no such folder, there is no run in it, or the page cannot be written.
    """
    # matplotlib and jinja2 only when there is a page to make: `command` is wanted by programs that need neither.
    from dip.report.build import build

    return build(Path(folder), title)


def publish(folder: str | os.PathLike[str], to: str | os.PathLike[str], title: str | None = None) -> Path:
    """Writes a result to be shown into `to`: see `dip.report.published.publish`."""
    from dip.report import published

    return published.publish(Path(folder), Path(to), title)


def refresh(page: str | os.PathLike[str]) -> bool:
    """Writes the tables of a Markdown page anew from their files: see `dip.report.marked`."""
    from dip.report import marked

    return marked.refresh(Path(page))

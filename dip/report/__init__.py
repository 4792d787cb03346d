"""Many runs to one page: `python -m dip.report FOLDER`, at any time, also while the runs are going on."""

from __future__ import annotations

import os
from pathlib import Path

from dip.report.commands import command

__all__ = ["command", "write"]


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

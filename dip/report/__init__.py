"""Reports of many runs: `python -m dip.report FOLDER`, at any time, also while the runs are in progress.

`--publish` writes a result page for a repository instead.
"""

from __future__ import annotations

import os
from pathlib import Path

from dip.configuration.commands import command

__all__ = ["command", "publish", "write", "write_leaderboard"]


def write_leaderboard(
    folder: str | os.PathLike[str], title: str | None = None, to: str | os.PathLike[str] | None = None
) -> Path:
    """Write the page of a leaderboard: see `dip.report.leaderboard_page.write`, or with `to` its `publish`."""
    from dip.report import leaderboard_page

    if to is None:
        return leaderboard_page.write(Path(folder), title)
    return leaderboard_page.publish(Path(folder), Path(to), title)


def write(folder: str | os.PathLike[str], title: str | None = None) -> Path:
    """Write `report.html`, `results.csv` and `figures/` into `folder`, from all runs in it and below.

    Args:
        folder: of run folders, finished or not. The run folders are not changed.
        title: the question that the runs answer; default the head comment of `sweep.yaml` in `folder`, else its name.

    Returns:
        The path of the page, one self-contained HTML file.

    Raises:
        RunError: there is no such folder, it holds no run, or the page cannot be written.
    """
    from dip.report.page import build  # imports matplotlib and jinja2, which `command` does not need

    return build(Path(folder), title)


def publish(folder: str | os.PathLike[str], to: str | os.PathLike[str], title: str | None = None) -> Path:
    """Write a result page into folder `to`: see `dip.report.publishing.publish`."""
    from dip.report import publishing

    return publishing.publish(Path(folder), Path(to), title)

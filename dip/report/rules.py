"""Stopping rules side by side: what each would have kept, on the runs that all of them watched (`stop=compare`)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from dip.report.collect import Run

STEPS = 10_000
"""What a run of the report takes; a rule saves what it leaves of them."""


def watched(found: Sequence[Run]) -> list[Run]:
    """The runs that have an answer of every rule, and a reference to judge it by."""
    answers = [run for run in found if run.done and run.result.get("rules")]
    return [run for run in answers if all(rule["gap"] is not None for rule in run.result["rules"].values())]


def gaps(found: Sequence[Run]) -> dict[str, list[float]]:
    """By rule that all runs have: the gap of each in dB, from the image that it keeps to the best recorded one."""
    runs = watched(found)
    names = (
        [name for name in runs[0].result["rules"] if all(name in run.result["rules"] for run in runs)]
        if runs
        else []
    )
    return {name: [run.result["rules"][name]["gap"] for run in runs] for name in names}


def rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per rule: `n` runs, mean, median and worst `gap` in dB, how many runs it `ended`, and when.

    `ended_step` is the mean over the runs that it would have ended, `saved` the share of 10,000 steps that it would have
    saved on average; a run that it would not have ended counts with none saved.
    """
    runs, table = watched(found), []
    for name, values in gaps(found).items():
        ended = [run.result["rules"][name]["ended"] for run in runs]
        known = [step for step in ended if step is not None]
        saved = [0.0 if step is None else max(0.0, 1 - step / STEPS) for step in ended]
        table.append(
            {
                "rule": name, "n": len(runs), "gap_mean": statistics.mean(values),
                "gap_median": statistics.median(values), "gap_worst": max(values), "ended": len(known),
                "ended_step": statistics.mean(known) if known else None, "saved": statistics.mean(saved),
            }
        )  # fmt: skip
    return sorted(table, key=lambda row: row["gap_mean"])

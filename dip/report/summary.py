"""Runs to numbers for publication: one row per experiment, each result as mean and spread over its seeds."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dip import runs
from dip.report import papers
from dip.report.collect import Run, portable, shown
from dip.report.figures.curves import around
from dip.report.statistics import Group, grouped, spread

LOSS_STEPS = (100, 300, 1_000, 3_000, 10_000)
"""Where the loss is read off, as far as the runs go; and at the end."""

_DIGITS = 7  # enough that no table shows a rounding of a rounding


def rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per experiment: what sets it apart, `n` runs that came to their end, and their results.

    A result is two columns, `<name>` for the mean and `<name>_std` for the sample standard deviation (empty for one
    run). Results are those of `results`; an experiment without a finished run has none.
    """
    groups = grouped(found)
    options = list(dict.fromkeys(name for group in groups for name in group.options))
    groups.sort(key=lambda group: [_size(group.options.get(name)) for name in options])
    measured = [[results(run) for run in group.done] for group in groups]
    names = list(dict.fromkeys(name for values in measured for value in values for name in value))
    names.sort(key=_place)
    table = []
    for group, values in zip(groups, measured, strict=True):
        row: dict[str, Any] = {name: _option(group, name) for name in options}
        row["n"] = len(group.done)
        for name in names:
            known = spread([value[name] for value in values if name in value])
            row[name] = None if known is None else known.mean
            row[f"{name}_std"] = None if known is None else known.std
        table.append(row)
    return table


def results(run: Run) -> dict[str, float]:
    """The numbers of one run, as far as it has them.

    - `oracle_psnr`, `oracle_step`: the best recorded PSNR in dB, known with hindsight, and its step
    - `end_psnr`, `drop`: the PSNR at the last step, and how far it lies below the best
    - `psnr`, `restored_step`, `gap`: of the image that was kept, and how far its PSNR lies below the best
    - `psnr_y`, `psnr_hole`, `ssim`: of the image that was kept, by their protocols
    - `loss_100`, ..., `loss_end`: the mean loss within a twentieth of a decade around that step
    - `steps`, `seconds`, `step_seconds`
    - `<baseline>_psnr`: of a classical method on the same observation
    """
    values: dict[str, Any] = {name: run.result.get(name) for name in _FROM_RESULT}
    values["steps"] = run.steps
    curve = run.psnr()[1]
    if len(curve) and math.isfinite(curve[-1]):
        values["end_psnr"] = curve[-1]
    for name, below in (("drop", "end_psnr"), ("gap", "psnr")):
        if values.get("oracle_psnr") is not None and values.get(below) is not None:
            values[name] = values["oracle_psnr"] - values[below]
    steps, losses = papers.losses(run)
    if np.size(losses):
        last = int(np.size(losses) if steps is None else np.asarray(steps)[-1])
        at = [step for step in LOSS_STEPS if step < last] + [last]
        names = [f"loss_{step}" for step in at[:-1]] + ["loss_end"]
        values |= dict(zip(names, map(float, around(losses, at, steps)), strict=True))
    for name, scores in (run.result.get("baselines") or {}).items():
        values[f"{name}_psnr"] = scores.get("psnr")
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


_FROM_RESULT = (
    "oracle_psnr", "oracle_step", "psnr", "psnr_y", "psnr_hole", "restored_step", "ssim", "seconds", "step_seconds"
)  # fmt: skip
_ORDER = (
    "steps", "oracle_psnr", "oracle_step", "end_psnr", "drop", "psnr", "psnr_y", "psnr_hole", "restored_step", "gap",
    "ssim",
    *(f"loss_{step}" for step in LOSS_STEPS), "loss_end", "seconds", "step_seconds",
)  # fmt: skip


def _size(value: Any) -> tuple[float, str]:
    """For sorting: numbers by their size, before texts by the alphabet."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return (value, "") if known else (math.inf, shown(value))


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _option(group: Group, name: str) -> str | None:
    return shown(portable(group.options[name])) if name in group.options else None


def written(table: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, numbers in seven digits, the unknown empty."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in table)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}" if math.isfinite(value) else ""
    return "" if value is None else value


def each_run(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per run: its name, seed, status, options and results."""
    swept = list(dict.fromkeys(name for run in found for name in run.options))
    names = sorted(dict.fromkeys(name for run in found for name in results(run)), key=_place)
    table = []
    for run in found:
        options = {name: run.options.get(name) for name in swept}
        known = results(run) if run.done else {}
        table.append(
            {
                "run": run.folder.name or run.path.resolve().name,
                **{n: None if v is None else shown(portable(v)) for n, v in options.items()},
                "seed": run.seed,
                "status": run.status,
                **{name: known.get(name) for name in names},
            }
        )
    return table


def common(found: Sequence[Run], name: str) -> str:
    """What the runs' configurations say of option `name`, in words; several values with commas."""
    values = [runs.flat(run.config).get(name) for run in found if run.config]
    return ", ".join(dict.fromkeys(shown(portable(value)) for value in values))

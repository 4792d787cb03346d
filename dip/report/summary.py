"""Tables of numbers: one row per experiment (mean and standard deviation over seeds), per run, per stopping rule."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dip.report.collect import Run, option_names, portable, shown
from dip.report.figures.curves import around

LOSS_STEPS = (100, 300, 1_000, 3_000, 10_000)
"""Steps at which the loss is reported, as far as the run goes; the last step is added."""
DEFAULT_STEPS = 10_000
"""Steps of a run by default; the steps that a stopping rule saves are counted from here."""

_ORDER = (
    "steps", "oracle_psnr", "oracle_step", "end_psnr", "drop", "psnr", "psnr_y", "psnr_hole", "restored_step", "gap",
    "ssim", *(f"loss_{step}" for step in LOSS_STEPS), "loss_end", "seconds", "step_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation (divisor n - 1; None below two values) and the values themselves."""

    mean: float
    std: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Group:
    """The runs of one experiment: equal options, different seeds."""

    options: dict[str, Any]
    runs: tuple[Run, ...]

    @property
    def done(self) -> tuple[Run, ...]:
        """The finished runs; only these are averaged."""
        return tuple(run for run in self.runs if run.done)

    def spread(self, name: str) -> Spread | None:
        """Spread of result `name` over the finished runs; None if none of them has it."""
        return spread([run.result[name] for run in self.done if run.result.get(name) is not None])


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and standard deviation of `values`; None without values."""
    if not values:
        return None
    std = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), std, tuple(values))


def plus_minus(mean: float, std: float | None, digits: str, factor: float = 1) -> str:
    """`26.90 ± 0.01`: the mean in format `digits`, the standard deviation with as many decimals."""
    text = format(mean * factor, digits)
    if std is None:
        return text
    decimals = None if "e" in text or "%" in text else len(text.partition(".")[2])
    return f"{text} ± {std * factor:{'.2g' if decimals is None else f',.{decimals}f'}}"


def grouped(found: Sequence[Run]) -> list[Group]:
    """The experiments in the order of their first run; runs with unknown options are left out."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        if run.config:
            groups.setdefault(run.label, []).append(run)
    return [Group(members[0].options, tuple(members)) for members in groups.values()]


def results(run: Run) -> dict[str, float]:
    """The numbers of one run, as far as it has them.

    - `oracle_psnr`, `oracle_step`: the best recorded PSNR in dB, known with hindsight, and its step
    - `end_psnr`, `drop`: the PSNR at the last step, and its distance below the best
    - `psnr`, `restored_step`, `gap`: of the restored image; `gap` is the distance of its PSNR below the best
    - `psnr_y`, `psnr_hole`, `ssim`: of the restored image, see `protocol` in `result.json`
    - `loss_100`, ..., `loss_end`: the mean loss within a twentieth of a decade around that step
    - `steps`, `seconds`, `step_seconds`
    - `<baseline>_psnr`: of a baseline on the same observation
    """
    values: dict[str, Any] = {name: run.result.get(name) for name in _ORDER}
    values["steps"] = run.steps
    curve = run.psnr_curve()[1]
    if len(curve) and math.isfinite(curve[-1]):
        values["end_psnr"] = curve[-1]
    for name, below in (("drop", "end_psnr"), ("gap", "psnr")):
        if values.get("oracle_psnr") is not None and values.get(below) is not None:
            values[name] = values["oracle_psnr"] - values[below]
    steps, losses = run.loss_curve()
    if np.size(losses):
        last = int(steps[-1])
        at = [step for step in LOSS_STEPS if step < last]
        names = [*(f"loss_{step}" for step in at), "loss_end"]
        values |= dict(zip(names, map(float, around(losses, [*at, last], steps)), strict=True))
    for name, scores in (run.result.get("baselines") or {}).items():
        values[f"{name}_psnr"] = scores.get("psnr")
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def experiment_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per experiment: the options that differ, the number `n` of finished runs, and their results.

    A result has two columns: `<name>` is the mean, `<name>_std` the sample standard deviation (None for one run).
    """
    options = option_names(found)
    groups = sorted(grouped(found), key=lambda group: [_sort_key(group.options.get(name)) for name in options])
    measured = [[results(run) for run in group.done] for group in groups]
    names = _result_names([values for group in measured for values in group])
    table = []
    for group, values in zip(groups, measured, strict=True):
        row: dict[str, Any] = {name: _option(group.options, name) for name in options}
        row["n"] = len(group.done)
        for name in names:
            known = spread([value[name] for value in values if name in value])
            row |= {name: known and known.mean, f"{name}_std": known and known.std}
        table.append(row)
    return table


def run_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per run: its name, the options that differ, seed, status and results."""
    measured = [results(run) if run.done else {} for run in found]
    options, names = option_names(found), _result_names(measured)
    return [
        {
            "run": run.name,
            **{name: _option(run.options, name) for name in options},
            "seed": run.seed,
            "status": run.status,
            **{name: values.get(name) for name in names},
        }
        for run, values in zip(found, measured, strict=True)
    ]


def rule_gaps(found: Sequence[Run]) -> dict[str, list[float]]:
    """Stopping rule -> the gap of each run in dB, from the rule's image to the best recorded one (`stop=compare`).

    Runs without a reference and rules that some run lacks are left out.
    """
    return {name: [answer["gap"] for answer in answers] for name, answers in _rules(found).items()}


def rule_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per stopping rule, the smallest mean gap first.

    `n` runs, mean, median and worst `gap` in dB, the number of runs `ended`, the mean `ended_step` of these, and
    `saved`: the mean share of the default 10,000 steps that the rule saves, 0 for a run that it does not end.
    """
    table: list[dict[str, Any]] = []
    for name, answers in _rules(found).items():
        gaps = [answer["gap"] for answer in answers]
        ended = [answer["ended"] for answer in answers if answer["ended"] is not None]
        saved = sum(max(0.0, 1 - step / DEFAULT_STEPS) for step in ended) / len(answers)
        table.append(
            {
                "rule": name, "n": len(gaps), "gap_mean": statistics.mean(gaps), "gap_median": statistics.median(gaps),
                "gap_worst": max(gaps), "ended": len(ended), "ended_step": statistics.mean(ended) if ended else None,
                "saved": saved,
            }
        )  # fmt: skip
    return sorted(table, key=lambda row: row["gap_mean"])


def csv_text(rows: Sequence[Mapping[str, Any]], digits: int | None = 7) -> str:
    """Rows as CSV: floats in `digits` significant digits (None: all), empty cells for None, NaN and infinities."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return "" if not math.isfinite(value) else value if digits is None else f"{value:.{digits}g}"
        return "" if value is None else value

    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _rules(found: Sequence[Run]) -> dict[str, list[dict[str, Any]]]:
    """Rule -> what it would have done in each finished run; see `rule_gaps`."""
    runs = [rules for run in found if run.done and (rules := run.result.get("rules"))]
    runs = [rules for rules in runs if all(rule["gap"] is not None for rule in rules.values())]
    names = [name for name in (runs[0] if runs else ()) if all(name in rules for rules in runs)]
    return {name: [rules[name] for rules in runs] for name in names}


def _result_names(measured: Sequence[Mapping[str, float]]) -> list[str]:
    names = dict.fromkeys(name for values in measured for name in values)
    return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def _option(options: Mapping[str, Any], name: str) -> str | None:
    return shown(portable(options[name])) if name in options else None


def _sort_key(value: Any) -> tuple[float, str]:
    """Numbers in ascending order, then texts in alphabetical order."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return (value, "") if number else (math.inf, shown(value))

"""The two tables of the page, column by column, as texts and sort keys: the template only prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dip.report.collect import Run, shown
from dip.report.summary import Group, Spread, plus_minus


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and the value that it is sorted by (None: unknown, always last)."""

    text: str = ""
    key: float | str | None = None
    kind: str = ""
    dots: tuple[float, ...] = ()
    """Positions in [0, 1] of the mean and of the single values, for a small plot."""


@dataclass(frozen=True)
class Column:
    """A column of a table; `first` is the sort direction of the first click on its header."""

    title: str
    cells: list[Cell]
    hint: str = ""
    number: bool = True
    first: str = "ascending"


_RESULTS = (  # result, title, hint, format, factor, first sort direction
    ("psnr", "PSNR", "dB, of the restored image", ".2f", 1, "descending"),
    ("ssim", "SSIM", "of the restored image", ".3f", 1, "descending"),
    ("oracle_psnr", "best PSNR", "dB, the best recorded, known with hindsight", ".2f", 1, "descending"),
    ("oracle_step", "best step", "step of the best PSNR", ",.0f", 1, "ascending"),
    ("restored_step", "restored", "step of the restored image", ",.0f", 1, "ascending"),
    ("loss", "loss", "at the last step", "#.3g", 1, "ascending"),
    ("step_seconds", "ms/step", "median", ".3g", 1000, "ascending"),
)


def run_table(found: Sequence[Run]) -> list[Column]:
    """One row per run: the options that differ, how it ended, and the results that any run has."""
    columns = _options(found)
    if not columns or any(not run.config for run in found):
        columns.insert(0, Column("run", [Cell(run.name, run.name) for run in found], number=False))
    columns += [
        Column("seed", [_number(run.seed, "d") for run in found]),
        Column("status", [Cell(run.status, run.status, "status") for run in found], number=False),
        Column("steps", [_number(run.steps, ",d") for run in found]),
        *(
            Column(title, [_number(run.result.get(name), digits, factor) for run in found], hint, first=first)
            for name, title, hint, digits, factor, first in _RESULTS
        ),
        Column("time", [_time(run.result.get("seconds")) for run in found], "minutes:seconds"),
    ]
    return [column for column in columns if any(cell.key is not None for cell in column.cells)]


def group_table(groups: Sequence[Group]) -> list[Column]:
    """One row per experiment: mean and standard deviation of the results over its finished runs.

    PSNRs are comparable only for the same target of the same image. Within each such task the highest mean is of kind
    "best", and the small plots share one scale.
    """
    columns = [*_options(groups), Column("n", [_count(group) for group in groups], "finished runs")]
    tasks = [_task(group) for group in groups]
    for name, title, hint, digits, factor, first in _RESULTS:
        spreads = [group.spread(name) for group in groups]
        if not any(spreads) or name == "restored_step":
            continue
        comparable = [[s for s, other in zip(spreads, tasks, strict=True) if s and other == task] for task in tasks]
        rows = list(zip(spreads, comparable, strict=True))
        cells = [_spread(value, others, name == "psnr", digits, factor) for value, others in rows]
        columns.append(Column(title, cells, hint, first=first))
        if name == "psnr":
            dots = [
                Cell("", value.mean if value else None, "dots", _positions(value, others)) for value, others in rows
            ]
            columns.append(Column("each run", dots, "PSNR of every run, the mean as a bar", first=first))
    return columns


def _options(rows: Sequence[Run] | Sequence[Group]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.options)
    return [Column(name, [_option(row.options, name) for row in rows], number=False) for name in names]


def _option(options: Mapping[str, Any], name: str) -> Cell:
    if name not in options:
        return Cell()
    value = options[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(shown(value), value if number else shown(value))


def _count(group: Group) -> Cell:
    done, all_runs = len(group.done), len(group.runs)
    return Cell(str(done) if done == all_runs else f"{done} of {all_runs}", done)


def _number(value: float | None, digits: str, factor: float = 1) -> Cell:
    return Cell() if value is None else Cell(format(value * factor, digits), value)


def _time(seconds: float | None) -> Cell:
    if seconds is None:
        return Cell()
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return Cell(f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}", seconds)


def _spread(value: Spread | None, others: Sequence[Spread], compared: bool, digits: str, factor: float) -> Cell:
    if value is None:
        return Cell()
    best = compared and len(others) > 1 and value.mean == max(other.mean for other in others)
    return Cell(plus_minus(value.mean, value.std, digits, factor), value.mean, "best" if best else "")


def _task(group: Group) -> tuple[tuple[str, str], ...]:
    """The options that define a task: scores are comparable only if these are equal."""
    names = ("image", "reference", "size", "target")
    return tuple((name, shown(value)) for name, value in group.options.items() if name.split(".")[0] in names)


def _positions(score: Spread | None, comparable: Sequence[Spread]) -> tuple[float, ...]:
    """Positions of the mean and the values of `score` between the lowest and the highest value in `comparable`."""
    if score is None:
        return ()
    values = [value for other in comparable for value in other.values]
    low, width = min(values), max(values) - min(values)
    return tuple((value - low) / width if width else 0.5 for value in (score.mean, *score.values))

"""The page's two tables as plain rows of cells: a template only has to print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dip.report.collect import Run, shown
from dip.report.statistics import Group, Spread


@dataclass(frozen=True)
class Column:
    """A column of a table. `first` is the direction in which the first click sorts it."""

    title: str
    hint: str = ""
    number: bool = True
    first: str = "ascending"


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by (None: unknown, always last)."""

    text: str
    key: float | str | None = None
    kind: str = ""
    dots: tuple[float, ...] = ()
    """Places in [0, 1] of the single values, for a small drawing."""


@dataclass(frozen=True)
class Table:
    """Columns and rows of the same length."""

    columns: list[Column]
    rows: list[list[Cell]]


def run_table(found: Sequence[Run]) -> Table:
    """One row per run: what sets it apart, how it ended, and those results that any run has."""
    names = _options(found)
    columns = [Column(name, number=False) for name in names]
    rows = [[_option(run.options.get(name), name in run.options) for name in names] for run in found]
    if not names or any(not run.config for run in found):
        columns.insert(0, Column("run", number=False))
        for run, row in zip(found, rows, strict=True):
            name = run.folder.name or run.path.resolve().name
            row.insert(0, Cell(name, name))
    for column, cells in _results(found):
        if column.title == "status" or any(cell.key is not None for cell in cells):
            columns.append(column)
            for row, cell in zip(rows, cells, strict=True):
                row.append(cell)
    return Table(columns, rows)


def _results(found: Sequence[Run]) -> list[tuple[Column, list[Cell]]]:
    def of(name: str, digits: str, factor: float = 1) -> list[Cell]:
        return [_number(run.result.get(name), digits, factor) for run in found]

    return [
        (Column("seed"), [_number(run.seed, "d") for run in found]),
        (Column("status", number=False), [Cell(run.status, run.status, "status") for run in found]),
        (Column("steps"), [_number(run.steps, ",d") for run in found]),
        (Column("loss", "mean squared error at the last step"), of("loss", "#.3g")),
        (Column("PSNR", "dB, of the restored image", first="descending"), of("psnr", ".2f")),
        (Column("SSIM", "of the restored image", first="descending"), of("ssim", ".3f")),
        (
            Column("best PSNR", "dB, the best recorded, known with hindsight", first="descending"),
            of("oracle_psnr", ".2f"),
        ),
        (Column("best at", "step of the best PSNR"), of("oracle_step", ",d")),
        (Column("kept", "step of the restored image"), of("restored_step", ",d")),
        (Column("time", "minutes:seconds"), [_time(run.result.get("seconds")) for run in found]),
        (Column("ms/step", "median"), of("step_seconds", ".3g", 1000)),
    ]


def group_table(groups: Sequence[Group]) -> Table:
    """One row per experiment: mean and standard deviation of the results over its finished runs.

    PSNRs compare only where the same target of the same image was restored: within each such task the highest mean is
    of kind "best", and the small drawings share one scale.
    """
    names = _options([run for group in groups for run in group.runs])
    columns = [Column(name, number=False) for name in names] + [Column("n", "finished runs")]
    rows = [[_option(group.options.get(name), name in group.options) for name in names] for group in groups]
    for group, row in zip(groups, rows, strict=True):
        done, asked = len(group.done), len(group.runs)
        row.append(Cell(str(done) if done == asked else f"{done} of {asked}", done))
    tasks = [_task(group) for group in groups]
    for name, title, hint, digits, factor, first in (
        ("psnr", "PSNR", "dB, of the restored image", ".2f", 1, "descending"),
        ("ssim", "SSIM", "of the restored image", ".3f", 1, "descending"),
        ("oracle_psnr", "best PSNR", "dB, known with hindsight", ".2f", 1, "descending"),
        ("oracle_step", "best at", "step of the best PSNR", ",.0f", 1, "ascending"),
        ("loss", "loss", "mean squared error at the last step", "#.3g", 1, "ascending"),
        ("step_seconds", "ms/step", "median", ".3g", 1000, "ascending"),
    ):
        spreads = [group.spread(name) for group in groups]
        if not any(spreads):
            continue
        # Per group: all groups that its scores compare with.
        alike = [
            [other for other, its in zip(spreads, tasks, strict=True) if other and its == task]
            for task in tasks
        ]
        columns.append(Column(title, hint, first=first))
        for value, others, row in zip(spreads, alike, rows, strict=True):
            best = name == "psnr" and len(others) > 1 and value == max(others, key=lambda other: other.mean)
            row.append(_spread(value, digits, factor, "best" if best else ""))
        if name == "psnr":
            columns.append(
                Column("each run", "PSNR of every run, the mean as a bar; one scale per target", first=first)
            )
            for value, others, row in zip(spreads, alike, rows, strict=True):
                row.append(Cell("", value.mean if value else None, "dots", _places(value, others)))
    return Table(columns, rows)


def _options(found: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in found for name in run.options))


def _option(value: Any, known: bool) -> Cell:
    if not known:
        return Cell("")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(shown(value), value if number else shown(value))


def _number(value: float | None, digits: str, factor: float = 1) -> Cell:
    return Cell("") if value is None else Cell(format(value * factor, digits), value)


def _time(seconds: float | None) -> Cell:
    if seconds is None:
        return Cell("")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return Cell(f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}", seconds)


def _spread(value: Spread | None, digits: str, factor: float, kind: str) -> Cell:
    if value is None:
        return Cell("")
    mean = format(value.mean * factor, digits)
    if value.std is None:
        return Cell(mean, value.mean, kind)
    decimals = len(mean.partition(".")[2]) if "e" not in mean else None
    std = format(value.std * factor, ".2g" if decimals is None else f",.{decimals}f")
    return Cell(f"{mean} ± {std}", value.mean, kind)


def _task(group: Group) -> tuple[tuple[str, str], ...]:
    """What is restored from what: only within it do scores compare."""
    names = ("image", "reference", "size", "target")
    return tuple(
        (name, shown(value)) for name, value in group.options.items() if name.partition(".")[0] in names
    )


def _places(score: Spread | None, alike: Sequence[Spread]) -> tuple[float, ...]:
    """Where mean and values of `score` stand between the lowest and the highest value of all in `alike`."""
    if score is None:
        return ()
    values = [value for other in alike for value in other.values]
    low, width = min(values), max(values) - min(values)
    return tuple((value - low) / width if width else 0.5 for value in (score.mean, *score.values))

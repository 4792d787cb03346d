"""Repeats of one experiment become one row: mean, spread and number."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dip.report.collect import Run


@dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation (n - 1 in the denominator; None below two values) and number of values."""

    mean: float
    std: float | None
    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many values there are."""
        return len(self.values)


@dataclass(frozen=True)
class Group:
    """The runs of one experiment: the same options, other seeds."""

    label: str
    options: dict[str, Any]
    runs: tuple[Run, ...]

    @property
    def done(self) -> tuple[Run, ...]:
        """Those that came to their end; only they are averaged."""
        return tuple(run for run in self.runs if run.done)

    def spread(self, name: str) -> Spread | None:
        """Of result `name` over the runs that came to their end; None where none of them has it."""
        return spread([run.result[name] for run in self.done if run.result.get(name) is not None])


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and spread of `values`; None of nothing."""
    if not values:
        return None
    std = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), std, tuple(values))


def grouped(found: Sequence[Run], key: Callable[[Run], str] = lambda run: run.label) -> list[Group]:
    """The groups of `found` in the order of their first run; runs of unknown options belong to none."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        if run.config:
            groups.setdefault(key(run), []).append(run)
    return [Group(label, members[0].options, tuple(members)) for label, members in groups.items()]

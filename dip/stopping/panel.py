"""Rules made of others: `combined` averages the images that two rules choose, `compare` records what each would do."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dip.stopping.registry import STOPS, Stop
from dip.stopping.rule import Reading, Rule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Combined(Stop):
    """Waits for heldout and for emv, and keeps the mean of the two images that they choose."""

    name: str = "combined"
    watches_variance = True
    comparable = True
    parts: ClassVar[tuple[str, ...]] = ("heldout", "emv")

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        return CombinedRule(self, self.parts, target, seed, known, warm_up)


@dataclass
class Compare(Stop):
    """Runs all steps with every rule watching; `result.json` says which image each rule would have kept."""

    name: str = "compare"

    ends = False

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        # For measurements, rules that need an image are left out.
        comparable = [name for name, kind in STOPS.items() if kind.comparable and (self.image or not kind.needs_image)]
        return Panel(self, comparable, target, seed, known, warm_up)


class _Several(Rule):
    """Shows every step to all of `rules` (by name), started with `whole.patience` and the arguments of `Stop.start`."""

    def __init__(self, whole: Stop, names: Collection[str], *start: Any) -> None:
        super().__init__(patience=1)
        stops = {name: STOPS[name].within(whole.patience).suited(image=whole.image) for name in names}
        started = {name: stop.start(*start) for name, stop in stops.items()}
        self.rules = {name: rule for name, rule in started.items() if rule is not None}
        masks = [rule.loss_mask for rule in self.rules.values() if rule.loss_mask is not None]
        assert all(mask.equal(masks[0]) for mask in masks), "all rules leave the same pixels out of the loss"
        self.loss_mask = masks[0] if masks else None

    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        super().update(step, observed, image, average, loss)
        for rule in self.rules.values():
            rule.update(step, observed, image, average, loss)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"rules": {name: rule.state_dict() for name, rule in self.rules.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for name, rule in self.rules.items():
            rule.load_state_dict(state["rules"][name])


class CombinedRule(_Several):
    """Waits for all of `rules`, and keeps the mean of the images that they choose.

    A rule that tends to stop early and one that tends to stop late give a mean between the two, and the mean of two
    averages has less noise than either. The watched value is that of the first rule.
    """

    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        super().update(step, observed, image, average, loss)
        self.watched = next(iter(self.rules.values())).watched

    def read(self) -> Reading:
        readings = [rule.read() for rule in self.rules.values()]
        best_step = max(reading.best_step for reading in readings)
        ends = all(reading.stop for reading in readings) or self.final(math.inf)
        pairs = zip(self.rules.values(), readings, strict=True)
        ends = ends or any(rule.final(reading.best) for rule, reading in pairs)
        return readings[0]._replace(best_step=best_step, stop=ends)

    @property
    def step(self) -> int:
        """The later of the chosen steps."""
        return max(rule.step for rule in self.rules.values())

    def image(self) -> Tensor:
        import torch

        return torch.stack([rule.image() for rule in self.rules.values()]).mean(0)


class Panel(_Several):
    """Never stops, keeps the last average, and records what each of `rules` would have done.

    `ended[name]` is the step of the record at which that rule would have ended the run. A rule that would not have
    ended it has no entry.
    """

    def __init__(self, *start: Any) -> None:
        super().__init__(*start)
        self.ended: dict[str, int] = {}

    def read(self) -> Reading:
        """Also records which rules would end the run now."""
        for name, rule in self.rules.items():
            if name not in self.ended and rule.read().stop:
                self.ended[name] = rule.last_step
        return super().read()._replace(stop=False)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"ended": dict(self.ended)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.ended = dict(state["ended"])

"""Several rules on one run: all of them to be compared, or two that make up for each other's blind spots."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dip.stopping.rule import Reading, Rule


class _Several(Rule):
    """Feeds `rules`, by name, at every step."""

    def __init__(self, rules: dict[str, Rule]) -> None:
        super().__init__(patience=1)
        self.rules = rules
        masks = [rule.loss_mask for rule in rules.values() if rule.loss_mask is not None]
        assert all(torch.equal(mask, masks[0]) for mask in masks), "all leave the same pixels out of the loss"
        self.loss_mask = masks[0] if masks else None

    def watch(self, observed: Tensor, image: Tensor, fine: Tensor) -> None:
        return None

    @torch.no_grad()
    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        super().update(step, observed, image, average, loss)
        for rule in self.rules.values():
            rule.update(step, observed, image, average, loss)

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "rules": {name: rule.state_dict() for name, rule in self.rules.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for name, rule in self.rules.items():
            rule.load_state_dict(state["rules"][name])


class Combined(_Several):
    """Waits for all of `rules`, and keeps the mean of the images that they choose.

    A rule that errs towards too soon and one that errs towards too late make an image between the two, and the mean of
    two averages is less noisy than either. What is watched is the first rule's value.
    """

    @torch.no_grad()
    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        super().update(step, observed, image, average, loss)
        self.watched = next(iter(self.rules.values())).watched

    def read(self) -> Reading:
        readings = [rule.read() for rule in self.rules.values()]
        best_step = max(reading.best_step for reading in readings)
        return readings[0]._replace(best_step=best_step, stop=all(reading.stop for reading in readings))

    @property
    def step(self) -> int:
        """The later of the chosen steps."""
        return max(rule.step for rule in self.rules.values())

    def image(self) -> Tensor:
        return torch.stack([rule.image() for rule in self.rules.values()]).mean(0)


class Panel(_Several):
    """Lets the run go on to its last step, whose average it keeps, and tells what each of `rules` would have done.

    `ended[name]` is the step of the record at which that rule would have ended the run; a rule that would not have
    is missing there.
    """

    def __init__(self, rules: dict[str, Rule]) -> None:
        super().__init__(rules)
        self.ended: dict[str, int] = {}

    def read(self) -> Reading:
        """Notes which rules would end the run now."""
        for name, rule in self.rules.items():
            if name not in self.ended and rule.read().stop:
                self.ended[name] = rule.last_step
        return super().read()._replace(stop=False)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "ended": dict(self.ended)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.ended = dict(state["ended"])

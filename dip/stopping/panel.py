"""Several rules on one run: all of them to be compared, or two that make up for each other's blind spots."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dip.stopping.rule import Reading, Rule


class Panel(Rule):
    """Feeds `rules`, by name, and lets the run go on to its last step, whose average it keeps.

    `ended[name]` is the step of the record at which that rule would have ended the run; a rule that would not have
    is missing there.
    """

    def __init__(self, rules: dict[str, Rule]) -> None:
        super().__init__(patience=1)
        self.rules = rules
        self.ended: dict[str, int] = {}
        (self.loss_mask,) = (rule.loss_mask for rule in rules.values() if rule.loss_mask is not None)

    def watch(self, observed: Tensor, image: Tensor, fine: Tensor) -> None:
        return None

    @torch.no_grad()
    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        super().update(step, observed, image, average, loss)
        for rule in self.rules.values():
            rule.update(step, observed, image, average, loss)

    def read(self) -> Reading:
        """Notes which rules would end the run now."""
        for name, rule in self.rules.items():
            if name not in self.ended and rule.read().stop:
                self.ended[name] = rule.last_step
        return super().read()._replace(stop=False)

    def state_dict(self) -> dict[str, Any]:
        rules = {name: rule.state_dict() for name, rule in self.rules.items()}
        return {**super().state_dict(), "rules": rules, "ended": dict(self.ended)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.ended = dict(state["ended"])
        for name, rule in self.rules.items():
            rule.load_state_dict(state["rules"][name])

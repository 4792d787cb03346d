"""A stopping rule that was given from Python as an object with the methods `update` and `read`."""

import contextlib
import copy
import math
from typing import Any

import torch
from torch import Tensor

from dip.errors import DipError, RunError
from dip.stopping.rule import Reading, Rule


class OwnRule(Rule):
    """Asks a copy of `given` at each record, and keeps the average of the record at which its `best_step` last changed.

    `given` has the methods

    - `update(step, observed, image, average, loss)`, called after each step with the arguments of `Rule.update`. The
      average changes in place, so what is to be kept must be copied.
    - `read()`, called at each record: (watched, best, best_step, stop), the fields of `Reading`; `best_step` is 0 as
      long as there is none.
    - optional: `state_dict()` and `load_state_dict(state)`, of tensors and plain values. Without them the run cannot
      resume, and a rollback does not change the object.
    - optional: `image()`, the restored image (1, C, H, W), in place of the average, and the attribute `step`, its step.
    """

    def __init__(self, given: Any, name: str) -> None:
        super().__init__(patience=1)
        with contextlib.suppress(Exception):  # some objects cannot be copied, such as those that hold a file
            given = copy.deepcopy(given)
        self.given, self.name = given, name
        self.last = Reading(math.nan, math.inf, 0, False)
        self.kept_step = 0
        self.average: Tensor | None = None  # of the newest step; it changes in place

    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        with torch.no_grad():
            self.given.update(step, observed, image, average, loss)
        self.seen += 1
        self.last_step, self.average = step, average
        if self.seen == 1:
            self._keep()

    def read(self) -> Reading:
        """See `Rule.read`. Raises DipError if `given` returns something else."""
        found = self.given.read()
        try:
            watched, best, best_step, stop = found
            reading = Reading(
                math.nan if watched is None else float(watched), math.inf if best is None else float(best),
                int(best_step or 0), bool(stop),
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            shown = " ".join(repr(found).split())[:80]
            raise DipError(
                f"stop={self.name}: read() returned {shown}; must return (watched, best, best_step, stop)"
            ) from error
        if reading.best_step == 0 or reading.best_step != self.last.best_step:
            self._keep()
        self.last = reading
        return reading

    def _keep(self) -> None:
        if self.average is not None:
            self.candidate, self.kept_step = self.average.clone(), self.last_step

    @property
    def step(self) -> int:
        own = hasattr(self.given, "image") and hasattr(self.given, "step")
        return int(self.given.step) if own else self.kept_step

    def image(self) -> Tensor:
        image: Tensor = self.given.image() if hasattr(self.given, "image") else super().image()
        return image

    def state_dict(self) -> dict[str, Any]:
        own = None
        if hasattr(self.given, "state_dict") and hasattr(self.given, "load_state_dict"):
            own = copy.deepcopy(self.given.state_dict())
            if (found := _not_plain(own)) is not None:
                raise DipError(
                    f"stop={self.name}: state_dict() holds a {found}; must hold tensors and plain values only"
                )
        return super().state_dict() | {"kept_step": self.kept_step, "last": list(self.last), "own": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Rule.load_state_dict`. Raises RunError if the state of `given` is unknown."""
        if state["own"] is not None:
            self.given.load_state_dict(copy.deepcopy(state["own"]))
        elif self.seen == 0 < state["seen"]:
            raise RunError(
                f"stop={self.name}: has no state_dict() and load_state_dict(state), so the run cannot resume; restart with "
                "overwrite=true"
            )
        super().load_state_dict(state)
        self.kept_step, self.last = state["kept_step"], Reading(*state["last"])


def _not_plain(value: Any) -> str | None:
    """The type of the first part of `value` that a checkpoint cannot hold; None if there is none."""
    if isinstance(value, dict):
        return next((found for pair in value.items() for part in pair if (found := _not_plain(part))), None)
    if isinstance(value, (list, tuple)):
        return next((found for part in value if (found := _not_plain(part))), None)
    plain = value is None or type(value) in (bool, int, float, str, bytes) or isinstance(value, Tensor)
    return None if plain else type(value).__name__

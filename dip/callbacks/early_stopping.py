"""Early stopping: update the stopping rule at every step and end the run when the rule fires."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from dip.callbacks.schedule import Schedule
from dip.model.module import DeepImagePrior
from dip.stopping.rule import Rule


class Stopping(Callback):
    """Apply `rule` to the run; None never stops. With `to_the_end` the run continues after the rule has fired, unwatched.

    The rule accumulates on the device at every step. It is evaluated only when a record is due.

    `spread`, the root of `DeepImagePrior.variance` at the step of the restored image, (1, C, H, W), says how much the
    networks disagree in each value; None for a single network. `ended` is the step at which the rule fired, None before.
    """

    def __init__(self, rule: Rule | None, schedule: Schedule, to_the_end: bool = False) -> None:
        self.rule, self.schedule, self.to_the_end = rule, schedule, to_the_end
        self.watched: float | None = None
        self.ended: int | None = None
        self.spread: Tensor | None = None

    @property
    def fired(self) -> bool:
        """Whether the rule ends the run."""
        return self.ended is not None and not self.to_the_end

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """End the run at once if its checkpoint is that of the step at which the rule fired."""
        trainer.should_stop = trainer.should_stop or self.fired

    def on_train_batch_end(self, trainer: Trainer, module: DeepImagePrior, *_: Any) -> None:  # type: ignore[override]
        """Update the rule; at a record, evaluate it."""
        if self.ended is not None:
            self.watched = None
            return
        if self.rule is not None:
            assert module.average is not None
            self.rule.update(module.step, module.observed, module.output, module.average, module.loss)
        if module.variance is not None:
            kept, now = None if self.rule is None else self.rule.kept, module.variance.sqrt()
            before = None if kept is None or self.spread is None else self.spread.to(now.device)
            self.spread = now if before is None or kept is None else torch.where(kept, now, before)
        if self.rule is None:
            return
        if self.schedule.records(module.step):
            reading = self.rule.read()
            self.watched = reading.watched if math.isfinite(reading.watched) else None
            if reading.stop:
                self.ended = module.step
                trainer.should_stop = trainer.should_stop or self.fired

    def restored(self, module: DeepImagePrior) -> tuple[Tensor, int]:
        """The restored image (1, C, H, W) and its step: the rule's choice, or the average at the end."""
        assert module.average is not None
        if self.rule is None:
            return module.average, module.step
        return self.rule.image(), self.rule.step

    def state_dict(self) -> dict[str, Any]:
        """The rule's state."""
        spread = {} if self.spread is None else {"spread": self.spread}
        if self.rule is None:
            return spread
        return {"rule": self.rule.state_dict(), "watched": self.watched, "ended": self.ended, **spread}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rule's state."""
        self.spread = state_dict.get("spread")
        if self.rule is not None:
            self.rule.load_state_dict(state_dict["rule"])
            self.watched, self.ended = state_dict["watched"], state_dict["ended"]

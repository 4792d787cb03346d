"""Rollback: restore the last good state after a collapse: weights, optimiser moments, average and stopping rule.

With Adam at the usual learning rate, a fit occasionally loses 5 dB or more within a step or two. The original code
restores only the weights, and the old moments then cause the next collapse. A collapse is detected from the loss, which
stays on the device until a record is due.
"""

import copy
import math
import statistics
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from dip.callbacks.early_stopping import Stopping
from dip.callbacks.schedule import Schedule
from dip.errors import DivergedError
from dip.model.module import DeepImagePrior
from dip.options import log

EVERY = 50  # minimum number of steps between two kept states; copying one costs about as much as some Adam updates
TAIL = 10  # number of last losses whose median is the level; a shorter spike needs no rollback
COLLAPSE = 0.3  # rise of the level from which a fit has collapsed, relative to its height above the least loss
ATTEMPTS = 3  # maximum number of rollbacks of either kind


class Rollback(Callback):
    """Restore the last good state of all networks, and of what the method trains, if the loss of one has risen or is not finite. Steps are counted on.

    Losses are compared by their distance to that of a perfect agreement with y, so that a constant added to the loss
    changes nothing. A loss for which that is not finite, such as a logarithm, is never found to have risen.

    After a loss that is not finite, the learning rate is halved, at most three times. A loss that rises after three
    rollbacks in a row is accepted.

    Args:
        schedule: the steps of records.
        stopping: the stopping rule's callback, which is restored too.
    """

    def __init__(self, schedule: Schedule, stopping: Stopping) -> None:
        self.schedule, self.stopping = schedule, stopping
        self.events: list[dict[str, Any]] = []
        """Rollbacks: `step` of detection, `back_to` (step of the restored state), and `why`."""
        self._good: dict[str, Any] | None = None
        self._next: dict[str, Any] | None = None  # becomes good once the losses after it confirm it
        self._fresh: list[Tensor] = []  # losses on the device, (networks,) per step, not read yet
        self._since: list[list[float]] = []  # losses since the last kept state, read
        self._least: float | None = None  # loss of a perfect agreement with y
        self._tried = 0  # consecutive rollbacks because of a risen loss
        self._halved = 0

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Keep the initial state. After a resume there is one already."""
        if self._good is None:
            self._good = self._state(trainer, module, levels=[math.inf] * len(module.nets))

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, module: DeepImagePrior, _: Any, batch: tuple[Tensor, Tensor], *__: Any
    ) -> None:
        """Keep the loss on the device; at a record, read and check all new losses."""
        self._fresh.append(module.losses)
        if self.schedule.records(module.step):
            self._since += torch.stack(self._fresh).tolist()  # waits for the device
            self._fresh.clear()
            if self._least is None:
                self._least = float(module.least_loss(batch[1]))
            self._judge(trainer, module)

    def _judge(self, trainer: Trainer, module: DeepImagePrior) -> None:
        assert self._good is not None
        assert self._least is not None
        first = module.step - len(self._since) + 1
        # A state is judged by the losses after it, because its last update may have caused the collapse.
        after = self._since[:TAIL]
        tried = self._next if len(after) == TAIL else None
        if tried is not None and not _risen(tried["levels"], _levels(after), self._least):
            self._good, self._next = tried, None
        broken = [first + i for i, losses in enumerate(self._since) if not all(map(math.isfinite, losses))]
        if broken:
            why = f"the loss is not finite at step {broken[0]}"
            self._halved += 1
            if self._halved > ATTEMPTS:
                why += f", also after {ATTEMPTS} rollbacks at half the rate"
            if self._halved > ATTEMPTS or not self._good["module"]:
                # A lower rate does not help the first step.
                raise DivergedError(f"{why}; lower lr, for example lr=0.001")
            self._back(trainer, module, f"{why}, learning rate halved", rate=0.5)
            return
        if not self._good["module"]:  # the initial state has no average yet: use that of the first output
            self._good["module"] = copy.deepcopy(module.history())
            self._good["stopping"] = copy.deepcopy(self.stopping.state_dict())
        levels = _levels(self._since[-TAIL:])
        risen = _risen((self._next or self._good)["levels"], levels, self._least)
        if len(self._since) >= TAIL and risen and self._tried < ATTEMPTS:
            self._tried += 1
            self._back(trainer, module, f"the loss has risen from {risen[0]:.4g} to {risen[1]:.4g}")
        elif len(self._since) >= EVERY:
            self._tried = 0
            self._since.clear()
            self._next = self._state(trainer, module, levels)

    def _state(self, trainer: Trainer, module: DeepImagePrior, levels: list[float]) -> dict[str, Any]:
        return {
            "step": module.step, "levels": levels, "weights": copy.deepcopy(module.state_dict()),
            "optimizer": copy.deepcopy(trainer.optimizers[0].state_dict()), "module": copy.deepcopy(module.history()),
            "stopping": copy.deepcopy(self.stopping.state_dict()),
        }  # fmt: skip

    @torch.no_grad()
    def _back(self, trainer: Trainer, module: DeepImagePrior, why: str, rate: float = 1.0) -> None:
        assert self._good is not None
        (optimizer,) = trainer.optimizers
        rates = [group["lr"] for group in optimizer.param_groups]
        self._since.clear()
        self._next = None
        good = copy.deepcopy(self._good)  # loading keeps references, and the next steps change the tensors
        module.load_state_dict(good["weights"])
        optimizer.load_state_dict(good["optimizer"])
        for group, before in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = before * rate
        module.go_back(good["module"])
        self.stopping.load_state_dict(good["stopping"])
        self.events.append({"step": module.step, "back_to": good["step"], "why": why})
        log.warning("step %d: %s; restored the state of step %d", module.step, why, good["step"])

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next rollback depends on."""
        fresh = torch.stack(self._fresh).tolist() if self._fresh else []
        return {
            "good": self._good, "next": self._next, "since": self._since + fresh, "tried": self._tried,
            "halved": self._halved, "events": self.events,
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self._good, self._next, self._since = state_dict["good"], state_dict["next"], state_dict["since"]
        self._tried, self._halved = state_dict["tried"], state_dict["halved"]
        self.events = state_dict["events"]


def _levels(losses: list[list[float]]) -> list[float]:
    """The median loss of each network."""
    return [statistics.median(own) for own in zip(*losses, strict=True)]


def _risen(before: list[float], now: list[float], least: float) -> tuple[float, float] | None:
    """The levels, before and now, of the first network that has collapsed; None if none has."""
    pairs = zip(before, now, strict=True)
    return next((pair for pair in pairs if pair[1] - pair[0] > COLLAPSE * abs(pair[0] - least)), None)

"""Takes a fit that has collapsed back to its last good state: weights, Adam's moments, average and rule together.

Adam at the usual rate now and then throws a fit far back within a step or two, by 5 dB and more (the original's code
restored the weights alone, so that the old moments threw them out again). The loss tells, and it is on the device:
losses are kept as they come, and looked at when a record is due.
"""

from __future__ import annotations

import logging
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

EVERY = 50  # steps at least between two states that are kept: one costs as much as some updates of Adam
TAIL = 10  # last losses, whose median is the level: a spike that is over by then needs no rollback
COLLAPSE = 1.3  # times the level at the state that is kept
ATTEMPTS = 3  # rollbacks, of either kind

log = logging.getLogger("dip")


class Rollback(Callback):
    """Goes back to the last good state, with all networks, where the loss of one has risen or is not finite; steps are counted on.

    After a loss that is not finite the learning rate is halved, three times at most. A loss that has risen again and
    again, three times in a row, is accepted: then it is no accident.

    Args:
        schedule: when a record is due.
        stopping: the stopping rule's callback, which goes back too.
    """

    def __init__(self, schedule: Schedule, stopping: Stopping) -> None:
        self.schedule, self.stopping = schedule, stopping
        self.events: list[dict[str, Any]] = []
        """What happened: `step` at which it was found, `back_to`, the step of the state gone back to, and `why`."""
        self._good: dict[str, Any] | None = None
        self._next: dict[str, Any] | None = None  # good as soon as the losses after it prove it
        self._fresh: list[Tensor] = []  # losses on the device, (networks,) for each step, not looked at yet
        self._since: list[list[float]] = []  # those since the state that is kept, read
        self._tried = 0  # rollbacks from a risen loss without a good stretch between
        self._halved = 0

    def on_train_start(self, trainer: Trainer, module: DeepImagePrior) -> None:  # type: ignore[override]
        """Keeps the state that the fit starts from; after a resume there is one already."""
        if self._good is None:
            self._good = self._state(trainer, module, levels=[math.inf] * len(module.nets))

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, module: DeepImagePrior, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Takes the loss; looks at all new ones when a record is due."""
        self._fresh.append(module.losses)
        if self.schedule.records(module.step):
            self._since += torch.stack(self._fresh).tolist()  # waits for the device
            self._fresh.clear()
            self._judge(trainer, module)

    def _judge(self, trainer: Trainer, module: DeepImagePrior) -> None:
        assert self._good is not None
        first = module.step - len(self._since) + 1
        # The losses of a state are those behind it: the last update may have spoilt it.
        after = self._since[:TAIL]
        if self._next is not None and len(after) == TAIL and not _risen(self._next["levels"], _levels(after)):
            self._good, self._next = self._next, None
        broken = next(
            (first + i for i, losses in enumerate(self._since) if not all(map(math.isfinite, losses))), None
        )
        if broken is not None:
            self._halved += 1
            if self._halved > ATTEMPTS or not self._good["module"]:  # no rate helps the very first step
                tried = f" and {ATTEMPTS} times more at half the rate" if self._halved > ATTEMPTS else ""
                raise DivergedError(
                    f"the loss is not finite at step {broken}{tried}; lower lr, for example lr=0.001"
                )
            self._back(
                trainer, module, f"the loss is not finite at step {broken}, half the rate from here", rate=0.5
            )
            return
        if not self._good["module"]:  # the start has no average; that of its first output serves
            self._good |= {
                "module": _copied(module.history()),
                "stopping": _copied(self.stopping.state_dict()),
            }
        levels = _levels(self._since[-TAIL:])
        risen = _risen((self._next or self._good)["levels"], levels)
        if len(self._since) >= TAIL and risen and self._tried < ATTEMPTS:
            self._tried += 1
            self._back(trainer, module, f"the loss has risen from {risen[0]:.4g} to {risen[1]:.4g}")
        elif len(self._since) >= EVERY:
            self._tried = 0
            self._since.clear()
            self._next = self._state(trainer, module, levels)

    def _state(self, trainer: Trainer, module: DeepImagePrior, levels: list[float]) -> dict[str, Any]:
        return {
            "step": module.step, "levels": levels, "nets": _copied(module.nets.state_dict()),
            "optimizer": _copied(trainer.optimizers[0].state_dict()), "module": _copied(module.history()),
            "stopping": _copied(self.stopping.state_dict()),
        }  # fmt: skip

    @torch.no_grad()
    def _back(self, trainer: Trainer, module: DeepImagePrior, why: str, rate: float = 1.0) -> None:
        assert self._good is not None
        (optimizer,) = trainer.optimizers
        rates = [group["lr"] for group in optimizer.param_groups]
        self._since.clear()
        self._next = None
        good = _copied(self._good)  # loading keeps what it is given, and the next steps change that
        module.nets.load_state_dict(good["nets"])
        optimizer.load_state_dict(good["optimizer"])
        for group, before in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = before * rate
        module.go_back(good["module"])
        self.stopping.load_state_dict(good["stopping"])
        self.events.append({"step": module.step, "back_to": good["step"], "why": why})
        log.warning("step %d: %s; going on from the state of step %d", module.step, why, good["step"])

    def state_dict(self) -> dict[str, Any]:
        """All that the next rollback depends on."""
        fresh = torch.stack(self._fresh).tolist() if self._fresh else []
        return {"good": self._good, "next": self._next, "since": self._since + fresh, "tried": self._tried, "halved": self._halved,
                "events": self.events}  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it back."""
        self._good, self._next, self._since = state_dict["good"], state_dict["next"], state_dict["since"]
        self._tried, self._halved = state_dict["tried"], state_dict["halved"]
        self.events = state_dict["events"]


def _levels(losses: list[list[float]]) -> list[float]:
    """The median loss of each network."""
    return [statistics.median(own) for own in zip(*losses, strict=True)]


def _risen(before: list[float], now: list[float]) -> tuple[float, float] | None:
    """The levels, before and now, of the first network that has collapsed; None where none has."""
    pairs = zip(before, now, strict=True)
    return next((pair for pair in pairs if pair[1] > COLLAPSE * pair[0]), None)


def _copied(state: Any) -> Any:
    """`state` with its own tensors."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: _copied(value) for name, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, (list, tuple)) else state

"""What every stopping rule does: watch one number per step, and keep the image that belongs to its minimum.

Nothing in `update` reads a value from the device: decisions are tensors, and become Python values in `read`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

# Values of an output that a rule looks at. With 16,384 of them the mean over an image is known to about one
# per cent, and since they are the same ones at every step, their minimum lies where the whole image's does.
SAMPLES = 16_384


class Reading(NamedTuple):
    """A rule's state as plain numbers.

    `watched` is the newest value (NaN if there is none yet), `best` the chosen one (infinite if there is
    none), at step `best_step`; `stop` says that the fit should end now.
    """

    watched: float
    best: float
    best_step: int
    stop: bool


class Rule(ABC):
    """Watches a run, keeps the restored image, and ends the run `patience` steps after the value's minimum.

    Once `patience` is over, the choice is final: it does not matter how much later somebody calls `read`.
    Until there is a first value that counts, the newest average is kept. A step whose loss is not finite
    changes nothing.

    Args:
        patience: in steps.
        lag: how much further the average looks back than the watched value, in steps. What is kept is the
            average of `lag` steps after the minimum, which is centred on it.

    Attributes:
        loss_mask: (1, 1, h, w) weights with mean 1 for the squared errors that enter the loss, or None.
    """

    loss_mask: Tensor | None = None
    saved: ClassVar[tuple[str, ...]] = ()
    """Names of the subclass's tensors that change from step to step: these are what a resumed run needs."""

    _SAVED: ClassVar[tuple[str, ...]] = ("watched", "best", "best_step", "candidate")

    def __init__(self, patience: int, lag: int = 0) -> None:
        self.patience = patience
        self.lag = min(lag, patience - 1)  # a longer one would go on after the choice is final
        self.seen = 0  # outputs so far
        self.last_step = 0
        self.watched: Tensor | None = None  # () float32
        self.best: Tensor | None = None  # () float32
        self.best_step: Tensor | None = None  # () int64
        self.candidate: Tensor | None = None  # (1, C, H, W)
        self._device: torch.device | None = None

    @abstractmethod
    def watch(self, observed: Tensor, image: Tensor, fine: Tensor) -> Tensor | None:
        """The watched value after one more output, a () tensor, or None while it is too early.

        Where the () boolean tensor `fine` is false the output is broken, and must not enter what is
        remembered.
        """

    @torch.no_grad()
    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        """Takes in the output of one step, after every step. Waits for the device at its first call only.

        Args:
            step: the step's number, from 1.
            observed: the output as it would be observed, A(image), (1, C, h, w).
            image: the network's output, (1, C, H, W).
            average: the moving average of the outputs, (1, C, H, W); copied where it is needed.
            loss: the step's loss, a () tensor; only asked whether it is finite.
        """
        if image.device != self._device:
            self._move(image.device)
        fine = loss.detach().isfinite()
        value = self.watch(observed, image, fine)
        self.seen += 1
        self.last_step = step
        if self.candidate is None:
            self.candidate = average.clone()
            self.watched = torch.full((), math.nan, device=image.device)
            self.best = torch.full((), math.inf, device=image.device)
            self.best_step = torch.full((), step, dtype=torch.int64, device=image.device)
        assert self.best is not None
        assert self.best_step is not None
        if value is None:
            improved = fine
        else:
            score = self.score(value)
            improved = self.improves(step, score) & fine
            self.watched = value
            self.best = torch.where(improved, score, self.best)
        self.best_step.masked_fill_(improved, step)
        kept = fine & (self.best_step >= step - self.lag)
        torch.where(kept, average, self.candidate, out=self.candidate)

    def score(self, value: Tensor) -> Tensor:
        """What is compared with the best so far: `value`, or infinity where it does not count yet."""
        return value

    def improves(self, step: int, score: Tensor) -> Tensor:
        """Whether `score` is better than the best one so far, as a () boolean tensor."""
        assert self.best is not None
        assert self.best_step is not None
        return ((score < self.best) & (self.best_step > step - self.patience)) | self.best.isinf()

    def over(self, best: float, best_step: int) -> bool:
        """Whether the fit should end, given the chosen value and its step."""
        return math.isfinite(best) and self.last_step - best_step >= self.patience

    def read(self) -> Reading:
        """The present state as numbers. Waits for the device: for records only."""
        if self.watched is None or self.best is None or self.best_step is None:
            return Reading(math.nan, math.inf, 0, False)
        best, best_step = float(self.best), int(self.best_step)
        return Reading(float(self.watched), best, best_step, self.over(best, best_step))

    @property
    def step(self) -> int:
        """The step that `image` belongs to; 0 before the first. Waits for the device."""
        return min(self.read().best_step + self.lag, self.last_step)

    def image(self) -> Tensor:
        """The restored image: the average of the outputs at `step`, (1, C, H, W). A copy."""
        assert self.candidate is not None, "no output has been watched yet"
        return self.candidate.clone()

    def state_dict(self) -> dict[str, Any]:
        """All that changes from step to step, as tensors and plain values."""
        state: dict[str, Any] = {"seen": self.seen, "last_step": self.last_step}
        for name in (*self._SAVED, *self.saved):
            value = getattr(self, name)
            state[name] = value.clone() if isinstance(value, Tensor) else value
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a `state_dict` of a rule with the same options, target and seed, on any device."""
        self.seen, self.last_step = int(state["seen"]), int(state["last_step"])
        for name in (*self._SAVED, *self.saved):
            value = state[name]
            setattr(self, name, value.clone() if isinstance(value, Tensor) else value)
        self._device = None  # the tensors may have come from another device: the next update moves them

    def _move(self, device: torch.device) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        self._device = device


def sample(total: int, seed: int, limit: int = SAMPLES) -> Tensor:
    """At most `limit` different positions in [0, total), ascending, (n,) int64 on the CPU."""
    if total <= limit:
        return torch.arange(total)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[:limit].sort().values

"""The base class of the rules: watch one number per step and keep the image that belongs to its minimum.

`update` reads no value from the device. Its decisions are tensors, which become Python values in `read`. Torch is
imported inside the functions, since options and rules share their files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SAMPLES = 16_384
"""Values of an output that a rule watches: the mean over an image is known to about one per cent with them.

They are the same ones at every step, so their minimum lies where the whole image's does."""


INVISIBLE = 0.005
"""Root mean square, a PSNR of 46 dB. Of six photographs with weak noise, the fits with the least change differ by 0.0053."""


class Reading(NamedTuple):
    """A rule's state as plain numbers."""

    watched: float
    """The newest value; NaN if there is none yet."""
    best: float
    """The chosen value; infinite if there is none yet."""
    best_step: int
    """The step of `best`."""
    stop: bool
    """Whether the fit should end now."""


class Rule:
    """Watches a run, keeps the restored image, and ends the run `patience` steps after the value's minimum.

    After `patience` steps the choice is final, however late `read` is called. Until the first value that counts, the
    newest average is kept. A step whose loss is not finite changes nothing.

    Args:
        patience: in steps.
        lag: steps by which the average looks back further than the watched value. The average of `lag` steps after the
            minimum is kept, since it is centred on the minimum.
    """

    loss_mask: Tensor | None = None
    """Weights of the pixels in the loss, (1, 1, h, w) with mean 1; None: all pixels count equally."""
    loss_filter: Tensor | None = None
    """Filter of the residual in the loss, (k, k) with k odd: see `dip.noise.whitening`. None: no filter."""
    project: Callable[[Tensor], Tensor] | None = None
    """Maps an image (1, C, H, W) to the nearest one that agrees with exact data; None: the data are not exact."""
    chosen: dict[str, Any] | None = None
    """What `stop=adaptive` found, and the rule that it selected: see `dip.stopping.adaptive.explain`."""
    photograph: Tensor | None = None
    """The observation, (1, C, h, w), if the fit ends once nothing visible is removed from it: see `final`."""
    share = 0.0
    """Weight of the photograph in the restored image, if that is known before the fit."""
    kept: Tensor | None = None
    """Whether the last `update` took its average as the image, a () boolean tensor; None: the rule has no single step."""
    fitted: Tensor | None = None
    """Weight of the average in what `image` returned last, (1, 1, h, w) or (1, 1, 1, 1); None: 1."""
    saved: ClassVar[tuple[str, ...]] = ()
    """Names of the subclass's tensors that change from step to step. A resumed run needs them."""

    _SAVED: ClassVar[tuple[str, ...]] = ("watched", "best", "best_step", "candidate")
    watched: Tensor  # () float32; these four exist from the first output on
    best: Tensor  # () float32
    best_step: Tensor  # () int64
    candidate: Tensor  # (1, C, H, W)

    def __init__(self, patience: int, lag: int = 0) -> None:
        self.patience = patience
        self.lag = min(lag, patience - 1)  # a longer lag would continue after the choice is final
        self.seen = 0  # outputs so far
        self.last_step = 0
        self._device: torch.device | None = None

    def watch(self, observed: Tensor, image: Tensor, finite: Tensor) -> Tensor | None:
        """The watched value after one more output, a () tensor, or None: while it is too early, or if nothing is watched.

        Where the () boolean tensor `finite` is false the output is broken and must not enter the state.
        """
        return None

    def update(self, step: int, observed: Tensor, image: Tensor, average: Tensor, loss: Tensor) -> None:
        """Processes the output of one step; to be called after every step. Only the first call waits for the device.

        Args:
            step: the step's number, from 1.
            observed: the observed output A(image), (1, C, h, w).
            image: the network's output, (1, C, H, W).
            average: the moving average of the outputs, (1, C, H, W); copied where it is needed.
            loss: the step's loss, a () tensor; used only to test whether it is finite.
        """
        import torch

        with torch.no_grad():
            if image.device != self._device:
                self._move(image.device)
            finite = loss.detach().isfinite()
            value = self.watch(observed, image, finite)
            self.seen += 1
            self.last_step = step
            if self.seen == 1:
                self.candidate = average.clone()
                self.watched, self.best, self.best_step = (
                    torch.tensor(first, device=image.device) for first in (math.nan, math.inf, step)
                )
            if value is None:
                improved = finite
            else:
                score = self.score(value)
                improved = self.improves(step, score) & finite
                self.watched = value
                self.best = torch.where(improved, score, self.best)
            self.best_step.masked_fill_(improved, step)
            self.kept = finite & (self.best_step >= step - self.lag)
            torch.where(self.kept, average, self.candidate, out=self.candidate)

    def score(self, value: Tensor) -> Tensor:
        """What is compared with the best so far: `value`, or infinity where it does not count yet."""
        return value

    def improves(self, step: int, score: Tensor) -> Tensor:
        """Whether `score` is better than the best one so far, as a () boolean tensor."""
        return ((score < self.best) & (self.best_step > step - self.patience)) | self.best.isinf()

    def over(self, best: float, best_step: int) -> bool:
        """Whether the fit should end, given the chosen value and its step."""
        return self.final(best) or (math.isfinite(best) and self.last_step - best_step >= self.patience)

    def final(self, best: float) -> bool:
        """Whether the fit should end even if the value still falls, as it does where the output converges to `photograph`.

        True where the restored image differs from it by a root mean square of at most `INVISIBLE`.
        """
        if self.photograph is None or not self.seen:
            return False
        removed = float((self.candidate - self.photograph.to(self.candidate)).square().mean().sqrt())
        return removed * (1 - self.weight(removed)) <= INVISIBLE

    def weight(self, removed: float) -> float:
        """Weight of the photograph in the restored image, where the kept average differs from it by `removed`."""
        return self.share

    def read(self) -> Reading:
        """The present state as numbers. Waits for the device, so it is called at records only."""
        if self.seen == 0:
            return Reading(math.nan, math.inf, 0, False)
        best, best_step = float(self.best), int(self.best_step)
        return Reading(float(self.watched), best, best_step, self.over(best, best_step))

    @property
    def step(self) -> int:
        """The step of `image`; 0 before the first output. Waits for the device."""
        return min(self.read().best_step + self.lag, self.last_step)

    def image(self) -> Tensor:
        """The restored image: a copy of the average of the outputs at `step`, (1, C, H, W)."""
        assert self.seen, "no output has been watched yet"
        return self.candidate.clone()

    def state_dict(self) -> dict[str, Any]:
        """All that changes from step to step, as tensors and plain values."""
        state: dict[str, Any] = {"seen": self.seen, "last_step": self.last_step}
        for name in (*self._SAVED, *self.saved):
            value = getattr(self, name, None)
            state[name] = None if value is None else value.clone()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a `state_dict` of a rule with the same options, target and seed, on any device."""
        self.seen, self.last_step = int(state["seen"]), int(state["last_step"])
        for name in (*self._SAVED, *self.saved):
            if state.get(name) is not None:
                setattr(self, name, state[name].clone())
        self._device = None  # the tensors may come from another device: the next update moves them

    def _move(self, device: torch.device) -> None:
        for name, value in vars(self).items():
            if hasattr(value, "to"):
                setattr(self, name, value.to(device))
        self._device = device


def values_at(image: Tensor, positions: Tensor) -> Tensor:
    """The values of `image` at `positions` of the flattened image, (n,). `Tensor.take` does not exist on MPS."""
    return image.flatten().index_select(0, positions)


def sample(total: int, seed: int, limit: int = SAMPLES) -> Tensor:
    """At most `limit` different positions in [0, total), ascending, (n,) int64 on the CPU."""
    import torch

    if total <= limit:
        return torch.arange(total)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[:limit].sort().values

"""Stopping rules: when to end a fit, and which image to keep, without knowing the answer.

A rule is two things. Its options are a dataclass below, a node of the configuration; `start` makes from it
the object that watches one run (`dip.stopping.rule.Rule`). A rule always keeps the average of the outputs at
the step that it finds best, so that the restored image never depends on how long the fit went on afterwards.
That image is its answer also when the steps run out before the rule has made up its mind.

Which one: `combined`, which is what `auto` takes for a photo that is degraded already. `heldout` errs towards too soon
where there is little noise, `emv` and `wmv` on smooth images, and the mean of two choices is better than either;
`discrepancy` is as good as the noise level that it is told, and lost where it has to estimate one that is not
Gaussian. The numbers stand in sweeps/results/stopping. Damage that spans pixels (JPEG blocks, blur) hides from
`heldout`: that is what `wmv` is for.

Two rules of the literature are left out, for reasons:

- SURE (Jo et al., ICCV 2021) needs the divergence of the restored image with respect to the observation. There the
  observation is the network's input, and one more forward pass gives it. Here the input is a fixed z, and the
  observation acts through every optimiser step so far: it takes a second fit, to an observation moved by eps, and
  Adam makes the two fits part like strangers. Measured (64 x 64, 32 channels, sigma 25, float64, one random
  direction): the true risk at step 400 is 0.0026, estimated are -0.14 with eps = 1e-5 and -0.0018 with 1e-3; at step
  600, 0.0030 against 0.40 and 0.010.
- Self-validation (Li et al., BMVC 2021) trains an autoencoder beside the fit, at about the cost of the fit.

This file imports no torch, so that the configuration can be read without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dip.errors import OptionError
from dip.options import check_choice, check_integer, check_number, log, option, pass_over

if TYPE_CHECKING:
    from torch import Tensor

    from dip.stopping.rule import Rule

__all__ = ["EMV", "STOPS", "WMV", "Auto", "Combined", "Compare", "Discrepancy", "HeldOut", "Never", "Stop"]


@dataclass
class Stop:
    """The options of a stopping rule. `name` is the rule's name in `STOPS`."""

    name: str = option("", help="the stopping rule", legal="the name of its rule", example="wmv")
    patience: int = option(
        1000,
        help="steps without a new minimum after which the fit ends",
        legal="an integer >= 1",
        example="300",
    )

    waits: ClassVar[bool] = True
    """Whether it looks for a minimum, and so has a patience."""
    steady: ClassVar[bool] = False
    """Whether it watches how much outputs vary, which a perturbation that shrinks makes less and less."""

    def __post_init__(self) -> None:
        check_integer(self, "patience", low=1, prefix="stop.")
        if not self.waits:
            pass_over(self, "patience", beside=f"stop={self.name}", prefix="stop.")
        own = [name for name, kind in STOPS.items() if kind is type(self)]
        if own:  # a class that nobody registered may be called anything
            check_choice(self, "name", own, prefix="stop.")

    def choose(self, blind: bool, shrinking: bool) -> Stop:
        """The rule that really watches. `blind`: there is no answer to compare with; `shrinking`: the perturbation shrinks."""
        if self.steady and shrinking:
            log.warning(
                "stop=%s: outputs vary less as perturbation_half_life shrinks the perturbation, so it may find no end; "
                "stop=heldout does not mind", self.name,
            )  # fmt: skip
        return self

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule | None:
        """The rule that watches one run, or None if nothing is to be watched.

        Args:
            target: what is observed, (1, C, h, w), values in [0, 1].
            seed: draws the pixels that are watched; the same seed gives the same rule.
            known: (1, 1, h, w), not 0 where the target was really observed; None if it was everywhere.
            warm_up: steps over which the perturbation grows. Outputs vary less there than they will, and no variance counts.

        Raises:
            OptionError: the target is too small for this rule.
        """
        raise NotImplementedError


@dataclass
class Auto(Stop):
    """For target=degraded, whose answer nobody knows, combined, or heldout if the perturbation shrinks; else never."""

    name: str = option("auto", help="the stopping rule", legal="auto", example="auto")

    def choose(self, blind: bool, shrinking: bool) -> Stop:
        """As the class says."""
        chosen = (HeldOut if shrinking else Combined) if blind else Never
        return chosen(patience=self.patience)


@dataclass
class Never(Stop):
    """All steps are done, and the restored image is the average at the last one."""

    name: str = option("never", help="the stopping rule", legal="never", example="never")
    waits = False

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> None:
        return None


@dataclass
class WMV(Stop):
    """Stops at the minimum of the outputs' windowed moving variance (Wang et al., TMLR 2023, ES-WMV)."""

    name: str = option("wmv", help="the stopping rule", legal="wmv", example="wmv")
    steady = True
    window: int = option(
        100, help="outputs whose variance is watched, in steps", legal="an integer >= 2", example="100"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self, "window", low=2, prefix="stop.")

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        from dip.stopping.variance import WindowedVariance

        first = warm_up + self.window if warm_up else 1  # a window that the warm-up has left
        return WindowedVariance(self.window, self.patience, seed, first)


@dataclass
class EMV(Stop):
    """Stops at the minimum of the outputs' exponential moving variance (Wang et al., TMLR 2023, ES-EMV)."""

    name: str = option("emv", help="the stopping rule", legal="emv", example="emv")
    steady = True
    alpha: float = option(
        0.1,
        help="weight of the newest output in the moving variance",
        legal="a number in (0, 1)",
        example="0.1",
    )
    start_step: int = option(
        100,
        help="first step whose variance counts; earlier ones are dominated by the start",
        legal="an integer >= 1",
        example="100",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "alpha", low=0, high=1, open_low=True, open_high=True, prefix="stop.")
        check_integer(self, "start_step", low=1, prefix="stop.")

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        from dip.stopping.variance import ExponentialVariance

        settling = math.ceil(3 / self.alpha)  # outputs until what the warm-up left weighs a twentieth
        first = max(self.start_step, warm_up + settling if warm_up else 1)
        return ExponentialVariance(self.alpha, self.patience, first, seed)


@dataclass
class HeldOut(Stop):
    """Leaves some pixels of the target out of the loss and stops when the error at these turns."""

    name: str = option("heldout", help="the stopping rule", legal="heldout", example="heldout")
    fraction: float = option(
        0.02,
        help="part of the pixels that the loss does not see",
        legal="a number in (0, 0.5]",
        example="0.02",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "fraction", low=0, high=0.5, open_low=True, prefix="stop.")

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        from dip.stopping.residual import HeldOutError

        if target.shape[-2] * target.shape[-1] < 2 or (known is not None and int((known != 0).sum()) < 2):
            raise OptionError("stop", self.name, "another rule where the target has one pixel", "stop=wmv")
        return HeldOutError(target, self.fraction, self.patience, seed, known)


@dataclass
class Discrepancy(Stop):
    """Stops when the target is fitted as closely as its noise allows: mean squared error = sigma^2."""

    name: str = option("discrepancy", help="the stopping rule", legal="discrepancy", example="discrepancy")
    sigma: float | None = option(
        None,
        help="standard deviation of the noise where values span [0, 1]; null: estimated from the target",
        legal="a number > 0 or null",
        example="0.1",
    )
    waits = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "sigma", low=0, open_low=True, none=True, prefix="stop.")

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        from dip.stopping.residual import NoiseReached

        return NoiseReached(target, self.sigma, seed, known)


@dataclass
class Combined(Stop):
    """Waits for `heldout` and for `emv`, and keeps the mean of the two images that they choose."""

    name: str = option("combined", help="the stopping rule", legal="combined", example="combined")
    steady = True

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        from dip.stopping import panel

        kinds = HeldOut(patience=self.patience), EMV(patience=self.patience)
        return panel.Combined(_started(kinds, target, seed, known, warm_up))


@dataclass
class Compare(Stop):
    """Feeds every rule on one run to the last step; `result.json` tells what each would have kept."""

    name: str = option("compare", help="the stopping rule", legal="compare", example="compare")

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule:
        from dip.stopping.panel import Panel

        kinds: list[Stop] = [kind(patience=self.patience) for kind in (WMV, EMV, HeldOut, Combined)]
        kinds.insert(3, Discrepancy())
        return Panel(_started(kinds, target, seed, known, warm_up))


def _started(
    stops: Sequence[Stop], target: Tensor, seed: int, known: Tensor | None, warm_up: int
) -> dict[str, Rule]:
    """The rules that `stops` start, by name."""
    begun = {stop.name: stop.start(target, seed, known, warm_up) for stop in stops}
    return {name: rule for name, rule in begun.items() if rule is not None}


STOPS: dict[str, type[Stop]] = {
    "auto": Auto,
    "never": Never,
    "wmv": WMV,
    "emv": EMV,
    "heldout": HeldOut,
    "discrepancy": Discrepancy,
    "combined": Combined,
    "compare": Compare,
}

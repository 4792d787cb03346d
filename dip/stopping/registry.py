"""The base class of the options of a stopping rule, the registry, and the choices `auto` and `never`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dip.errors import OptionError
from dip.options import Options, flag, integer, option

if TYPE_CHECKING:
    from torch import Tensor

    from dip.stopping.rule import Rule


@dataclass
class Stop(Options):
    """The options of a stopping rule. `name` is the rule's name in `STOPS`."""

    name: str = ""
    patience: int = option(1000, "steps without a new minimum after which the fit ends", integer(1), "300")
    to_the_end: bool = option(
        False,
        "run all steps; the restored image stays that of the step at which the rule would have ended the run",
        flag(),
        "true",
    )

    prefix = "stop."
    uses_patience: ClassVar[bool] = True
    """Whether the rule looks for a minimum, and so uses `patience`."""
    ends: ClassVar[bool] = True
    """Whether the rule can end a run."""
    watches_variance: ClassVar[bool] = False
    """Whether the rule watches the variance of the outputs, which falls when the perturbation shrinks."""
    needs_image: ClassVar[bool] = False
    """Whether the rule only works where the observation is an image."""
    image = True
    """Whether the observation is an image; `suited` sets it."""
    comparable: ClassVar[bool] = False
    """Whether `stop=compare` includes the rule."""
    patience_limit: ClassVar[int | None] = None
    """Upper limit of the patience where another rule (adaptive, compare) starts this one; None: no limit."""

    later: ClassVar[tuple[str, ...]] = ()
    """Options that are not part of a run's identity while they are null, so that older runs keep their folders."""

    def unused(self) -> dict[str, str]:
        """Options without effect here: field name -> the setting that makes it so."""
        names = ["patience"] * (not self.uses_patience) + ["to_the_end"] * (not self.ends)
        return dict.fromkeys(names, f"stop={self.name}")

    def too_long(self, steps: int) -> str | None:
        """A line if `patience` leaves this rule no chance to end a run of `steps` steps; None if it can end it."""
        if not self.uses_patience or self.patience < steps:
            return None
        return (
            f"stop={self.name}: cannot end a run of {steps:,} steps early, since it waits {self.patience:,} steps after the "
            f"minimum (stop.patience); it still chooses the step of the image. Lower it, for example stop.patience={max(1, steps // 4)}"
        )

    def choose(self, auto: str, shrinking: bool, denoising: bool = True) -> Stop:
        """The options of the rule that watches the run: these, except for `stop=auto` and `stop=adaptive`.

        Args:
            auto: the rule that the target selects for `stop=auto`.
            shrinking: the perturbation shrinks (`perturbation_half_life`).
            denoising: the observation is the image itself with noise.
        """
        return self

    def suited(self, noisy: bool = False, image: bool = True) -> Stop:
        """The options for one observation: these, with `image`, or those of another rule.

        Args:
            noisy: the target should be exact, but its observation is not.
            image: the observation is an image with values in [0, 1], not measurements of any kind.

        Raises:
            OptionError: the rule needs an image.
        """
        if self.needs_image and not image:
            legal = "a rule that does not look for noise in an image, such as heldout, wmv, emv, combined or never"
            raise OptionError("stop", self.name, legal, "stop=heldout")
        chosen = copy.copy(self)
        chosen.image = image
        return chosen

    @classmethod
    def within(cls, patience: int) -> Stop:
        """The rule with its default options and `patience`, but at most `patience_limit`."""
        return cls(patience=patience if cls.patience_limit is None else min(patience, cls.patience_limit))

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule | None:
        """The rule that watches one run, or None for no early stopping.

        Args:
            target: the observation y, (1, C, h, w), values in [0, 1].
            seed: selects the pixels that are watched; the same seed gives the same rule.
            known: (1, 1, h, w), not 0 where the target was observed; None if it was observed everywhere.
            warm_up: steps over which the perturbation grows. Variances of outputs from these steps do not count.

        Raises:
            OptionError: the target is too small for this rule.
        """
        raise NotImplementedError


STOPS: dict[str, type[Stop]] = {}
"""The rules by name. `dip/stopping/__init__.py` fills it; it stands here because some rules are made of others."""


@dataclass
class Never(Stop):
    """No early stopping: runs all steps; the restored image is the average at the last one."""

    name: str = "never"
    uses_patience = False
    ends = False

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> None:
        return None


@dataclass
class Auto(Stop):
    """For target=degraded adaptive; for target=jpeg with target.intervals consistent; for measurements heldout; else never."""

    name: str = "auto"

    def choose(self, auto: str, shrinking: bool, denoising: bool = True) -> Stop:
        return STOPS[auto](patience=self.patience).choose(auto, shrinking, denoising)

"""The rule `adaptive`: measures the noise of the observation once, and selects the stopping rule that suits it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dip.options import choice, log, number, option
from dip.stopping.covariance_penalty import Covariance
from dip.stopping.registry import STOPS, Stop
from dip.stopping.residual import HeldOutError, least_error
from dip.stopping.rule import Reading, Rule

if TYPE_CHECKING:
    from torch import Tensor

_KINDS = ("white", "correlated", "strong")
_RULES = ("wmv", "emv", "heldout", "discrepancy", "combined")


@dataclass
class Adaptive(Stop):
    """Looks at the noise: covariance if it is correlated, stop.white if it is white, no change if there is none.

    `patience` is that of the selected rule, but at most 200 steps for covariance.
    """

    name: str = "adaptive"
    white: str | None = option(
        None,
        "rule for white noise; null: combined, or heldout with perturbation_half_life",
        choice(_RULES, none=True),
        "heldout",
    )
    smoothing: float = option(
        1.0, "where the noise is correlated: that of stop=covariance; 0 for none", number(">= 0"), "0.5"
    )
    noise: str | None = option(
        None,
        "what the noise is known to be: white; correlated; or strong, which is correlated and cannot be texture; null: examined",
        choice(_KINDS, none=True),
        "correlated",
    )
    sigma: float | None = option(
        None,
        "standard deviation of white noise, for values in [0, 1]; null: estimated",
        number("> 0", none=True),
        "0.1",
    )

    later = ("noise", "sigma")

    def unused(self) -> dict[str, str]:
        names = {None: [], "white": ["smoothing"]}.get(self.noise, ["white", "sigma"])
        return super().unused() | dict.fromkeys(names, f"stop.noise={self.noise}")

    def choose(self, auto: str, shrinking: bool, denoising: bool = True) -> Stop:
        """These options with `white` filled in. Where the task is not denoising, `white` itself; `consistent` if exact."""
        if auto == "consistent":
            return STOPS[auto](patience=self.patience)
        white = self.white or ("heldout" if shrinking else "combined")
        if not denoising:
            return STOPS[white](patience=self.patience)
        # In the options, so that the run folder's name depends on it.
        return self if "white" in self.unused() else replace(self, white=white)

    def find(self, target: Tensor, known: Tensor | None = None) -> dict[str, Any]:
        """What the noise of `target` is, and the name of the rule for it: `Rule.chosen`. The arguments are those of `start`."""
        from dip.noise.level import Noise, examine, noise_level
        from dip.noise.texture import certain

        if self.noise is None:
            noise = examine(target, known)
            strong = noise.kind == "correlated" and certain(target, known)
        else:
            strong = self.noise == "strong"
            noise = Noise("correlated" if strong else self.noise, None, noise_level(target, known))
        name = {"none": "unchanged", "correlated": "covariance"}.get(noise.kind) or self.white or "combined"
        if noise.kind == "white" and self.sigma is not None:
            noise.sigma = self.sigma
        found = {"name": name, "noise": noise.kind, "whiteness": noise.whiteness, "sigma": noise.sigma}
        return found | ({"strong": strong} if noise.kind == "correlated" else {})

    def for_part(self, chosen: dict[str, Any]) -> Adaptive:
        """These options for a part of an image in which `find` found noise: not examined again, without the last step."""
        if chosen["noise"] == "white":
            return replace(self, noise="white", sigma=chosen["sigma"], smoothing=1.0)  # the default: it has no effect
        noise = "strong" if chosen["strong"] else "correlated"
        return replace(self, noise=noise, white=None, sigma=None, smoothing=0.0)

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> Rule | None:
        chosen = self.find(target, known)
        rule: Rule | None = Unchanged(target)
        if chosen["noise"] != "none":
            stop = STOPS[chosen["name"]].within(self.patience)
            if isinstance(stop, Covariance):
                stop.smoothing, stop.strong = self.smoothing, chosen["strong"]
            rule = stop.start(target, seed, known, warm_up)
            for part in [rule, *getattr(rule, "rules", {}).values()]:
                if isinstance(part, HeldOutError):
                    part.least = least_error(target, known, chosen["sigma"])
            if rule is not None and known is None:
                rule.photograph = target.detach()
        if rule is not None and self.noise is None:
            rule.chosen = chosen
        elif rule is not None:
            log.info("%s", explain(chosen))
        return rule


def explain(chosen: dict[str, Any]) -> str:
    """One line for the log on the rule that `adaptive` selected, from `Rule.chosen`."""
    level = f"estimated standard deviation {255 * chosen['sigma']:.1f} of 255"
    if chosen["noise"] == "none":
        return (
            f"stop=adaptive: no noise to remove ({level}); the image is returned unchanged. stop=never fits it "
            "anyway, stop.noise=white takes it for noisy"
        )
    from dip.noise.level import WHITE

    measured = "not measured" if chosen["whiteness"] is None else f"{chosen['whiteness']:.2f}"
    facts = f"whiteness {measured}, white above {WHITE}, {level}"
    kind = "correlated, and too strong to be texture" if chosen.get("strong") else chosen["noise"]
    return f"stop=adaptive: {chosen['name']}, since the noise is {kind} ({facts})"


class Unchanged(Rule):
    """Ends the fit at the first record and keeps the observation `target` (1, C, h, w)."""

    def __init__(self, target: Tensor) -> None:
        super().__init__(patience=1)
        self.target = target

    def read(self) -> Reading:
        return super().read()._replace(stop=True)

    @property
    def step(self) -> int:
        """0: no output is used."""
        return 0

    def image(self) -> Tensor:
        return self.target.clone()

"""The options `target.noise`: which noise model, and its options. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from dip.errors import OptionError
from dip.options import Options, choice, number, option
from dip.targets.noise_models import NOISE_MODELS, NoiseModel

PEAK, AMOUNT = number("> 0", none=True), number("[0, 1]", none=True)
LEVEL = dataclasses.replace(AMOUNT, words=f"{AMOUNT.words}, in units of the image's range, where 25 of 255 is 0.098")
"""Above 1 nothing of the image remains; such a value is meant for another range."""


@dataclasses.dataclass
class NoiseOptions(Options):
    """The options `target.noise`. None stands for the default of the target (`kind`) or of the kind of noise."""

    kind: str | None = option(
        None,
        "gaussian adds N(0, sigma^2), speckle multiplies by 1 + N(0, sigma^2), poisson counts photons (peak), "
        "salt_and_pepper sets values to 0 or 1 (amount), camera simulates a sensor and its processing to a JPEG (iso, "
        "quality); null: gaussian with target=noisy and target=flash, estimated with target=degraded, else none",
        choice(NOISE_MODELS, none=True),
        "poisson",
    )
    sigma: float | None = option(
        None,
        "standard deviation of gaussian noise, or of the factor of speckle noise; null: 0.1 (25/255 in the paper)",
        LEVEL,
        "0.098",
    )
    peak: float | None = option(None, "photons of white for poisson noise, fewer are noisier; null: 30", PEAK, "30")
    amount: float | None = option(None, "fraction of the values that salt_and_pepper sets; null: 0.1", AMOUNT, "0.1")
    iso: float | None = option(
        None, "ISO value of camera noise, more is noisier; null: 3200", number("[1, 1000000]", none=True), "6400"
    )
    quality: float | None = option(
        None, "JPEG quality of the photo with camera noise; null: 90", number("[1, 100]", none=True), "75"
    )

    prefix = "target.noise."

    def unused(self) -> dict[str, str]:
        """Options without effect here: field name -> the setting that makes it so."""
        used = {"kind", *options_of(self.kind)} if self.kind else vars(self)
        return {name: f"target.noise.kind={self.kind}" for name in vars(self) if name not in used}

    def model(self) -> NoiseModel:
        """The noise model that these options, filled by `filled`, describe."""
        assert self.kind is not None
        return NOISE_MODELS[self.kind](**{name: getattr(self, name) for name in options_of(self.kind)})

    def filled(self, kind: str, target: object, shorthands: Collection[str]) -> NoiseOptions:
        """A copy in which every option that has an effect has a value, so that two spellings give one run folder.

        Args:
            kind: the kind of noise if none is given.
            target: holds the options in `shorthands` under the same names. Those with an effect are moved from it.

        Raises:
            OptionError: an option is given twice, with different values.
        """
        given = dict(vars(self))
        chosen = {name: getattr(target, name) for name in shorthands if getattr(target, name) is not None}
        kind = chosen.get("kind") or self.kind or kind
        values = {"kind": kind, **vars(NOISE_MODELS[kind]())}  # the defaults
        for name in values:
            assert name in given, (
                f"{name} is a field of {NOISE_MODELS[kind].__name__} and must also be one of NoiseOptions"
            )
            if name in chosen:
                if given[name] not in (None, chosen[name]) and not isinstance(self, _Filled):
                    legal = f"{chosen[name]} or left out beside target.{name}={chosen[name]}"
                    raise OptionError(f"target.noise.{name}", given[name], legal, f"target.{name}={chosen[name]}")
                given[name] = chosen[name]
                setattr(target, name, None)
            if given[name] is not None:
                values[name] = given[name]
        return _Filled(**(values if isinstance(self, _Filled) else given | values))


class _Filled(NoiseOptions):
    """Options that a target has filled. A shorthand given later, beside an experiment, may replace a value."""


def options_of(kind: str) -> list[str]:
    """The options that a kind of noise has."""
    return [field.name for field in dataclasses.fields(NOISE_MODELS[kind])]

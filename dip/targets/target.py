"""The base classes of all targets. Imports no torch."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import OptionError
from dip.options import Options, integers, reject
from dip.targets.noise_models import Estimated, Levels, NoiseModel
from dip.targets.noise_options import NoiseOptions
from dip.targets.observation import Observation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Generator, Tensor

NO_PICTURES: Mapping[str, Tensor] = types.MappingProxyType({})

IMAGE_SHAPE = integers(3, 3, none=True)
"""The legal values of an option (C, H, W)."""


@dataclasses.dataclass
class Target(Options):
    """Base of the `target` group."""

    name: str = "target"

    prefix = "target."
    ignores: ClassVar[tuple[str, ...]] = ()
    """Top-level options that have no effect with this target."""
    resized: ClassVar[bool] = True
    """Whether the option `size` also resizes the pictures of `files`."""
    fills: ClassVar[bool] = False
    """Whether pixels of the image may be NaN, which marks them as missing. Else such images are refused."""
    paths: ClassVar[tuple[str, ...]] = ()
    """Options that are the path of a file or null, see `files`."""
    data: ClassVar[tuple[str, ...]] = ()
    """The options of `files` whose files are no pictures; the target reads them itself."""
    required: ClassVar[tuple[str, ...]] = ()
    """Options that must be given where `raw` is true."""
    cut: ClassVar[bool] = True
    """Whether the observation can be cut into tiles. An operator of another class than `dip.tiles` knows is refused there."""
    task: ClassVar[str] = ""
    """The entry of `dip.targets.baselines.BASELINES` whose baselines are computed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, path in self.files().items():
            if not path:
                raise reject(self, name)

    @property
    def exact(self) -> bool:
        """Whether the observation restricts the image to a set without error; the fit then ends in that set."""
        return False

    @property
    def masked(self) -> bool:
        """Whether the given pictures or the image itself define the known pixels, see `known`."""
        return False

    def known(self, image: Tensor, pictures: Mapping[str, Tensor]) -> Tensor:
        """The mask (1, 1, H, W), 1 = known, for `image` (1, C, H, W); only if `masked`.

        `pictures` are those of `files`, and their transparency and the image's as `<option>_alpha` and `image_alpha`.
        """
        raise NotImplementedError

    @property
    def raw(self) -> bool:
        """Whether the image's file holds measurements of any shape and type, not an image; see `observe_raw`."""
        return False

    @property
    def auto_stop(self) -> str:
        """The stopping rule that stop=auto selects."""
        return "consistent" if self.exact else "heldout" if self.raw else "never"

    def check_complete(self) -> None:
        """Raise OptionError if one of `required` is missing; called before anything is read."""
        for name in self.required if self.raw else ():
            if getattr(self, name) is None:
                missing = reject(self, name)
                raise OptionError(missing.option, None, missing.legal.removeprefix("null or "), missing.example)

    def for_sample(self) -> Target:
        """The target for a sample image, which is not damaged, where the options leave the damage open."""
        return self

    def files(self) -> dict[str, str]:
        """The files that options of this target name, beside the image: option -> path."""
        return {name: path for name in self.paths if (path := getattr(self, name)) is not None}

    def unused(self) -> dict[str, str]:
        """Options without effect here: field name -> the setting that makes it so."""
        return {}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """The observation that this target makes of an image.

        Args:
            image: (1, C, H, W) float32 in [0, 1].
            seed: of all random draws.
            pictures: those that `files` names, by option, (1, C', H', W') float32 in [0, 1]. If `masked`, the mask
                (1, 1, H, W) that `known` returned may take their place, as `known`.

        Raises:
            ImageError: a picture does not fit the image.
        """
        raise NotImplementedError

    def observe_file(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor], file: bytes | None) -> Observation:
        """`observe`, with the content of the JPEG file that `image` was read from, if it was."""
        return self.observe(image, seed, pictures)

    def observe_raw(self, values: NDArray[Any], given: Mapping[str, Any], **how: Any) -> Observation:
        """The observation that measurements make, where `raw` is true.

        Args:
            values: the measurements, of any shape, real or complex.
            given: objects that were given from Python, by the option of this target that they replace.
            how: `span`, `device` and `dtype` of `dip.targets.user_operator.observation`.

        Raises:
            DipError: the measurements and the options do not fit together.
        """
        from dip.targets.user_operator import observation

        call, shape, complex, name = self.measured_by(values, given)
        return observation(call, values, shape, complex=complex, name=name, **how)

    def measured_by(self, values: NDArray[Any], given: Mapping[str, Any]) -> tuple[Any, Sequence[int], bool, str]:
        """What measured `values`, where `raw` is true: the operator, see `dip.targets.user_operator.UserOperator`; the
        shape (C, H, W) of the image; whether that is complex; and the name of the operator in messages.

        `given` are objects from Python, as for `observe_raw`.
        """
        raise NotImplementedError

    def finish(self, restored: Tensor, observation: Observation) -> Tensor:
        """The image that the user gets, (1, C, H, W), made from the one that the fit ended with."""
        return restored

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """Scores of `restored` (1, C, H, W) against the reference, by metric; {} without a reference."""
        if observation.reference is None:
            return {}
        from dip import metrics

        restored, reference = observation.shown(restored), observation.shown(observation.reference.to(restored))
        return {name: getattr(metrics, name)(restored, reference).item() for name in ("psnr", "ssim")}

    def known_noise(self) -> NoiseModel | None:
        """The noise of the observation if it is simulated or the options describe it; None if it is to be estimated."""
        return None

    def noise_model(
        self, sigma: float, for_bm3d: Levels | None = None, line: tuple[float, float] | None = None
    ) -> NoiseModel:
        """`known_noise`, else `Estimated` with what `dip.noise.level.noise_levels` returns."""
        return self.known_noise() or Estimated(sigma, for_bm3d, line)


@dataclasses.dataclass
class Simulated(Target):
    """Base of the targets whose damage can be simulated: the image is the reference, and noise may be added."""

    noise: NoiseOptions = dataclasses.field(default_factory=NoiseOptions)

    default_noise: ClassVar[str] = "none"
    """The kind of noise where the option `target.noise.kind` is null."""
    shorthands: ClassVar[tuple[str, ...]] = ()
    """Options of this target that stand for those of the same name in `target.noise`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.real_damage() is None:
            self.noise = self.noise.filled(self.default_noise, self, self.shorthands)

    def real_damage(self) -> str | None:
        """The setting by which the image is damaged already, such as target.simulate=false; None if it is simulated."""
        return None

    def unused(self) -> dict[str, str]:
        if real := self.real_damage():
            return dict.fromkeys(("noise", *self.shorthands), real)
        kind = "target.kind" if "kind" in self.shorthands else "target.noise.kind"
        # `filled` has moved the shorthands that have an effect.
        return {name: f"{kind}={self.noise.kind}" for name in self.shorthands if getattr(self, name) is not None}

    def known_noise(self) -> NoiseModel | None:
        return None if self.real_damage() else self.noise.model()

    def add_noise(self, image: Tensor, seed: int, *purpose: str) -> Tensor:
        """`image` (1, C, h, w) in [0, 1] with the noise, clipped to [0, 1]; `seed` and `purpose` as in `draws`."""
        return self.noise.model().sample(image, draws(seed, *purpose)).clamp(0, 1)


def draws(seed: int, *purpose: str) -> Generator:
    """A generator for a target's random draws, independent of those of the weights, z and the perturbation."""
    from dip.seeds import generator

    return generator(seed, "target", *purpose)

"""The tiles of an image as runs of their own: each has its options and its image files.

Damage that the target simulates is drawn once for the whole image. A tile's image is then a part of the observation,
and its target treats it as a photograph with real damage.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dip import images
from dip.configuration import schema
from dip.configuration.commands import words
from dip.configuration.loggers import CSV
from dip.configuration.schema import Config
from dip.errors import DipError, OptionError
from dip.files import write_bytes
from dip.fitting import experiment
from dip.fitting.prefilter import perturbation
from dip.methods.method import Denoiser, Variant
from dip.methods.variants import Guided
from dip.noise.level import noise_levels
from dip.options import log
from dip.stopping import Stop
from dip.sweep.jobs import Job
from dip.targets import Deblur, Degraded, Flash, Inpaint, Jpeg, NoiseOptions, Observation, SuperRes, Target
from dip.targets.operators import KERNELS, Blur, Identity
from dip.tiles.layout import Box
from dip.z import Z

READING = ("size", "range", "axes")
"""Options of reading the image, which do not apply to the image file of a tile: (1, C, h, w) in [0, 1]."""

DEFAULT_OVERLAP = 64
"""Overlap in pixels where the option is null and a quarter of the tile is not less."""

READ = 0.1
"""Share of the noise that reading adds to photons, or a black level takes from it, up to which tiles have photon noise alone."""

RAMP = 16
"""Width in pixels of the ramp between two tiles with large margins; an eighth of a small tile."""


@dataclass(frozen=True)
class Geometry:
    """Constraints of the observation on tiles, in pixels of the observation."""

    grid: int = 1
    """Tiles start at multiples of it."""
    margin: int = 0
    """Pixels at a tile's border that depend on the image beyond it. Their weight in the blend is 0."""
    factor: int = 1
    """Sides of the image divided by those of the observation."""


def geometry(target: Target, seen: Observation) -> Geometry:
    """The geometry of `seen`, made by `target`.

    Raises:
        OptionError: the image cannot be cut.
    """
    if isinstance(seen.operator, Blur):
        return Geometry(margin=max(seen.operator.kernel.shape) // 2)
    if isinstance(target, SuperRes):
        if seen.size != tuple(target.factor * side for side in seen.y.shape[-2:]):
            raise OptionError("target.factor", target.factor, "a divisor of both sides of an image that is cut into "
                              "tiles", "size=[512,768]")  # fmt: skip
        return Geometry(margin=KERNELS[target.kernel], factor=target.factor)
    # The chroma of a JPEG with subsampling has blocks of 16 x 16 pixels of the image.
    return Geometry(grid=16 if isinstance(target, Jpeg) else 1)


def least_overlap(config: Config, side: int, shape: Geometry) -> int:
    """The least overlap of neighbouring tiles in pixels.

    Raises:
        OptionError: there is no room for the margins of two tiles and for a ramp between them.
    """
    margin, grid = shape.margin, shape.grid
    least = 2 * margin + (min(RAMP, side // 8) if margin else 0)
    overlap = max(min(DEFAULT_OVERLAP, side // 4), least) if config.overlap is None else config.overlap
    if overlap < min(least, 2 * margin + 1):
        legal = f"an integer from {least} on, since the target's kernel reaches {margin} pixels beyond a tile"
        raise OptionError("overlap", overlap, legal, f"overlap={least}")
    if 2 * overlap >= side:
        legal = f"an integer above {2 * overlap}, since the target's kernel needs an overlap of {overlap} pixels"
        raise OptionError("tile", side, legal, f"tile={4 * overlap}")
    if side // grid <= -(-overlap // grid):
        legal = f"an integer >= {4 * grid}, since tiles start at multiples of {grid} pixels with target={config.target.name}"
        raise OptionError("tile", side, legal, f"tile={4 * grid}")
    return overlap


def observed(target: Target, seen: Observation) -> tuple[Target, dict[str, Tensor]]:
    """`target` for an image that is `seen` already, and the pictures of the image's size that it needs.

    Raises:
        OptionError: the target has an operator that cannot be cut.
    """
    if isinstance(target, Inpaint):
        assert seen.known is not None
        return Inpaint(mask="mask", keep=target.keep), {"mask": seen.known}
    if isinstance(target, Flash):
        assert seen.z is not None
        return Flash(flash="flash"), {"flash": seen.z}
    if isinstance(target, (Deblur, SuperRes)):
        return dataclasses.replace(target, simulate=False, noise=NoiseOptions()), {}
    if isinstance(target, Jpeg):
        return Jpeg(intervals=seen.intervals is not None), {}
    if isinstance(seen.operator, Identity) and seen.z is None:
        return Degraded(noise=getattr(target, "noise", NoiseOptions())), {}
    raise OptionError("tile", "N", f"0 with target={target.name}, whose operator cannot be cut", "tile=0")


def unregistered(config: Config) -> str | None:
    """The first group of `schema.unregistered`, without the target: tiles have another one, see `observed`."""
    return next((group for group in schema.unregistered(config) if group != "target"), None)


def check_options(config: Config) -> None:
    """Raise DipError if `config` cannot be passed to a process."""
    if group := unregistered(config):
        kind, legal = type(getattr(config, group)).__name__, min(schema.GROUPS[group])
        raise DipError(f"{group}: {kind} is not registered, and tiles run in other processes; set tile=0, or choose a "
                       f"registered one, for example {group}={legal}")  # fmt: skip


class Cutter:
    """Cuts an observation into tiles.

    Args:
        config: the options of the whole run.
        stop: the stopping rule of the tiles.
        seen: the whole observation.
        pictures: images in memory that the target uses whole, such as a kernel, by option.
        folder: in which each tile has a folder.
    """

    def __init__(
        self, config: Config, stop: Stop, seen: Observation, pictures: Mapping[str, Tensor], folder: Path
    ) -> None:
        self.seen, self.folder = seen, folder
        self.factor = geometry(config.target, seen).factor
        self.guide = None if config.z.guide is None else seen.z  # (1, C_g, H, W), of the size of the restored image
        unguided = seen if self.guide is None else dataclasses.replace(seen, z=None)
        self.target, self.planes = observed(config.target, unguided)
        if isinstance(config.method, Denoiser) and isinstance(self.target, Degraded) and self.target.noise.kind is None:
            # The noise of the whole image, for all tiles; but BM3D may have a level for each channel.
            sigma, for_bm3d, line = noise_levels(seen.y)
            for_all = for_bm3d if config.method.name == "bm3d" and line is None else sigma
            if line is not None and abs(line[1]) < READ * line[0] * float(seen.y.mean()):
                self.target = Degraded(noise=NoiseOptions(kind="poisson", peak=1 / line[0]))
            elif isinstance(for_all, float):
                self.target = Degraded(noise=NoiseOptions(kind="gaussian", sigma=min(for_all, 1.0)))
        self.whole = dict(pictures)
        if seen.intervals is not None and seen.intervals.part((0, 16), (0, 16)) is None:
            log.warning(
                "target=jpeg: in tiles, the loss compares pixels as with target.intervals=false, because the file is turned "
                "(EXIF), RGB or has an unusual subsampling"
            )
        # `dip.tiles.common` decides for all tiles whether the image has a guide.
        method = Variant() if isinstance(config.method, Guided) else config.method
        read: dict[str, Any] = dict.fromkeys(READING)
        never = config.method.total(config.steps) + 1
        self.config = dataclasses.replace(
            config, **read, method=method, stop=stop, tile=0, overlap=None, reference=None, logger=CSV(), baselines=False,
            keep_checkpoint=False, overwrite=False, snapshot_every=None if "snapshot_every" in config.method.ignores else never,
        )  # fmt: skip

    def start_from(self, seen: Observation) -> None:
        """Let the networks start from their parts of `seen.denoised`, as those of method=guided do."""
        self.guide = seen.denoised
        skips = sorted({1, *self.config.skips})
        self.config = dataclasses.replace(
            self.config, z=Z(guide="bm3d", channels=0), skips=skips, perturbation=perturbation(self.config, seen)
        )

    def copied(self, box: Box) -> bool:
        """Whether the tile is the observation itself, because no pixel is missing.

        Raises:
            OptionError: no pixel is known, so that there is nothing to fit.
        """
        if self.seen.known is None:
            return False
        known = self.seen.known[(..., *box.slices())]
        if not known.any():
            side = max(known.shape[-2:])
            where = f"larger than a hole, and all of the tile {box.name} is missing"
            raise OptionError("tile", side, where, f"tile={2 * side}")
        return bool(known.all()) and getattr(self.target, "keep", False)

    def job(self, box: Box) -> Job:
        """Write the image files of a tile, unless they exist, and return its job."""
        place = self.folder / box.name
        place.mkdir(parents=True, exist_ok=True)
        target, planes = self.target, self.planes
        if "mask" in planes and self.seen.known is not None and self.seen.known[(..., *box.slices())].all():
            target, planes = Degraded(), {}  # a mask must have missing pixels
        files = {name: _written(place / f"{name}.tif", plane, box) for name, plane in planes.items()}
        files |= {name: _written(place / f"{name}.tif", plane) for name, plane in self.whole.items()}
        reference = None
        if self.seen.reference is not None:
            reference = _written(place / "reference.tif", self.seen.reference, box.enlarged(self.factor))
        z = self.config.z
        if self.guide is not None:
            z = dataclasses.replace(z, guide=_written(place / "guide.tif", self.guide, box.enlarged(self.factor)))
        image = None if self.seen.intervals is None else self.seen.intervals.part(box.rows, box.columns)
        if image is not None and not (place / "image.jpg").exists():
            write_bytes(place / "image.jpg", image)
        elif image is None and isinstance(target, Jpeg):
            target = Jpeg(intervals=False)
        config = dataclasses.replace(
            self.config, reference=reference, z=z, out=str(place),
            image=str(place / "image.jpg") if image is not None else _written(place / "image.tif", self.seen.y, box),
            target=dataclasses.replace(target, **files),
        )  # fmt: skip
        return Job(config, words(config), experiment.place(config)[1])


def _written(path: Path, plane: Tensor, box: Box | None = None) -> str:
    """Write the part of `plane` (1, C, H, W) in `box` as float TIFF, exactly. Returns the path."""
    if not path.exists():
        part = plane if box is None else plane[(..., *box.slices())]
        images.save(path, part, images.Picture(part, mode="float32"))
    return str(path)

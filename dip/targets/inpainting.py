"""Inpainting: pixels of the image are missing, and the network fills them in (the original paper, inpainting)."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.errors import ImageError, OptionError
from dip.options import choice, flag, log, number, option
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, Simulated, draws

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass
class Inpaint(Simulated):
    """Pixels are missing and filled in: those of a mask, of a colour, transparent ones, or simulated ones."""

    name: str = "inpaint"
    mask: str | None = option(
        None,
        "which pixels are missing: black ones of a mask picture; what differs in a painted copy of the image; pixels of "
        "a colour that is painted on the image; transparent pixels. Their values are not used. null: transparent or NaN "
        "pixels, unless missing or draw is given",
        "a path, alpha, a colour (red, orange, yellow, green, cyan, blue, purple, magenta, pink, black, white or "
        "#rrggbb) or null",
        "mask.png",
    )
    invert: bool = option(False, "swap known and missing pixels of the mask", flag(), "true")
    tolerance: float | None = option(
        None,
        "largest difference of a channel, of 1, at which a pixel has the painted colour, or equals the image in a "
        "painted copy; null: exact values are recognised, and 0.2 (black and white 0.06, copies 0.1) after compression",
        number("[0, 1]", none=True),
        "0.3",
    )
    missing: float | None = option(
        None,
        "fraction of the pixels that is removed at random; scored against the image",
        number("(0, 1)", none=True),
        "0.5",
    )
    draw: str | None = option(
        None,
        "simulated damage that is drawn over the image; null: none, but text on a sample image without a mask",
        choice(("text", "hole"), none=True),
        "hole",
    )
    hole: float = option(0.1, "fraction of the pixels in the drawn hole", number("(0, 1)"), "0.1")
    keep: bool | None = option(
        None,
        "copy the known pixels, as observed, into the restored image; null: yes, unless target.noise adds noise",
        flag(none=True),
        "false",
    )
    fills = True
    task = "inpainting"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask is not None and self.missing is not None:
            raise OptionError("target.missing", self.missing, "null if target.mask is given", "target.missing=null")
        if self.keep is None:
            self.keep = self.real_damage() is not None or self.noise.kind == "none"

    def real_damage(self) -> str | None:
        return None if self.mask is None else f"target.mask={self.mask}"

    def unused(self) -> dict[str, str]:
        unused = super().unused()
        if self.draw != "hole":
            unused["hole"] = f"target.draw={self.draw or 'null'}"
        if self.draw is not None:
            unused |= dict.fromkeys(("invert", "tolerance"), f"target.draw={self.draw}")
        if self.mask in (None, "alpha"):
            unused["tolerance"] = f"target.mask={self.mask or 'null'}"
        if self.missing is not None:
            unused |= dict.fromkeys(("invert", "tolerance"), f"target.missing={self.missing}")
        for name in ("mask", "missing"):
            if (value := getattr(self, name)) is not None:
                unused |= dict.fromkeys(("draw", "hole"), f"target.{name}={value}")
        return unused

    def files(self) -> dict[str, str]:
        """The mask, if it is a file."""
        return {"mask": str(self.mask)} if self._source() == "file" else {}

    def _source(self) -> str:
        """What defines the missing pixels: "nothing", "alpha", "colour" or "file"."""
        if self.mask in (None, "alpha"):
            return self.mask or "nothing"
        from dip.targets.colours import is_colour

        return "colour" if is_colour(self.mask) else "file"

    def for_sample(self) -> Inpaint:
        """With the drawn text, if no option defines the missing pixels."""
        target = copy.copy(self)
        target.draw = "text" if self.masked and self.mask is None else self.draw
        return target

    @property
    def masked(self) -> bool:
        """Whether the mask is given, by a file or by the image itself, and not simulated."""
        return self.mask is not None or (self.missing is None and self.draw is None)

    def known(self, image: Tensor, pictures: Mapping[str, Tensor]) -> Tensor:
        """The mask as given; how it was interpreted is logged if it is not obvious."""
        mask, note = self._interpreted(image, pictures)
        if note:
            log.info("target.mask=%s: %s%s", self.mask or "null", note, "; inverted" if self.invert else "")
        return (1 - mask if self.invert else mask) * image.isfinite().all(1, keepdim=True)

    def _interpreted(self, image: Tensor, pictures: Mapping[str, Tensor]) -> tuple[Tensor, str]:
        """The mask before it is inverted, and how it was found."""
        from dip.targets import user_masks

        source, alpha = self._source(), pictures.get("image_alpha")
        if source == "colour":
            return user_masks.painted(image, str(self.mask), self.tolerance)
        if source == "file":
            return user_masks.picture(pictures["mask"], image, pictures.get("mask_alpha"), self.tolerance)
        if alpha is not None and alpha.min() < alpha.max():
            return user_masks.transparency(alpha)
        if source == "alpha":
            raise ImageError(
                "target.mask=alpha: the image has no transparent pixels; save it with transparency, as PNG, TIFF or WEBP, "
                "or give a mask, for example target.mask=mask.png"
            )
        if image.isfinite().all():
            raise ImageError(
                "target=inpaint: nothing says which pixels of the image are missing; give a mask, for example "
                "target.mask=mask.png or target.mask=red, or simulate the damage with target.draw=text"
            )
        return image.new_ones(1, 1, *image.shape[-2:]), "NaN values are missing"

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = mask * image, with noise where the mask was made here; the reference is then the image."""
        from dip.targets import masks
        from dip.targets.operators import Mask

        size = (image.shape[-2], image.shape[-1])
        finite = image.isfinite().all(1, keepdim=True)  # (1, 1, H, W)
        if partly := int((image.isfinite().any(1, keepdim=True) & ~finite).sum()):
            log.warning(
                "target=inpaint: pixels that are NaN in some channels or slices only are missing in all: %s",
                f"{partly:,}",
            )
        if self.masked:
            mask = pictures["known"] if "known" in pictures else self.known(image, pictures)  # (1, 1, H, W)
        elif self.missing is not None:
            mask = masks.random_pixels(size, self.missing, draws(seed))
        else:
            mask = masks.hole(size, self.hole, draws(seed)) if self.draw == "hole" else masks.text(size)
        mask, image = mask * finite, image.nan_to_num(0)
        self._log_share(mask)
        if mask.all() or not mask.any():
            what = "nothing is missing" if mask.all() else f"no pixel of {size[0]} x {size[1]} is known"
            raise ImageError(f"target=inpaint: {what}; give another mask, for example target.missing=0.5")
        if self.masked and self.mask is None and self.noise.kind != "none":
            log.warning(
                "target.noise.kind=%s: no noise is added, because the image is damaged already", self.noise.kind
            )
        # Masks use the target's own draws; the noise must be independent of them.
        y = image if self.masked else self.add_noise(image, seed, "noise")
        reference = None if self.masked or not finite.all() else image
        return Observation(mask * y, Mask(mask), reference, size, known=mask)

    def _log_share(self, mask: Tensor) -> None:
        """Logs how much is missing: no other number reveals a mask that does not mean what its author intended."""
        share = 1 - mask.mean().item()
        drawn = "" if self.masked or self.missing is not None else f"target.draw={self.draw}: "
        missing = mask.numel() - int(mask.count_nonzero())
        few = f"{missing:,} of {mask.numel():,} pixels {'is' if missing == 1 else 'are'} missing"
        log.info(
            "target=inpaint: %s%s", drawn, few if share < 0.001 else f"{100 * share:.1f} % of the pixels are missing"
        )
        if self.masked and round(share, 2) > 0.5:
            log.warning(
                "target=inpaint: more than half of the image is missing (%.1f %%); if the mask means the opposite, set "
                "target.invert=%s", 100 * share, str(not self.invert).lower(),
            )  # fmt: skip

    def finish(self, restored: Tensor, observation: Observation) -> Tensor:
        """With `keep`, `restored` with the known pixels as observed."""
        if not self.keep or observation.known is None:
            return restored
        known = observation.known.to(restored)
        return known * observation.y.to(restored) + (1 - known) * restored

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """Adds `psnr_hole`, the PSNR over the missing pixels alone."""
        from dip import metrics

        scores = super().scores(restored, observation)
        if observation.reference is not None and observation.known is not None:
            reference, known = observation.reference.to(restored), observation.known.to(restored)
            scores["psnr_hole"] = metrics.psnr_hole(restored, reference, known).item()
        return scores

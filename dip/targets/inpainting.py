"""Inpainting: pixels of the image are missing, and the network fills them in (the original paper, inpainting)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.errors import ImageError, OptionError
from dip.options import check_choice, check_flag, check_number, log, option
from dip.targets.observation import Observation
from dip.targets.target import NO_PICTURES, Simulated, draws

if TYPE_CHECKING:
    from torch import Tensor

NEARLY_BLACK = 16 / 255


@dataclasses.dataclass
class Inpaint(Simulated):
    """Pixels are missing and filled in: those of a mask file, random ones, or a drawn text or hole."""

    name: str = "inpaint"
    mask: str | None = option(
        None,
        "a picture of the image's size, white = keep, black = missing, or `black`: black pixels of the image are "
        "missing; the image's values there are not used, and only `reference` scores",
        "a path, black or null",
        "mask.png",
    )
    missing: float | None = option(
        None,
        "fraction of the pixels that is removed at random; scored against the image",
        "a number in (0, 1) or null",
        "0.5",
    )
    draw: str = option(
        "text", "what is drawn over the image if neither mask nor missing is given", "text or hole", "hole"
    )
    hole: float = option(0.1, "fraction of the pixels in the drawn hole", "a number in (0, 1)", "0.1")
    keep: bool | None = option(
        None,
        "copy the known pixels, as observed, into the restored image; null: yes, unless target.noise adds noise",
        "true, false or null",
        "false",
    )
    fills = True
    task = "inpainting"

    def __post_init__(self) -> None:
        check_number(self, "missing", low=0, high=1, open_low=True, open_high=True, none=True, prefix="target.")
        check_choice(self, "draw", ("text", "hole"), prefix="target.")
        check_number(self, "hole", low=0, high=1, open_low=True, open_high=True, prefix="target.")
        if self.mask is not None and self.missing is not None:
            raise OptionError("target.missing", self.missing, "null if target.mask is given", "target.missing=null")
        super().__post_init__()
        if self.keep is None:
            self.keep = self.real_damage() is not None or self.noise.kind == "none"
        check_flag(self, "keep", prefix="target.")

    def real_damage(self) -> str | None:
        return None if self.mask is None else f"target.mask={self.mask}"

    def unused(self) -> dict[str, str]:
        unused = super().unused()
        if self.draw == "text":
            unused["hole"] = "target.draw=text"
        for name in ("mask", "missing"):
            if (value := getattr(self, name)) is not None:
                unused |= dict.fromkeys(("draw", "hole"), f"target.{name}={value}")
        return unused

    def files(self) -> dict[str, str]:
        """The mask, if it is a file."""
        return {} if self.mask in (None, "black") else {"mask": str(self.mask)}

    @property
    def masked(self) -> bool:
        """Whether the mask is given."""
        return self.mask is not None

    def known(self, image: Tensor, pictures: Mapping[str, Tensor]) -> Tensor:
        """1 where the mask is white, or with `mask=black` where the image is not black."""
        from dip.targets import masks

        drawn = pictures["mask"] if "mask" in pictures else (image.amax(1, keepdim=True) > 0).float()
        return masks.from_image(drawn, (image.shape[-2], image.shape[-1]))

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = mask * image, with noise where the mask was made here; the reference is then the image."""
        from dip.targets import masks
        from dip.targets.operators import Mask

        size = (image.shape[-2], image.shape[-1])
        if self.masked:
            mask = self.known(image, pictures)  # (1, 1, H, W)
        elif self.missing is not None:
            mask = masks.random_pixels(size, self.missing, draws(seed))
        else:
            mask = masks.hole(size, self.hole, draws(seed)) if self.draw == "hole" else masks.text(size)
        mask = mask * image.isfinite().amin(1, keepdim=True)
        image = image.nan_to_num(0)
        self._log_share(image, mask)
        if not mask.any():
            raise ImageError(
                f"target=inpaint: no pixel of {size[0]} x {size[1]} is known; keep some, for example target.missing=0.5"
            )
        # Masks use the target's own draws; the noise must be independent of them.
        y = image if self.masked else self.add_noise(image, seed, "noise")
        return Observation(mask * y, Mask(mask), None if self.masked else image, size, known=mask)

    def _log_share(self, image: Tensor, mask: Tensor) -> None:
        """Logs how much is missing: no other number reveals a mask that does not mean what its author intended."""
        share = 1 - mask.mean().item()
        made = ""
        if not self.masked and self.missing is None:
            drawn = "a hole" if self.draw == "hole" else "text"
            made = f"no target.mask and no target.missing, so {drawn} is drawn over the image: "
        log.info("target=inpaint: %s%.1f %% of the pixels are missing", made, 100 * share)
        near = ((image.amax(1, keepdim=True) < NEARLY_BLACK) & (mask > 0)).float().mean().item()
        if self.mask == "black" and near > share / 10:
            log.warning(
                "target.mask=black: another %.1f %% of the pixels are nearly black, as black marks in a JPEG are, but "
                "count as known; if they are missing too, give a mask, for example target.mask=mask.png", 100 * near,
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

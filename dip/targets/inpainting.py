"""Inpainting: pixels of the image are missing, and the network fills them in (the original paper, inpainting)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dip.errors import ImageError, OptionError
from dip.options import check_choice, check_flag, check_number, log, option, pass_over, reject
from dip.targets.target import NO_PICTURES, Observation, Target

if TYPE_CHECKING:
    from torch import Tensor

NEARLY_BLACK = 16 / 255


@dataclasses.dataclass
class Inpaint(Target):
    """Pixels are missing and filled in: those of a mask file, random ones, or a drawn text or hole."""

    name: str = "inpaint"
    mask: str | None = option(
        None,
        "a picture of the image's size, white = keep, black = missing, or `black`: the image's black pixels are missing; "
        "what the image holds there is not looked at, and `reference` alone scores",
        "a path, black or null",
        "mask.png",
    )
    missing: float | None = option(
        None,
        "share of the pixels that is taken away at random; the image scores",
        "a number in (0, 1) or null",
        "0.5",
    )
    draw: str = option(
        "text", "what is drawn over the image where neither mask nor missing is given", "text or hole", "hole"
    )
    hole: float = option(0.1, "share of the pixels in the drawn hole", "a number in (0, 1)", "0.1")
    keep: bool = option(
        True,
        "put the known pixels, as they were observed, into the restored image; false where they are noisy",
        "true or false",
        "false",
    )

    def __post_init__(self) -> None:
        check_number(
            self, "missing", low=0, high=1, open_low=True, open_high=True, none=True, prefix="target."
        )
        check_choice(self, "draw", ("text", "hole"), prefix="target.")
        check_number(self, "hole", low=0, high=1, open_low=True, open_high=True, prefix="target.")
        check_flag(self, "keep", prefix="target.")
        if self.mask is not None and not self.mask:
            raise reject(self, "mask", "target.")
        if self.mask is not None and self.missing is not None:
            raise OptionError(
                "target.missing", self.missing, "null where target.mask is given", "target.missing=null"
            )
        for name in ("mask", "missing"):
            if getattr(self, name) is not None:
                pass_over(
                    self, "draw", "hole", beside=f"target.{name}={getattr(self, name)}", prefix="target."
                )
        if self.draw == "text":
            pass_over(self, "hole", beside="target.draw=text", prefix="target.")

    def files(self) -> dict[str, str]:
        """The mask, where it is a file."""
        return {} if self.mask in (None, "black") else {"mask": str(self.mask)}

    def observe(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor] = NO_PICTURES) -> Observation:
        """y = mask * image; the reference is the image where the mask was made here."""
        from dip.targets.operators import Mask

        mask = self.known_pixels(image, seed, pictures)
        self._tell(image, mask)
        size = (image.shape[-2], image.shape[-1])
        if not mask.any():
            raise ImageError(
                f"target=inpaint: no pixel of {size[0]} x {size[1]} is known; leave some, for example target.missing=0.5"
            )
        reference = image if self.mask is None else None
        return Observation(mask * image, Mask(mask), reference, size, known=mask)

    @property
    def masked(self) -> bool:
        """Whether it is not drawn here."""
        return self.mask is not None

    def known(self, image: Tensor, pictures: Mapping[str, Tensor]) -> Tensor:
        """White in the mask, or not black in the image."""
        from dip.targets import masks

        drawn = pictures["mask"] if "mask" in pictures else (image.amax(1, keepdim=True) > 0).float()
        return masks.from_image(drawn, (image.shape[-2], image.shape[-1]))

    def known_pixels(self, image: Tensor, seed: int, pictures: Mapping[str, Tensor]) -> Tensor:
        """The mask (1, 1, H, W): 1 = known, 0 = missing."""
        from dip.seeds import derive
        from dip.targets import masks

        if self.masked:
            return self.known(image, pictures)
        size = (image.shape[-2], image.shape[-1])
        if self.missing is not None:
            return masks.random_pixels(size, self.missing, derive(seed, "target"))
        if self.draw == "hole":
            return masks.holes(size, self.hole, seed=derive(seed, "target"))
        return masks.text(size)

    def _tell(self, image: Tensor, mask: Tensor) -> None:
        """How much is missing: a mask that does not say what its maker meant shows in no other number."""
        share = 1 - mask.mean().item()
        if self.masked or self.missing is not None:
            log.info("target=inpaint: %.1f %% of the pixels are missing", 100 * share)
        else:
            log.info(
                "target=inpaint: no target.mask and no target.missing, so %s is drawn over the image: %.1f %% of its pixels "
                "are missing", {"hole": "a hole"}.get(self.draw, self.draw), 100 * share,
            )  # fmt: skip
        if self.mask == "black":
            near = ((image.amax(1, keepdim=True) < NEARLY_BLACK) & (mask > 0)).float().mean().item()
            if near > share / 10:
                log.warning(
                    "target.mask=black: another %.1f %% of the pixels are nearly black, as marks in a JPEG are, and count as "
                    "known; where they are missing too, give a mask of its own, for example target.mask=mask.png", 100 * near,
                )  # fmt: skip

    def finish(self, restored: Tensor, observation: Observation) -> Tensor:
        """With `keep`, what was observed takes its place again."""
        if not self.keep or observation.known is None:
            return restored
        known = observation.known.to(restored)
        return known * observation.y.to(restored) + (1 - known) * restored

    def scores(self, restored: Tensor, observation: Observation) -> dict[str, float]:
        """Adds `psnr_hole`, over the missing pixels alone."""
        from dip import metrics

        scores = super().scores(restored, observation)
        if observation.reference is not None and observation.known is not None:
            reference, known = observation.reference.to(restored), observation.known.to(restored)
            scores["psnr_hole"] = metrics.psnr_hole(restored, reference, known).item()
        return scores

    def baselines(self, observation: Observation) -> dict[str, Tensor]:
        """Biharmonic inpainting."""
        from dip.targets import baselines

        assert observation.known is not None
        return baselines.inpaint(observation.y, observation.known)

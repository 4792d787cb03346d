"""The result of `dip.restore`: the image, its metrics and history, and its display in a notebook."""

import base64
import dataclasses
import html
import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dip import images

SHOWN_SIDE = 512  # pixels; the images are saved inside the notebook
SHOWN = ("psnr", "psnr_y", "psnr_hole", "ssim", "restored_step", "steps", "seconds")


@dataclasses.dataclass(frozen=True, repr=False)
class Restoration:
    """A restored image and the run that made it."""

    image: NDArray[np.float32]
    """The restored image in [0, 1], (H, W, C), or (H, W) where a gray file or an (H, W) array was given; see `values`.

    With `operator`: the magnitude of a complex image; 0 and 1 are `range`, else the reference's or the image's extremes."""
    observed: NDArray[Any]
    """The observation that was fitted, (h, w, C) or (h, w) in [0, 1]: the degraded image. With `operator`: y as given."""
    metrics: dict[str, Any]
    """The content of `result.json`: `psnr` and `ssim` (None without a reference), `steps`, `loss`, `seconds`, ..."""
    history: dict[str, list[float]]
    """The columns of `metrics.csv`, a value per record, NaN where unknown: `step`, `loss`, `psnr`, `psnr_ema`, ...

    Empty for an image in tiles, whose processes have records of their own."""
    folder: Path | None
    """The run folder; None without `out`."""
    like: images.Picture = dataclasses.field(repr=False)
    """How the input was stored; `save` uses the same depth, units, transparency and colour profile."""
    in_units: NDArray[Any] | None = dataclasses.field(default=None, repr=False)
    """With `operator`: see `values`."""
    spread: NDArray[np.float32] | None = None
    """With `ensemble` >= 2 the standard deviation of the networks' outputs, averaged over steps, of the shape of
    `image`: where it is high, the image is uncertain. None for a single network."""

    @property
    def values(self) -> NDArray[Any]:
        """The restored image in the type and the units of the input, such as uint8, or 12 bits in uint16.

        With `operator`: float32 or complex64 in the units of the operator's image, which is (1, C, H, W) there; here it is
        (H, W, C), or (H, W) for one channel. `images/restored.npy` is always (H, W, C).
        """
        if self.in_units is not None:
            return self.in_units
        pixels = images.from_array(self.image, self.like)  # (1, C, H, W)
        array = images.stored(pixels, self.like.mode, self.like.units)  # (H, W, C)
        return images.arranged(array, self.like)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the image to `path` (.png .tif .npy ...) with the input's depth, units, transparency and colour profile.

        With `operator`, `.npy` and `.tif` files hold `values`, other files `image`. Missing folders are made.

        Raises:
            ImageError: the format cannot hold it, or the file cannot be written.
        """
        path = Path(path)
        if self.in_units is not None and path.suffix.lower() in (".npy", ".tif", ".tiff"):
            images.save_values(path, self.in_units, folders=True)
        else:
            like = self.like if self.in_units is None else None
            images.save(path, images.from_array(self.image, self.like), like, folders=True)

    def _observed_image(self) -> NDArray[np.float32] | None:
        """`observed` as an image in [0, 1]; None for measurements that are not an array of rows and columns."""
        if self.in_units is None:
            return self.observed
        y = np.abs(self.observed.squeeze()) if np.iscomplexobj(self.observed) else self.observed.squeeze()
        y = np.where(np.isfinite(y), y, np.nanmin(y))  # missing ones are black
        return ((y - y.min()) / ((y.max() - y.min()) or 1)).astype(np.float32) if y.ndim == 2 else None

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.image.shape))
        score = self.metrics.get("psnr")
        scored = "" if score is None else f", PSNR {score:.2f} dB"
        where = "" if self.folder is None else f", folder {str(self.folder)!r}"
        return f"<Restoration {shape}{scored}, {self.metrics['status']} at step {self.metrics['steps']}{where}>"

    def _repr_html_(self) -> str:
        """The observation and the restored image side by side, with the scores, for a notebook."""
        pictures = "".join(
            f'<figure style="margin:0"><img style="max-width:100%;min-width:128px" alt="{name}" src="{_inline(images.from_array(array, self.like), self.like.depth)}">'
            f"<figcaption>{name}</figcaption></figure>"
            for name, array in (("observed", self._observed_image()), ("restored", self.image))
            if array is not None
        )
        known = {name: self.metrics[name] for name in SHOWN if self.metrics.get(name) is not None}
        shown = ", ".join(f"{name} {x if isinstance(x, int) else f'{x:.4g}'}" for name, x in known.items())
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{pictures}</div><p>{html.escape(shown)}</p>'


def _inline(pixels: torch.Tensor, slices: int) -> str:
    """(1, C, H, W) as the data URL of a PNG of at most `SHOWN_SIDE` pixels a side."""
    step = math.ceil(max(pixels.shape[2:]) / SHOWN_SIDE)
    pixels = pixels[..., ::step, ::step]
    shown = images.to_array(images.preview(pixels, slices)).clip(0, 1) * 255 + 0.5  # (h, w, 1 or 3)
    png = io.BytesIO()
    Image.fromarray(np.broadcast_to(shown, (*shown.shape[:2], 3)).astype(np.uint8)).save(png, "PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()

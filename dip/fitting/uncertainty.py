"""The spread of an ensemble: how much its networks disagree in each pixel, saved, and compared with the true error.

Errors that depend on the initialisation differ between the networks, so the spread ranks pixels by their error. It is
not the error itself: what all networks have in common, such as the noise that they all fit, is not in it. How well it
ranks is measured in sweeps/results/spread.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dip import images
from dip.errors import ImageError
from dip.options import log

BLOCK = 8
"""Side in pixels of the blocks for which the correlation is computed too."""


def save(folder: Path, spread: Tensor | None) -> None:
    """Write `spread.npy`, (H, W, C) float32 in the units of the image, and `spread.png`; nothing for None.

    The picture is the root mean square over the channels, (H, W); white is its greatest value. An error is a warning,
    because the spread must not cost the run its result.
    """
    if spread is None:
        return
    shown = _over_channels(spread)
    try:
        images.save_values(folder / "spread.npy", images.to_array(spread))
        images.save(folder / "spread.png", shown / shown.amax().clamp(min=1e-12))
    except ImageError as error:
        log.warning("the spread is not saved: %s", error)


def load(folder: Path) -> Tensor:
    """The spread that `save` has written into `folder`, (1, C, H, W)."""
    return torch.from_numpy(np.load(folder / "spread.npy", allow_pickle=False)).permute(2, 0, 1)[None]


def scores(spread: Tensor, restored: Tensor, reference: Tensor | None) -> dict[str, float]:
    """How well `spread` ranks the error of `restored`, all (1, C, H, W): correlations; {} without a reference.

    `spearman` and `pearson` compare pixels, `spearman_blocks` and `pearson_blocks` means over 8 x 8 pixels. Entries
    that are not defined, as for a constant error, are left out.
    """
    if reference is None:
        return {}
    from scipy.stats import rankdata  # slow to import

    pair = _over_channels(spread), _over_channels(restored.to(spread) - reference.to(spread))  # each (1, 1, H, W)
    found = {}
    for name, side in (("", 1), ("_blocks", BLOCK)):
        if min(spread.shape[-2:]) < side:
            continue
        first, second = (torch.nn.functional.avg_pool2d(plane, side).flatten().double() for plane in pair)
        ranks = (torch.from_numpy(rankdata(values.numpy())) for values in (first, second))
        found[f"spearman{name}"] = _pearson(*ranks)
        found[f"pearson{name}"] = _pearson(first, second)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _over_channels(image: Tensor) -> Tensor:
    """The root mean square over the channels: (1, C, H, W) -> (1, 1, H, W)."""
    return image.square().mean(1, keepdim=True).sqrt()


def _pearson(first: Tensor, second: Tensor) -> float:
    if len(first) < 2:
        return float("nan")
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])

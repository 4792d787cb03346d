"""Does an image that was fitted in tiles show seams? Compares its errors with those of the same image fitted whole.

    python -m dip.bench.seams outputs/tiles/TILED outputs/tiles/WHOLE

Prints as JSON the PSNR of both runs, and for each the mean squared error in the overlaps of the tiles, and within `NEAR`
pixels of a tile's border, divided by that elsewhere. The content of the image differs there too, so the ratio of the
whole run is what to compare with.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dip import images, runs
from dip.errors import RunError

NEAR = 4


def overlaps(tiles: dict[str, Any], size: tuple[int, int]) -> Tensor:
    """Which pixels of an image of `size` (H, W) lie in more than one of the `tiles` of a `result.json`, (H, W)."""
    count = torch.zeros(size)
    for tile in tiles.values():
        count[slice(*tile["rows"]), slice(*tile["columns"])] += 1
    return count > 1


def borders(tiles: dict[str, Any], size: tuple[int, int]) -> Tensor:
    """Which pixels lie within `NEAR` pixels of a tile's border inside the image, (H, W)."""
    near = torch.zeros(size, dtype=torch.bool)
    for tile in tiles.values():
        rows, columns = tile["rows"], tile["columns"]
        for edge in {*rows} - {0, size[0]}:
            near[max(edge - NEAR, 0) : edge + NEAR, slice(*columns)] = True
        for edge in {*columns} - {0, size[1]}:
            near[slice(*rows), max(edge - NEAR, 0) : edge + NEAR] = True
    return near


def compare(tiled: Path, whole: Path) -> dict[str, float]:
    """The numbers of two run folders with a reference.

    Raises:
        RunError: `tiled` is not a finished run in tiles.
    """
    result = runs.read_result(tiled) or {}
    if "tiles" not in result or not runs.finished(tiled):
        raise RunError(f"{tiled}: is not a finished run in tiles; for example outputs/tiles/noisy-tile256-...")
    reference = images.load(tiled / "images" / "reference.png").pixels
    size = (reference.shape[-2], reference.shape[-1])
    zones = {"overlaps": overlaps(result["tiles"], size), "borders": borders(result["tiles"], size)}
    found = {f"{zone}_share": float(inside.float().mean()) for zone, inside in zones.items()}
    for name, folder in (("tiled", tiled), ("whole", whole)):
        restored = images.load(folder / "images" / "restored.png").pixels
        error = (restored - reference).square().mean((0, 1))  # (H, W)
        found[f"{name}_psnr"] = (runs.read_result(folder) or {})["psnr"]
        for zone, inside in zones.items():
            found[f"{name}_{zone}"] = float(error[inside].mean() / error[~inside].mean())
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m dip.bench.seams TILED WHOLE")
    try:
        print(json.dumps(compare(Path(sys.argv[1]), Path(sys.argv[2])), indent=2))
    except RunError as error:
        sys.exit(f"error: {error}")

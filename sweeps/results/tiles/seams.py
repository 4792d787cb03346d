"""Compare the errors of an image fitted in tiles with those of the same image fitted whole: `python seams.py TILED WHOLE`.

Prints, for both run folders, the PSNR in dB and the mean squared error in the overlaps of the tiles, and within 4 pixels of
a tile's border, each divided by that elsewhere.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from dip import images, runs

NEAR = 4


def zones(tiles: dict, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Which pixels (H, W) lie in several of the `tiles` of a `result.json`, and which near a border inside the image."""
    count, near = np.zeros(size, int), np.zeros(size, bool)
    for tile in tiles.values():
        count[slice(*tile["rows"]), slice(*tile["columns"])] += 1
        for edge in {*tile["rows"]} - {0, size[0]}:
            near[max(edge - NEAR, 0) : edge + NEAR, slice(*tile["columns"])] = True
        for edge in {*tile["columns"]} - {0, size[1]}:
            near[slice(*tile["rows"]), max(edge - NEAR, 0) : edge + NEAR] = True
    return {"overlaps": count > 1, "borders": near}


def ratios(folder: Path, tiles: dict) -> dict[str, float]:
    """The numbers of one run folder with a reference."""
    restored, reference = (images.load(folder / "images" / f"{name}.png").pixels for name in ("restored", "reference"))
    error = (restored - reference).square().mean((0, 1)).numpy()  # (H, W)
    found = {
        name: float(error[inside].mean() / error[~inside].mean()) for name, inside in zones(tiles, error.shape).items()
    }
    return {"psnr": runs.read_result(folder)["psnr"], **found}


if __name__ == "__main__":
    tiled, whole = map(Path, sys.argv[1:])
    tiles = runs.read_result(tiled)["tiles"]
    print(json.dumps({"tiles": ratios(tiled, tiles), "whole": ratios(whole, tiles)}, indent=2))

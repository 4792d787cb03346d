"""The errors in the overlaps of tiles, against known ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dip import images, runs
from dip.bench.seams import compare
from dip.errors import RunError

TILES = {"a": {"rows": [0, 8], "columns": [0, 10]}, "b": {"rows": [0, 8], "columns": [6, 16]}}


def run(folder: Path, seam: float, elsewhere: float, **more: object) -> Path:
    (folder / "images").mkdir(parents=True)
    error = torch.full((1, 3, 8, 16), elsewhere / 255)
    error[..., 6:10] = seam / 255
    reference = torch.full((1, 3, 8, 16), 100 / 255)
    images.save(folder / "images" / "reference.png", reference)
    images.save(folder / "images" / "restored.png", reference + error)
    runs.write_json(folder / "result.json", {"status": "finished", "config": {}, "psnr": 30.0, **more})
    return folder


def test_the_ratio_of_the_errors(tmp_path: Path):
    tiled, whole = run(tmp_path / "tiled", 10, 5, tiles=TILES), run(tmp_path / "whole", 4, 4)
    found = compare(tiled, whole)
    assert found["tiled_overlaps"] == pytest.approx(4, rel=1e-4)
    assert found["whole_overlaps"] == pytest.approx(1, rel=1e-4)
    assert found["overlaps_share"] == 0.25
    assert found["borders_share"] == 12 / 16  # columns 2 to 13: within 4 pixels of 6 and of 10
    assert found["tiled_borders"] == pytest.approx((4 * 100 + 8 * 25) / 12 / 25, rel=1e-4)
    with pytest.raises(RunError, match="is not a finished run in tiles"):
        compare(whole, tiled)

"""The scripts beside the published pages: parts of a step, errors at the borders of tiles, and time to quality."""

import csv
import runpy

import pytest
import torch

from dip import images, runs
from tests.conftest import ROOT

RESULTS = ROOT / "sweeps" / "results"


def test_errors_in_overlaps_and_near_borders(tmp_path):
    ratios = runpy.run_path(str(RESULTS / "tiles" / "seams.py"))["ratios"]
    tiles = {"a": {"rows": [0, 8], "columns": [0, 10]}, "b": {"rows": [0, 8], "columns": [6, 16]}}
    reference, error = torch.full((1, 3, 8, 16), 100 / 255), torch.full((1, 3, 8, 16), 5 / 255)
    error[..., 6:10] = 10 / 255
    (tmp_path / "images").mkdir()
    images.save(tmp_path / "images" / "reference.png", reference)
    images.save(tmp_path / "images" / "restored.png", reference + error)
    runs.write_json(tmp_path / "result.json", {"status": "finished", "config": {}, "psnr": 30.0})
    found = ratios(tmp_path, tiles)
    assert found["overlaps"] == pytest.approx(4, rel=1e-4)
    # Columns 2 to 13 are within 4 pixels of the borders at 6 and 10.
    assert found["borders"] == pytest.approx((4 * 100 + 8 * 25) / 12 / 25, rel=1e-4)


def test_every_rule_is_timed():
    parts = runpy.run_path(str(RESULTS / "bench" / "parts.py"))
    tiny = parts["configured"](
        ["size=32", "net.depth=3", "net.channels=4", "skips=[2]", "device=cpu", "precision=fp32"]
    )
    rows = parts["rules"](tiny, steps=2)
    names = {"step", "wmv", "emv", "heldout", "discrepancy", "covariance", "combined", "consistent"}
    assert {row["rule"] for row in rows} == names
    assert all(row["seconds"] > 0 for row in rows)


def test_the_published_curves_give_the_published_table():
    compared = runpy.run_path(str(RESULTS / "fast" / "time_to_quality.py"))["compared"]
    with open(RESULTS / "fast" / "curves.csv", newline="") as curves, open(RESULTS / "fast" / "table.csv") as table:
        points, published = [*csv.DictReader(curves)], [*csv.DictReader(table)]
    found = compared(*([point for point in points if point["way"] == way] for way in ("slow", "fast")))
    assert len(found) == len(published) == 3
    for row, expected in zip(found, published, strict=True):
        assert row.pop("image") == expected["image"]
        assert row == pytest.approx({name: float(expected[name]) for name in row}, rel=1e-4)

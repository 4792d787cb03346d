"""The figures of the leaderboard: who is on the frontier, points by rank, crops to the pixel."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dip.report import figures
from dip.report.figures.crops import SIDE, crops, detail
from tests.fake_runs import photograph, save

POINTS = st.dictionaries(st.text("abcdefgh", min_size=1), st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12)


@given(POINTS)
def test_the_frontier_is_what_no_other_beats(points):
    found = figures.frontier_of(points)
    for name, (seconds, psnr) in points.items():
        better = [o for o, (s, p) in points.items() if s <= seconds and p >= psnr and (s, p) != (seconds, psnr)]
        if better:
            assert name not in found
        else:
            assert points[name] in [points[one] for one in found]
    assert [points[name] for name in found] == sorted({points[name] for name in found})


def test_points_are_numbered_and_named_by_their_rank(tmp_path):
    points = {"slow": (100.0, 30.0), "worse": (200.0, 20.5), "quick": (1.0, 25.0)}
    paths = figures.frontier(tmp_path / "plot", points)
    assert [path.suffix for path in paths] == [".png", ".svg"]
    words = re.findall(r"<!-- (.*?) -->", paths[1].read_text())
    assert {"1", "2", "3"} <= set(words)
    assert words[-3:] == ["1  slow, 30.00 dB", "2  quick, 25.00 dB", "3  worse, 20.50 dB"]


def test_a_crop_has_the_pixels_of_the_image(tmp_path):
    pixels = photograph(200)
    save(tmp_path / "reference.png", pixels)
    stored = np.asarray(Image.open(tmp_path / "reference.png"))
    box = detail(tmp_path / "reference.png")
    assert (box[2] - box[0], box[3] - box[1]) == (SIDE, SIDE)
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG")
    save(tmp_path / "small.png", pixels[:40, :40])
    names = ("reference", "damaged", "small", "reference")
    (path,) = crops(tmp_path / "crops", [(tmp_path / f"{name}.png", name) for name in names], box)
    drawn = np.asarray(Image.open(path).convert("RGB"))
    wanted = stored[box[1] : box[3], box[0] : box[2]]
    for left in (10, 20 + SIDE):
        assert (drawn[10 : 10 + SIDE, left : left + SIDE] == wanted).all()
    assert crops(tmp_path / "none", [(tmp_path / "damaged.png", "")], box) == []


@pytest.mark.parametrize("corner", [(0, 0), (60, 30)])
def test_the_detail_is_where_neighbours_differ(tmp_path, corner):
    pixels = np.full((150, 190, 3), 0.5)
    top, left = corner
    pixels[top : top + 120 : 2, left : left + 120] = 1
    save(tmp_path / "stripes.png", pixels)
    box = detail(tmp_path / "stripes.png")
    assert abs(box[0] - left) <= SIDE - 119
    assert abs(box[1] - min(top, 150 - SIDE)) <= SIDE - 119

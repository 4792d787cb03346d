"""From files to the mask of a run: transparency, sizes, the range of known pixels, and what the user is told."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dip
from dip.errors import ImageError
from dip.targets import Inpaint
from tests.fitting.observed import observed

SMALL: dict[str, Any] = {"steps": 2, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(60, 200, (32, 48, 3), np.uint8)


def known(image: Any, size: Any = None, **options: Any) -> torch.Tensor:
    found = observed(image=str(image), target=Inpaint(**options), size=size).seen.known
    assert found is not None
    return found


def test_a_share_that_grows_by_resizing_is_told(photo, tmp_path, caplog):
    """Columns of two pixels: at a quarter of the size each pixel that a column touches is missing."""
    caplog.set_level(logging.INFO)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    mask = np.full((32, 48), 255, np.uint8)
    mask[:, 8:10] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    kept = known(tmp_path / "photo.png", mask=str(tmp_path / "mask.png"))
    assert "partly missing" not in caplog.text
    resized = known(tmp_path / "photo.png", size=[8, 12], mask=str(tmp_path / "mask.png"))
    shares = [100 * (1 - one.mean().item()) for one in (resized, kept)]
    assert shares[0] > shares[1] + 1
    line = "size: pixels that are partly missing count as missing in the resized mask, {:.1f} % instead of {:.1f} %"
    assert line.format(*shares) in caplog.text


def test_a_hole_that_is_drawn_as_transparency_is_filled_and_opaque(photo, tmp_path, fit):
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[5:12, 10:30] = 0
    alpha[12, 10:30] = 130
    Image.fromarray(np.dstack([photo, alpha])).save(tmp_path / "hole.png")
    folder, result = fit(f"image={tmp_path}/hole.png", "target=inpaint", "size=null", "steps=2", "record_every=1")
    restored = np.asarray(Image.open(folder / "images" / "restored.png"))
    assert restored.shape == (32, 48, 4)
    assert (restored[..., 3] == 255).all()
    assert np.array_equal(restored[alpha == 255][:, :3], photo[alpha == 255])
    assert np.array_equal(np.asarray(Image.open(folder / "images" / "mask.png")), (alpha == 255) * np.uint8(255))
    assert result["missing"] == pytest.approx((alpha < 255).mean())


def test_transparency_outside_the_mask_is_kept(photo, tmp_path):
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[:, :10] = 0
    mask = np.full((32, 48), 255, np.uint8)
    mask[4:8, 5:20] = 0
    Image.fromarray(np.dstack([photo, alpha])).save(tmp_path / "cut.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    picture = observed(image=f"{tmp_path}/cut.png", target=Inpaint(mask=f"{tmp_path}/mask.png")).picture
    assert np.array_equal(picture.alpha[0, 0].numpy() * 255, np.where(mask == 0, 255, alpha))


@pytest.mark.parametrize("size", [None, 16, [24, 36]])
@pytest.mark.parametrize(
    "kind", ["png", "larger", "1-bit", "palette", "16-bit", "0 and 1", "array", "red", "copy", "alpha"]
)
def test_one_mask_in_many_forms(kind, size, photo, tmp_path):
    """The same hole is understood in each form, at each size."""
    hole = np.zeros((32, 48), bool)
    hole[8:20, 16:30] = True
    white = np.where(hole, 0, 255).astype(np.uint8)
    paths = {name: str(tmp_path / name) for name in ("photo.png", "mask.png", "wanted.png")}
    Image.fromarray(photo).save(paths["photo.png"])
    Image.fromarray(white).save(paths["wanted.png"])
    wanted = known(paths["photo.png"], size, mask=paths["wanted.png"])
    painted = np.where(hole[..., None], np.array([255, 0, 0], np.uint8), photo)
    options: dict[str, Any] = {"mask": paths["mask.png"]}
    if kind == "red":
        Image.fromarray(painted).save(paths["photo.png"])
        options = {"mask": "red"}
    elif kind == "alpha":
        Image.fromarray(np.dstack([photo, white])).save(paths["photo.png"])
        options = {"mask": "alpha"}
    else:
        mask = {
            "larger": white.repeat(3, 0).repeat(3, 1), "16-bit": white.astype(np.uint16) * 257, "0 and 1": white // 255,
            "copy": painted, "array": white, "1-bit": white > 0,
        }.get(kind, white)  # fmt: skip
        drawn = Image.fromarray(mask)
        (drawn.convert("P") if kind == "palette" else drawn).save(paths["mask.png"])
    assert torch.equal(known(paths["photo.png"], size, **options), wanted)
    inverted = known(paths["photo.png"], None, invert=True, **options)
    assert torch.equal(inverted[0, 0] == 1, torch.from_numpy(hole))


def test_an_own_photo_is_not_drawn_over_unless_told(photo, tmp_path, caplog):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    with pytest.raises(
        ImageError, match=r"^target=inpaint: nothing says which pixels .* simulate .* target.draw=text$"
    ):
        known(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="nothing says which pixels"):
        dip.restore(photo, "inpaint", **SMALL)
    assert 0 < known(tmp_path / "photo.png", draw="text").mean() < 1
    with caplog.at_level(logging.INFO, "dip"):
        assert 0 < known("astronaut", 64).mean() < 1
    assert "target.draw=text" in caplog.text


def test_python_is_told_how_much_is_missing(photo, capfd, monkeypatch):
    log = logging.getLogger("dip")
    monkeypatch.setattr(log, "propagate", False)  # as without pytest's handlers
    mask = np.ones((32, 48))
    mask[:8] = 0
    target = {"name": "inpaint", "mask": mask, "invert": True}
    result = dip.restore(photo, target, **{**SMALL, "progress": True})
    told = capfd.readouterr().err
    assert "target=inpaint: 75.0 % of the pixels are missing" in told
    assert "if the mask means the opposite, set target.invert=false" in told
    assert result.metrics["missing"] == 0.75
    assert not log.handlers
    dip.restore(photo, target, **SMALL)
    assert "more than half of the image is missing (75.0 %)" in capfd.readouterr().err  # Python shows warnings


def test_with_a_folder_it_is_told_once(photo, tmp_path, caplog):
    caplog.set_level(logging.INFO, "dip")
    dip.restore(photo, {"name": "inpaint", "missing": 0.25}, out=tmp_path, **SMALL)
    assert sum("25.0 % of the pixels are missing" in line for line in caplog.messages) == 1


def test_a_path_named_as_a_colour_is_a_path(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match=r"^target.mask=./red: there is no such file"):
        dip.restore(photo, {"name": "inpaint", "mask": Path("red")}, **{**SMALL, "out": tmp_path})

"""Inpainting: which pixels are known, what is observed, and how the result is scored."""

import numpy as np
import pytest
import torch

from dip import images
from dip.errors import ImageError, OptionError
from dip.metrics import HIGHEST
from dip.targets import Inpaint
from tests.disturbed import rows_of


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return images.prepare(images.load("coffee"), (48, 64)).pixels


@pytest.mark.parametrize(
    ("target", "share"),
    [
        (Inpaint(missing=0.5), (0.5, 0.5)),
        (Inpaint(draw="hole", hole=0.2), (0.2, 0.2)),
        (Inpaint(draw="text"), (0.03, 0.2)),
    ],
)
def test_observation_is_the_image_with_holes_of_zero(target, share, photo):
    seen = target.observe(photo, seed=1)
    known = seen.known.numpy()[0, 0].astype(bool)
    expected = np.where(known, photo[0].numpy(), 0)
    assert np.array_equal(seen.y[0].numpy(), expected)
    assert torch.equal(seen.operator(photo), seen.y)
    assert torch.equal(seen.reference, photo)
    assert seen.size == (48, 64)
    assert share[0] - 1e-3 <= 1 - known.mean() <= share[1] + 1e-3


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Inpaint(missing=0.5), "target=inpaint: 50.0 % of the pixels are missing"),
        (Inpaint(draw="hole", hole=0.25), "target=inpaint: target.draw=hole: 25.0 % of the pixels are missing"),
        (Inpaint().for_sample(), "target=inpaint: target.draw=text: "),
    ],
)
def test_the_share_of_missing_pixels_is_logged(target, said, photo, caplog):
    caplog.set_level("INFO", "dip")
    target.observe(photo, seed=1)
    (line,) = caplog.messages
    assert said in line


@pytest.mark.parametrize(("holes", "said"), [(1, "1 of 3,072 pixels is missing"), (3, "3 of 3,072 pixels are missing")])
def test_few_missing_pixels_are_counted(holes, said, photo, caplog):
    caplog.set_level("INFO", "dip")
    photo = photo.clone()
    photo[..., 0, :holes] = torch.nan
    Inpaint().observe(photo, seed=1)
    assert caplog.messages[-1] == f"target=inpaint: {said}"


def test_pixels_that_some_channels_lack_are_missing_in_all_and_counted(photo, caplog):
    photo = photo.clone()
    photo[:, 0, 0, :3] = photo[..., 1, :2] = torch.nan
    known = Inpaint().observe(photo, seed=1).known
    assert int((known == 0).sum()) == 5
    assert "target=inpaint: pixels that are NaN in some channels or slices only are missing in all: 3" in caplog.text


def test_nearly_black_marks_are_missing_too(photo):
    """JPEG compression leaves few of them exactly black."""
    torn = photo.clamp(min=0.2)
    torn[..., :10, :] = 0.03
    torn[..., :1, :] = 0
    known = Inpaint(mask="black").observe(torn, seed=0).known
    assert not known[..., :10, :].any()
    assert known[..., 16:, :].all()


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("invert", [False, True])
def test_more_than_half_missing_is_asked_about(share, invert, photo, caplog):
    mask = torch.ones(1, 1, 48, 64)
    mask.view(-1)[: round(share * mask.numel())] = 0
    seen = Inpaint(mask="m.png", invert=invert).observe(photo, 0, {"mask": mask})
    assert torch.equal(seen.known, 1 - mask if invert else mask)
    assert seen.reference is None
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert bool(warned) == ((share > 0.5) != invert)
    assert all(f"70.0 %); if the mask means the opposite, set target.invert={not invert}".lower() in w for w in warned)


def test_transparent_pixels_are_missing(photo):
    alpha = torch.ones(1, 1, 48, 64)
    alpha[..., 5:9, :] = 0
    alpha[..., 9, :] = 0.6
    for target in (Inpaint(), Inpaint(mask="alpha")):
        seen = target.observe(photo, 0, {"image_alpha": alpha})
        assert torch.equal(seen.known, (alpha == 1).float())
        assert seen.reference is None


def test_values_that_are_not_finite_are_missing(photo):
    holed = photo.clone()
    holed[:, 0, 3:6] = float("nan")
    for target in (Inpaint(), Inpaint(missing=0.2)):
        seen = target.observe(holed, 0)
        assert not seen.known[..., 3:6, :].any()
        assert seen.y.isfinite().all()
        assert seen.reference is None
    assert (Inpaint().observe(holed, 0).known == 0).float().mean().item() == pytest.approx(3 / 48)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "target=inpaint: nothing says which pixels"),
        ({"mask": "alpha"}, "target.mask=alpha: the image has no transparent"),
        ({"mask": "#123"}, "target.mask=#123: no pixel has this colour; the nearest differs by 0."),
        ({"missing": 1e-6}, "target=inpaint: nothing is missing"),
        ({"missing": 1 - 1e-6}, "target=inpaint: no pixel of 48 x 64 is known"),
    ],
)
def test_nothing_missing_or_nothing_known_is_an_error(options, said, photo):
    with pytest.raises(ImageError, match=f"^{said}[^\n]* for example [^\n]*$"):
        Inpaint(**options).observe(photo, 0)


def test_psnr_hole_depends_on_the_missing_pixels_only(photo):
    target = Inpaint(missing=0.3)
    seen = target.observe(photo, 0)
    missing = 1 - seen.known
    wrong_in_hole, wrong_outside = photo + 0.1 * missing, photo + 0.1 * seen.known
    assert target.scores(wrong_in_hole, seen)["psnr_hole"] == pytest.approx(20, abs=1e-3)
    assert target.scores(wrong_in_hole, seen)["psnr"] == pytest.approx(20 - 10 * np.log10(0.3), abs=0.01)
    assert target.scores(wrong_outside, seen)["psnr_hole"] == HIGHEST


def test_keep_copies_the_known_pixels(photo):
    seen = Inpaint(missing=0.5).observe(photo, 0)
    restored = torch.full_like(photo, 0.25)
    assert torch.equal(Inpaint(missing=0.5, keep=False).finish(restored, seen), restored)
    kept = Inpaint(missing=0.5).finish(restored, seen)
    assert torch.equal(kept, torch.where(seen.known.bool(), photo, restored))


def test_records_score_the_image_that_is_returned(fit, tmp_path):
    folder, result = fit("target=inpaint", "target.missing=0.5", "steps=20", "record_every=10", "net.skip_channels=2")
    _, raw = fit("target=inpaint", "target.missing=0.5", "target.keep=false", "steps=20", "record_every=10")
    assert float(rows_of(folder)[-1]["psnr_ema"]) == pytest.approx(result["psnr"], abs=1e-4)
    assert result["psnr_hole"] == pytest.approx(result["psnr"] + 10 * np.log10(0.5), abs=0.01)
    assert raw["psnr"] < result["psnr"]


@pytest.mark.parametrize("options", [{"mask": ""}, {"missing": 0.5, "mask": "m"}])
def test_an_illegal_option_is_named(options):
    with pytest.raises(OptionError, match=f"^target.{next(iter(options))}=.*for example target."):
        Inpaint(**options)

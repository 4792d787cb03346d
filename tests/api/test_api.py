"""`dip.restore`: every target end to end, and every kind of input."""

import doctest
import getpass

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import dip
from tests.api.conftest import TINY
from tests.conftest import python

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("target", "shape", "scores"),
    [
        ("clean", (16, 24, 3), {"psnr", "ssim"}),
        ("noisy", (16, 24, 3), {"psnr", "ssim"}),
        ("noise", (16, 24, 3), {"psnr", "ssim"}),
        ("shuffled", (16, 24, 3), {"psnr", "ssim"}),
        ("degraded", (16, 24, 3), set()),
        ({"name": "inpaint", "missing": 0.5}, (16, 24, 3), {"psnr", "ssim", "psnr_hole"}),
        ({"name": "superres", "factor": 2}, (32, 48, 3), set()),
        ({"name": "superres", "factor": 2, "simulate": True}, (16, 24, 3), {"psnr", "ssim", "psnr_y"}),
        ({"name": "jpeg", "quality": 20}, (16, 24, 3), {"psnr", "ssim"}),
        ({"name": "deblur", "sigma": 1, "simulate": True}, (16, 24, 3), {"psnr", "ssim"}),
        ("flash", (16, 24, 3), {"psnr", "ssim"}),
    ],
)
def test_every_target(target, shape, scores, photo):
    result = dip.restore(photo, target=target, **TINY)
    assert result.image.shape == shape
    assert result.image.dtype == np.float32
    assert 0 <= result.image.min() <= result.image.max() <= 1
    assert set(result.metrics.get("protocol", {})) == scores
    assert all(np.isfinite(result.metrics[name]) for name in scores)
    assert result.metrics["status"] == "finished"
    assert result.history["step"] == [1, 2, 5, 10]
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert result.folder is None


@pytest.mark.parametrize("stop", ["wmv", "emv", "heldout", "discrepancy"])
@pytest.mark.parametrize("target", [{"name": "inpaint", "missing": 0.3}, {"name": "superres", "factor": 2}])
def test_targets_combine_with_stopping_rules(stop, target, photo):
    result = dip.restore(photo, target=target, stop=stop, **TINY)
    assert 1 <= result.metrics["restored_step"] <= result.metrics["steps"] <= 10


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    "shape", [(16, 20), (31, 31, 1), (17, 5, 2), (16, 20, 31), (1, 1, 3), (2, 2), (1, 400, 3), (67, 65, 3)]
)
@pytest.mark.parametrize("tensor", [False, True])
def test_arrays_and_tensors_of_any_shape(shape, tensor, photo):
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    given = torch.from_numpy(array) if tensor else array
    result = dip.restore(given, stop="never", **TINY)  # rules need more than one pixel
    assert result.image.shape == shape
    assert np.array_equal(result.observed, array)


def test_the_same_call_gives_the_same_image_and_the_command_line_computes_it_too(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    options = {**TINY, "seed": 3}
    first, second = (dip.restore(photo, "noisy", **options) for _ in range(2))
    kept = dip.restore(tmp_path / "photo.png", "noisy", out=tmp_path / "runs", baselines=True, **options)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.image, kept.image)
    assert first.metrics["psnr"] == second.metrics["psnr"] == kept.metrics["psnr"]
    assert (kept.folder / "images" / "baseline-nlm.png").is_file()
    assert kept.metrics["baselines"]["nlm"].keys() == {"psnr", "ssim"}

    again = dip.restore(tmp_path / "photo.png", "noisy", out=tmp_path / "runs", **options)
    assert again.folder == kept.folder
    assert again.metrics["seconds"] == kept.metrics["seconds"]  # it was not computed again
    assert np.array_equal(again.image, kept.image)
    (kept.folder / "images" / "restored.npy").unlink()  # the command line writes none
    read = dip.restore(tmp_path / "photo.png", "noisy", out=tmp_path / "runs", **options)
    assert np.abs(read.image - kept.image).max() <= 0.5 / 255 + 1e-6


def test_other_arrays_are_other_runs(photo, tmp_path):
    options = {**TINY, "steps": 1, "out": tmp_path}
    folders = {dip.restore(array, **options).folder for array in (photo, 255 - photo, photo[:, ::-1], photo)}
    assert len(folders) == 3
    mask = np.ones((16, 24))
    masks = []
    for column in (3, 4):
        mask[:, column] = 0
        masks.append(dip.restore(photo, {"name": "inpaint", "mask": mask.copy()}, **options).folder)
    assert masks[0] != masks[1]


def test_without_a_folder_nothing_is_left(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    dip.restore(photo, "noisy", **TINY)
    assert {path.name for path in tmp_path.iterdir()} <= {f"torchinductor_{getpass.getuser()}"}  # torch's own


def test_reference_scores_and_never_touches_the_fit(photo):
    plain, scored = dip.restore(photo, **TINY), dip.restore(photo, reference=photo, **TINY)
    assert np.array_equal(plain.image, scored.image)
    assert plain.metrics["psnr"] is None
    error = np.mean((scored.image - photo / 255.0) ** 2)
    assert scored.metrics["psnr"] == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_a_saved_photo_keeps_alpha_and_profile_and_is_rotated_once(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = np.random.default_rng(0).integers(0, 255, (16, 24, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.fromarray(rgba).save(tmp_path / "in.png", icc_profile=profile, exif=exif)
    result = dip.restore(tmp_path / "in.png", **TINY)
    result.save(tmp_path / "new" / "out.png")
    with Image.open(tmp_path / "new" / "out.png") as saved:
        assert (saved.size, saved.mode) == ((16, 24), "RGBA")
        assert np.array_equal(np.asarray(saved)[..., 3], np.rot90(rgba[..., 3], -1))
        assert saved.info["icc_profile"] == profile
        assert 0x0112 not in saved.getexif()
    for name, message in (("none/out.xyz", "suffix"), ("in.png", "the input image"), ("in.png/a.png", "cannot write")):
        with pytest.raises(dip.ImageError, match=message):
            result.save(tmp_path / name)
    assert not (tmp_path / "none").exists()


def test_twelve_bits_in_sixteen_come_back_in_their_units(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (20, 16), dtype=np.uint16)
    result = dip.restore(values, reference=values, out=tmp_path / "out", **TINY)
    assert result.like.units == (0, 4095)
    assert (result.values.dtype, result.values.shape) == (np.uint16, (20, 16))
    np.testing.assert_array_equal(result.values, np.floor(result.image.astype(float) * 4095 + 0.5))
    result.save(tmp_path / "new" / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "a.npy"), result.values)
    (result.folder / "images" / "restored.npy").unlink()
    again = dip.restore(values, reference=values, out=tmp_path / "out", **TINY)
    np.testing.assert_array_equal(again.values, result.values)


def test_a_notebook_shows_before_and_after(photo):
    shown = dip.restore(photo, "noisy", **TINY)._repr_html_()
    assert shown.count("data:image/png;base64,") == 2
    assert "observed" in shown
    assert "psnr" in shown
    result = dip.restore(np.random.default_rng(0).random((600, 8)), **{**TINY, "steps": 1})
    assert repr(result).startswith("<Restoration 600 x 8")
    assert result._repr_html_().count("<img") == 2


def test_importing_dip_is_light():
    code = "import dip, sys; print('torch' in sys.modules, 'restore' in dir(dip), 'torch' in sys.modules)"
    assert python("-c", code).stdout.split() == ["False", "True", "False"]
    assert set(dir(dip)) >= {"DivergedError", "RunError"}


def test_the_examples_in_the_documentation():
    import dip.api

    for module in (dip, dip.api):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0

"""`dip.restore`: every target end to end, and every kind of input."""

import doctest
import getpass
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import dip
from dip import images
from tests.api.conftest import TINY


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


def test_held_out_pixels_are_known_ones(photo):
    mask = np.ones((16, 24))
    mask[4:12] = 0
    result = dip.restore(photo, {"name": "inpaint", "mask": mask}, stop={"name": "heldout", "fraction": 0.1}, **TINY)
    # Missing pixels are 0 in the observation, far from the mean output (near 0.5).
    assert result.history["watched"][-1] < 0.2


@pytest.mark.parametrize("shape", [(16, 20), (16, 20, 1), (17, 5, 2), (16, 20, 31), (1, 1, 3), (40, 4, 3)])
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


def test_reference_of_a_larger_image(photo):
    large = np.asarray(Image.fromarray(photo).resize((48, 32)))
    result = dip.restore(photo, {"name": "superres", "factor": 2}, reference=large, size=12, **TINY)
    assert result.image.shape == (24, 24, 3)
    assert result.metrics["protocol"].keys() == {"psnr", "ssim", "psnr_y"}
    with pytest.raises(dip.ImageError, match="^reference=array: has 3 x 16 x 24"):
        dip.restore(photo, {"name": "superres", "factor": 2}, reference=photo, **TINY)


def test_save_keeps_depth_alpha_and_profile(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = np.random.default_rng(0).integers(0, 255, (16, 16, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "in.png", icc_profile=profile)
    dip.restore(tmp_path / "in.png", **TINY).save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as saved:
        assert saved.mode == "RGBA"
        assert np.array_equal(np.asarray(saved)[..., 3], rgba[..., 3])
        assert saved.info["icc_profile"] == profile

    deep = np.random.default_rng(0).integers(0, 65535, (16, 16), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    result = dip.restore(tmp_path / "deep.png", **TINY)
    assert result.image.shape == (16, 16)
    with pytest.raises(dip.ImageError, match="suffix"):
        result.save(tmp_path / "new" / "out.xyz")
    assert not (tmp_path / "new").exists()
    result.save(tmp_path / "new" / "folder" / "out.png")
    with Image.open(tmp_path / "new" / "folder" / "out.png") as saved:
        assert np.asarray(saved).dtype == np.uint16
    with pytest.raises(dip.ImageError, match="it is the input image"):
        result.save(tmp_path / "deep.png")
    with pytest.raises(dip.ImageError, match=r"cannot write .*deep.png/out.png: "):
        result.save(tmp_path / "deep.png" / "out.png")


def test_save_keeps_floats_and_their_range_and_rotates_a_photo_once(photo, tmp_path):
    import tifffile

    values = photo[..., 1].astype(np.float32) * 3 - 100
    tifffile.imwrite(tmp_path / "in.tif", values)
    dip.restore(tmp_path / "in.tif", **TINY).save(tmp_path / "out.tif")
    saved = tifffile.imread(tmp_path / "out.tif")
    assert (saved.dtype, saved.shape) == (np.float32, values.shape)
    assert values.min() <= saved.min() < saved.max() <= values.max()
    assert saved.max() > 1

    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.fromarray(photo).save(tmp_path / "turned.jpg", exif=exif)
    dip.restore(tmp_path / "turned.jpg", **TINY).save(tmp_path / "upright.png")
    with Image.open(tmp_path / "upright.png") as upright:
        assert upright.size == (16, 24)
        assert 0x0112 not in upright.getexif()


def test_spectral_arrays_leave_a_tiff(tmp_path):
    cube = np.random.default_rng(0).random((16, 16, 31)).astype(np.float32)
    result = dip.restore(cube, out=tmp_path, **TINY)
    stored = images.load(result.folder / "images" / "restored.tif")
    assert np.allclose(images.to_array(stored.pixels), result.image, atol=1e-6)
    with Image.open(result.folder / "images" / "restored.png") as shown:
        assert shown.mode == "RGB"


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


def test_errors_are_one_line_and_of_types_in_dip(photo):
    for call, message in (
        ({"target": "nosy"}, "^target=nosy: must be one of .*'noisy'$"),
        ({"lr": -1}, "^lr=-1: must be .*"),
        ({"z": {"scale": 0}}, "^z.scale=0: must be .*"),
    ):
        with pytest.raises(dip.DipError, match=message):
            dip.restore(photo, **{**TINY, **call})
    with pytest.raises(dip.ImageError, match="there is no such file"):
        dip.restore("nowhere.png", **TINY)
    assert set(dir(dip)) >= {"DivergedError", "RunError"}


def test_importing_dip_is_light():
    code = "import dip, sys; print('torch' in sys.modules, 'restore' in dir(dip), 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "True", "False"]
    code = "import dip, sys; dip.restore; print('hydra' in sys.modules, 'omegaconf' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == "False"


def test_the_examples_in_the_documentation():
    import dip.api

    for module in (dip, dip.api):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0

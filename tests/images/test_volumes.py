"""Volumes: their axes, their files, the middle slice, and all slices side by side."""

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st

from dip import images
from dip.errors import ImageError
from dip.images import from_array, load, save, to_array, volumes
from dip.images.volumes import from_image, to_image


def test_the_middle_slice_of_each_channel():
    volume = torch.arange(2 * 5 * 3 * 4.0).view(2, 5, 3, 4)
    found = volumes.middle(volume.view(1, 10, 3, 4), 5)
    assert torch.equal(found, volume[None, :, 2])
    assert images.preview(volume[:1].view(1, 5, 3, 4), 5).shape == (1, 1, 3, 4)


def test_a_mask_of_one_channel_has_no_slices():
    assert volumes.middle(torch.ones(1, 1, 3, 4), 5).shape == (1, 1, 3, 4)


def test_the_mosaic_holds_every_slice_row_by_row():
    volume = np.random.default_rng(0).random((7, 3, 4), dtype=np.float32)
    found = volumes.mosaic(torch.from_numpy(volume)[None], 7)[0, 0].numpy()
    assert found.shape == (9, 12)
    for number in range(9):
        row, column = divmod(number, 3)
        cell = found[3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
        assert np.array_equal(cell, volume[number] if number < 7 else np.zeros((3, 4)))


def test_a_long_volume_is_shown_at_even_distances():
    assert volumes.shown(4) == [0, 1, 2, 3]
    found = volumes.shown(250)
    assert len(found) == volumes.SHOWN
    assert set(np.diff(found)) == {2, 3}


@pytest.mark.fault(35)
@given(
    order=st.permutations("CDHW"), drop=st.sampled_from(["", "C", "D", "CD"]), shape=st.tuples(*[st.integers(1, 5)] * 4)
)
def test_axes_are_undone(order, drop, shape):
    axes = "".join(letter for letter in order if letter not in drop)
    sizes = dict(zip("CDHW", shape, strict=True))
    values = np.random.default_rng(0).random([sizes[letter] for letter in axes])
    image, depth = to_image(values, axes)
    channels, depth_given = sizes["C"] if "C" in axes else 1, sizes["D"] if "D" in axes else 1
    assert (image.shape, depth) == ((sizes["H"], sizes["W"], channels * depth_given), depth_given)
    np.testing.assert_array_equal(from_image(image, axes, depth), values)
    # Second computation: the value at each place.
    at = {letter: size - 1 for letter, size in sizes.items()}
    value = values[tuple(at[letter] for letter in axes)]
    assert image[at["H"], at["W"], (at["C"] if "C" in axes else 0) * depth + (at["D"] if "D" in axes else 0)] == value


@pytest.mark.parametrize(("axes", "shape"), [("ZYX", (6, 9, 8)), ("DHW", (1, 9, 8)), ("YXZ", (9, 8, 3)), ("CZYX", (2, 3, 9, 8)),
                                             ("ZYXC", (3, 9, 8, 3))])  # fmt: skip
def test_a_volume_comes_back_in_its_shape_and_axes(tmp_path, axes, shape):
    values = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    picture = load(values, axes=axes)
    channels = shape[axes.index("C")] if "C" in axes else 1
    depth = shape[axes.index("Z" if "Z" in axes else "D")]
    assert (picture.depth, picture.pixels.shape) == (depth, (1, channels * depth, 9, 8))
    array = to_array(picture.pixels, picture)
    np.testing.assert_allclose(array, values / 4095, rtol=1e-6)
    assert from_array(array, picture).equal(picture.pixels)
    save(tmp_path / "a.npy", picture.pixels, picture)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)
    save(tmp_path / "a.tif", picture.pixels, picture)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == channels * depth
    back = load(tmp_path / "a.tif", scale=picture.units, axes="CZYX" if "C" in axes else "ZYX")
    assert back.pixels.equal(picture.pixels)


def test_four_axes_need_to_be_named(caplog):
    with pytest.raises(
        ImageError, match=r"four axes, \(2, 3, 9, 8\); give the order of its axes, for example axes=CZYX"
    ):
        load(np.zeros((2, 3, 9, 8)))
    with pytest.raises(ImageError, match="shape"):
        load(np.zeros((2, 2, 3, 9, 8)))
    with pytest.raises(ImageError, match="axes=ZYX, but the array has 2 axes"):
        load(np.zeros((9, 8)), axes="ZYX")


def test_the_axes_that_imagej_names(tmp_path):
    values = np.random.default_rng(0).integers(0, 4000, (4, 2, 9, 8)).astype(np.uint16)  # ImageJ: Z before C
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "ZCYX"})
    picture = load(tmp_path / "a.tif")
    assert picture.depth == 4
    np.testing.assert_array_equal(from_image(picture.stored.values, "DCHW", 4), values)


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
def test_a_volume_is_saved_as_nifti_with_its_geometry(tmp_path, name):
    nibabel = pytest.importorskip("nibabel")
    values = np.random.default_rng(0).integers(0, 4096, (5, 4, 3)).astype(np.int16)  # x, y, z
    values[0, 0, 0], affine = 4095, np.array([[0, -2, 0, 7], [2, 0, 0, -3], [0, 0, 3, 1], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "in.nii")
    volume = load(tmp_path / "in.nii")
    save(tmp_path / name, volume.pixels, volume)
    found = nibabel.load(tmp_path / name)
    np.testing.assert_array_equal(np.asarray(found.dataobj), values)
    np.testing.assert_array_equal(found.affine, affine)
    save(tmp_path / name, load(np.ones((4, 5, 2), np.float32)).pixels)
    assert nibabel.load(tmp_path / name).shape == (5, 4, 1, 2)

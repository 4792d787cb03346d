"""Volumes and files of arrays through `dip.restore`: results in the shape, axes, type and units of the input."""

import numpy as np
import pytest
import tifffile

import dip
from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.pictures import Pictures, several
from tests.api.conftest import TINY


@pytest.mark.fault(34, 35)
@pytest.mark.parametrize(("axes", "shape"), [("ZYX", (3, 16, 20)), ("CZYX", (2, 3, 16, 20)), ("YXZ", (16, 20, 3))])
def test_a_volume_is_given_back_as_it_came(axes, shape, tmp_path):
    values = np.random.default_rng(0).integers(-300, 3000, shape).astype(np.int16)
    result = dip.restore(values, "degraded", axes=axes, out=tmp_path, **TINY)
    assert result.image.shape == result.observed.shape == result.values.shape == shape
    assert result.values.dtype == np.int16
    np.testing.assert_allclose(result.observed, (values - values.min()) / np.ptp(values.astype(int)), atol=1e-6)
    again = dip.restore(values, "degraded", axes=axes, out=tmp_path, **TINY)  # read from the folder
    np.testing.assert_array_equal(again.image, result.image)
    pages = tifffile.imread(result.folder / "images" / "restored.tif")
    np.testing.assert_array_equal(pages, result.values if axes != "YXZ" else result.values.transpose(2, 0, 1))
    result.save(tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), result.values)
    assert "<img" in result._repr_html_()


def test_an_array_of_several_in_a_file(tmp_path):
    values = np.random.default_rng(0).random((16, 20)) * 7
    np.savez(tmp_path / "a.npz", x=values, y=values / 2)
    results = [dip.restore(f"{tmp_path / 'a.npz'}:{key}", "degraded", out=tmp_path, **TINY) for key in "xy"]
    assert results[0].folder != results[1].folder, "the key is part of the identity of a run"
    assert [result.values.dtype for result in results] == [np.float64] * 2
    assert results[0].metrics["config"]["image"].endswith("a.npz:x")
    with pytest.raises(ImageError, match="several arrays: x, y"):
        dip.restore(tmp_path / "a.npz", "degraded", **TINY)


def test_a_key_in_patterns_and_missing_files(tmp_path):
    for number in (10, 9):
        np.savez(tmp_path / f"a{number}.npz", y=np.eye(4))
    assert several(f"{tmp_path}/a*.npz:y") == [f"{tmp_path}/a9.npz:y", f"{tmp_path}/a10.npz:y"]
    assert several(f"{tmp_path}/a9.npz:y") is None
    assert several(str(tmp_path)) == [f"{tmp_path}/a9.npz", f"{tmp_path}/a10.npz"]
    with pytest.raises(ImageError, match="there is no such file"):
        Pictures(Config(image=f"{tmp_path}/none.npz:y")).digest("image")

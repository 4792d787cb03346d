"""Files of arrays are read as the library that wrote them says, and damaged or hostile ones are refused in one line."""

import contextlib
import gzip
import io
import sys
import zipfile

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dip.errors import ImageError
from dip.images import load, save, stored
from dip.images.picture import read_values

VALUES = np.random.default_rng(0).integers(-900, 4000, (5, 7, 6)).astype(np.int16)
"""(H, W, C)"""


def write_npz(path, values, key="y"):
    np.savez_compressed(path, **{key: values})


def write_mat(path, values, key="y"):
    scipy.io.savemat(path, {key: values})


def write_h5(path, values, key="y"):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=values)


def write_mat73(path, values, key="y"):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(key, data=values.T)
        file.create_group("#refs#").create_dataset("a", data=np.zeros(3))
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def write_nifti(path, values, key=None):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(values.transpose(1, 0, 2), np.diag([2, 2, 3, 1])), path)


def write_fits(path, values, key=None):
    fits = pytest.importorskip("astropy.io.fits")
    fits.PrimaryHDU(values.transpose(2, 0, 1)).writeto(path)


def write_dicom(path, values, key=None, slope=1, intercept=0, bits=12):
    pydicom = pytest.importorskip("pydicom")
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    frames = values.transpose(2, 0, 1)
    header.NumberOfFrames, header.Rows, header.Columns = frames.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = int(values.dtype.kind == "i")
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    header.PixelData = frames.tobytes()
    header.save_as(path, enforce_file_format=True)


WRITERS = {
    "npz": write_npz, "mat": write_mat, "h5": write_h5, "v73.mat": write_mat73, "nii": write_nifti,
    "nii.gz": write_nifti, "fits": write_fits, "dcm": write_dicom,
}  # fmt: skip
VOLUMES = {"nii", "nii.gz", "dcm"}


@pytest.mark.fault(34, 35, 36)
@pytest.mark.parametrize("suffix", WRITERS)
def test_what_another_library_wrote_is_read(tmp_path, suffix, caplog):
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, VALUES)
    axes = "HWC" if suffix in ("npz", "h5") else None
    with caplog.at_level("INFO", "dip"):
        picture = load(path, axes=axes)
    np.testing.assert_array_equal(picture.stored.values, VALUES)
    assert picture.stored.values.dtype == VALUES.dtype
    assert picture.units == (VALUES.min(), VALUES.max())  # any unit, with negative values
    assert picture.depth == (6 if suffix in VOLUMES else 1)
    assert len(caplog.messages) == (axes is None), "what is not certain is told"
    np.testing.assert_array_equal(load(path.read_bytes(), axes=axes).stored.values, VALUES)
    # The result has the type, the units and the axes of the input.
    save(tmp_path / "b.npy", picture.pixels, picture)
    order = picture.axes or "HWC"
    back = np.load(tmp_path / "b.npy")
    assert back.dtype == VALUES.dtype
    np.testing.assert_array_equal(
        back, VALUES.transpose(["HWD".index(a) if "D" in order else "HWC".index(a) for a in order])
    )


@pytest.mark.parametrize("suffix", ["npz", "mat", "h5"])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32", ">f8", "int32", "complex64", "complex128", "bool"])
def test_measurements_of_any_shape_and_type(tmp_path, suffix, dtype):
    if (suffix, dtype) in {("h5", "bool"), ("mat", "bool")}:
        pytest.skip("another type in the file")
    values = np.asfortranarray((np.random.default_rng(0).random((2, 3, 2, 5)) * 99).astype(dtype))
    if values.dtype.kind == "c":
        values = values * (1 + 2j)
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, values, "scan")
    found = read_values(f"{path}:scan", "y")
    np.testing.assert_array_equal(found, values)
    assert found.dtype.kind == values.dtype.kind
    if values.dtype.kind == "c":
        with pytest.raises(ImageError, match="got an array of complex.*target=measured"):
            load(path)


@pytest.mark.parametrize("suffix", ["npz", "mat", "h5"])
def test_one_array_of_several_is_chosen_by_its_key(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    arrays = {"first": np.ones((4, 5)), "second": np.full((4, 5), 0.5)}
    if suffix == "h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            for key, values in arrays.items():
                file.create_dataset(key, data=values)
            file["note"] = "text"
            file["elsewhere"] = __import__("h5py").ExternalLink("/etc/passwd", "/")
    elif suffix == "npz":
        np.savez(path, **arrays)
    else:
        scipy.io.savemat(path, arrays | {"note": "text", "cell": np.array([1, "a"], dtype=object)})
    assert load(f"{path}:second").pixels.unique() == 0.5
    assert load(f"{path}:second").name == "a_second"
    for source, said in (
        (path, "several arrays: first, second"),
        (f"{path}:third", "no such array, but first, second"),
    ):
        with pytest.raises(ImageError, match=said) as caught:
            load(source)
        assert str(caught.value).endswith("for example FILE:first")
        assert str(caught.value).isprintable()


def test_a_group_in_the_path_of_a_data_set(tmp_path):
    write_h5(tmp_path / "a.h5", VALUES, "entry/data:0")
    np.testing.assert_array_equal(read_values(f"{tmp_path / 'a.h5'}:/entry/data:0"), VALUES)


def test_hounsfield_units_of_a_dicom_file(tmp_path):
    raw = np.random.default_rng(0).integers(0, 4096, (5, 7, 1)).astype(np.uint16)
    write_dicom(tmp_path / "a.dcm", raw, slope=1, intercept=-1024)
    picture = load(tmp_path / "a.dcm")
    assert (picture.mode, picture.flat) == ("int32", True)
    np.testing.assert_array_equal(
        stored(picture.pixels, picture.mode, picture.units)[..., 0], raw[..., 0].astype(int) - 1024
    )
    write_dicom(tmp_path / "b.dcm", raw, slope=0.25, intercept=0)
    assert load(tmp_path / "b.dcm").mode == "float64"


def test_scaled_values_of_fits_and_nifti(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    nibabel = pytest.importorskip("nibabel")
    values = np.arange(35, dtype=np.uint16).reshape(5, 7) + 40000  # stored with BZERO = 32768
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values, name="SCI"), fits.ImageHDU(values, name="ERR")]).writeto(
        tmp_path / "a.fits"
    )
    for key in ("SCI", "1"):
        found = load(f"{tmp_path / 'a.fits'}:{key}")
        np.testing.assert_array_equal(found.stored.values[..., 0], values)
        assert found.mode == "uint16"
    image = nibabel.Nifti1Image(values.astype(np.float32).T / 7, np.eye(4))
    image.header.set_data_dtype(np.int16)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(load(tmp_path / "a.nii").stored.values[..., 0], values / 7, rtol=1e-4)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("part", [0.02, 0.5, 0.85])
@pytest.mark.fault(27)
def test_truncated_files_are_refused(tmp_path, suffix, part):
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, np.random.default_rng(0).integers(0, 999, (40, 30, 5)).astype(np.int16))
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(ImageError) as caught:
        load(path)
    assert str(caught.value).isprintable()


@pytest.mark.fault(27)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(sorted(WRITERS)))
def test_damaged_files_are_read_or_refused(tmp_path, data, suffix):
    path = tmp_path / f"a.{suffix}"
    if not path.exists():
        WRITERS[suffix](path, VALUES)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):  # and no other exception
        read_values(bytes(content))


def npy_header(shape, descr="<f4"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.fault(27)
def test_bombs_and_objects_are_refused_before_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["dip.images.stored"], "MAX_BYTES", 10_000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("y.npy", npy_header((1000, 1000)) + bytes(4_000_000))
    with pytest.raises(ImageError, match="more than the limit"):
        load(bomb.getvalue())
    lying = io.BytesIO()
    with zipfile.ZipFile(lying, "w") as archive:
        archive.writestr("y.npy", npy_header((10**9, 10**9)))
    with pytest.raises(ImageError, match="truncated"):
        load(lying.getvalue())
    np.savez(tmp_path / "o.npz", y=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="Python objects"):
        load(f"{tmp_path / 'o.npz'}:y")
    scipy.io.savemat(tmp_path / "a.mat", {"y": np.zeros((100, 100))})
    with pytest.raises(ImageError, match="more than the limit"):
        load(tmp_path / "a.mat")
    for suffix in ("h5", "fits", "nii"):
        WRITERS[suffix](tmp_path / f"big.{suffix}", np.zeros((100, 100, 2), np.int16))
        with pytest.raises(ImageError, match="more than the limit"):
            load(tmp_path / f"big.{suffix}")
    with pytest.raises(ImageError, match="neither a NIfTI nor a FITS"):
        load(gzip.compress(bytes(5000)))


@pytest.mark.parametrize(("package", "suffix", "extra"), [("h5py", "h5", "hdf5"), ("h5py", "v73.mat", "hdf5"),
    ("pydicom", "dcm", "dicom"), ("nibabel", "nii", "nifti"), ("astropy", "fits", "fits")])  # fmt: skip
def test_a_package_that_is_not_installed_is_named(monkeypatch, package, suffix, extra):
    heads = {"h5": b"\x89HDF\r\n\x1a\n", "v73.mat": b"MATLAB 7.3 MAT-file", "dcm": bytes(128) + b"DICM",
             "nii": bytes(344) + b"n+1\0", "fits": b"SIMPLE  =  T"}  # fmt: skip
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImageError, match=f"need the package {package}.*pip install 'deep-image-prior.{extra}.'"
    ) as caught:
        load(heads[suffix] + bytes(200))
    assert str(caught.value).isprintable()

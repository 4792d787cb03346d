"""Targets of laboratories against scikit-image, NumPy and SciPy."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.sparse
import torch
from skimage.transform import iradon, radon

from dip import metrics
from dip.errors import ImageError, OptionError
from dip.targets import MRI, Binning, Matrix, NoiseOptions, Tomography
from dip.targets.baselines import BASELINES, compute
from dip.targets.fourier import MaskedFourier, inverse, sampling, transform
from dip.targets.operators import Bins
from dip.targets.projections import radon_matrix
from dip.targets.sparse_operator import read_matrix
from dip.targets.tomography import DENSEST, Transmission
from tests.targets.photos import draw, photo, rand

NONE = NoiseOptions(kind="none")


@pytest.mark.parametrize("size", [(32, 32), (31, 31), (24, 33)])
def test_radon_is_scikit_images(size: tuple[int, int]):
    image, degrees = photo("astronaut", *size)[0, 0].double().numpy(), [0.0, 17.5, 45.0, 90.0, 133.0, 250.0]
    expected = radon(image, theta=degrees, circle=False)
    matrix = radon_matrix(size, degrees, expected.shape[0])
    np.testing.assert_allclose((matrix @ image.ravel()).reshape(expected.shape), expected, rtol=0, atol=1e-5)


def test_a_circle_needs_as_many_detectors_as_pixels():
    image = np.zeros((32, 32))
    image[10:20, 12:25] = rand(10, 13).numpy()
    matrix = radon_matrix((32, 32), [0.0, 60.0], 32)
    np.testing.assert_allclose((matrix @ image.ravel()).reshape(32, 2), radon(image, [0.0, 60.0]), rtol=0, atol=1e-5)


def test_a_sinogram_is_scaled_by_its_maximum_and_backprojected_as_by_scikit_image():
    image = photo("astronaut", 32, 32)[:, :1]
    target = Tomography(angles=40, noise=NONE)
    seen = target.observe(image, 0)
    sinogram = radon(image[0, 0].double().numpy(), theta=target.degrees(), circle=False)
    np.testing.assert_allclose(seen.y[0, 0].numpy(), sinogram / sinogram.max(), rtol=0, atol=1e-6)
    expected = iradon(sinogram, theta=target.degrees(), circle=False, output_size=32)
    found = BASELINES["tomography"]["fbp"](seen, target.noise_model(0))
    assert found is not None
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=0, atol=1e-4)


def test_angles_are_a_number_over_an_arc_or_a_list():
    assert Tomography(angles=4).degrees() == [0, 45, 90, 135]
    assert Tomography(angles=3, arc=90).degrees() == [0, 30, 60]
    listed = Tomography(angles=[5, 80.5])
    assert listed.degrees() == [5, 80.5]
    assert listed.unused()["arc"] == "target.angles=[5.0, 80.5]"
    for wrong in (0, 2.5, True, "all", [], [1, 1], [math.nan]):
        with pytest.raises(OptionError, match="target.angles=60"):
            Tomography(angles=wrong)


def test_photon_counts_give_line_integrals():
    """The mean and the variance of many draws, for rays of different density."""
    rays = torch.tensor([0.0, 0.3, 0.9]).view(1, 1, 3, 1).expand(1, 1, 3, 20_000).contiguous()
    model = Transmission(peak=1e4)
    seen = model.sample(rays, draw())
    assert torch.allclose(seen.mean(-1), rays.mean(-1), atol=1e-3)
    assert torch.allclose(seen.var(-1), model.variance(rays).mean(-1), rtol=0.05)
    assert float(model.variance(torch.zeros(1))) == pytest.approx(1 / (1e4 * DENSEST**2))
    assert Tomography(noise=NoiseOptions(kind="poisson")).noise_model(0) == model


@pytest.mark.parametrize("size", [(16, 16), (15, 10)])
def test_frequencies_are_numpys(size: tuple[int, int]):
    image = rand(1, 2, *size, dtype=torch.float64)
    axes = (-2, -1)
    expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image.numpy(), axes), norm="ortho"), axes)
    mask = sampling(size, "random", 2, 0.2, draw()).double()
    seen = MaskedFourier(mask)(image)
    expected = expected * mask.numpy()
    np.testing.assert_allclose(seen.numpy(), np.concatenate([expected.real, expected.imag], 1), atol=1e-12)
    assert torch.allclose(inverse(transform(image)).real, image)


@pytest.mark.parametrize("pattern", ["random", "equispaced", "points"])
def test_a_pattern_samples_a_fraction_and_the_centre(pattern: str):
    mask = sampling((64, 64), pattern, 4, 0.125, draw(1))[0, 0]
    assert mask.unique().tolist() == [0, 1]
    assert float(mask.mean()) == pytest.approx(1 / 4)
    assert mask[30:35, 30:35].all()
    if pattern != "points":
        assert (mask == mask[:1]).all(), "whole columns"
    assert sampling((8, 8), pattern, 1, 0, torch.Generator()).all()


def test_bins_are_means_of_blocks():
    image = rand(1, 3, 8, 12, dtype=torch.float64)
    expected = image.numpy().reshape(1, 3, 2, 4, 3, 4).mean((3, 5))
    np.testing.assert_allclose(Bins(4)(image).numpy(), expected, rtol=1e-12)
    assert torch.allclose(Bins(4)(image[..., :9])[..., -1, -1], image[..., 4:8, 8].mean(-1)), "a block of one column"
    blind = Binning(factor=3, simulate=False).observe(image.float(), 0)
    assert blind.size == (24, 36)


def test_a_matrix_file_is_multiplied_with_the_pixels(tmp_path):
    image = rand(1, 3, 6, 5)
    sparse = scipy.sparse.random(11, 30, 0.4, random_state=0)
    scipy.sparse.save_npz(tmp_path / "sparse.npz", sparse)
    np.save(tmp_path / "dense.npy", sparse.toarray())
    scipy.sparse.save_npz(tmp_path / "joint.npz", scipy.sparse.hstack([sparse] * 3))
    expected = sparse @ image.view(3, 30).numpy().T  # (11, 3)
    for name in ("sparse.npz", "dense.npy"):
        seen = Matrix(matrix=str(tmp_path / name), noise=NONE).observe(image, 0)
        np.testing.assert_allclose(seen.y[0, :, 0].T.numpy(), expected / abs(expected).max(), atol=1e-6)
    total = expected.sum(1)
    seen = Matrix(matrix=str(tmp_path / "joint.npz"), noise=NONE).observe(image, 0)
    np.testing.assert_allclose(seen.y.flatten().numpy(), total / abs(total).max(), atol=1e-6)
    with pytest.raises(ImageError, match="has 30 columns, the image needs 36 .one for each pixel.; resize"):
        Matrix(matrix=str(tmp_path / "dense.npy")).observe(rand(1, 1, 6, 6), 0)


def test_a_wrong_matrix_is_refused_in_one_line(tmp_path):
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "line.npy", np.ones(4))
    np.save(tmp_path / "nan.npy", np.full((2, 2), np.nan))
    np.save(tmp_path / "complex.npy", np.ones((2, 2), complex))
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(2))
    (tmp_path / "text.npz").write_text("1 2")
    for name in ("object.npy", "line.npy", "nan.npy", "complex.npy", "two.npz", "text.npz", "none.npz"):
        with pytest.raises(ImageError, match=r"^target.matrix=.*for example target.matrix=matrix.npz$"):
            read_matrix(str(tmp_path / name))


@pytest.mark.parametrize("target", [Tomography(angles=20), MRI(), Binning(), Matrix()], ids=lambda target: target.name)
def test_baselines_restore_more_than_a_gray_image(target):
    image = photo("astronaut", 32, 32)[:, :1]
    seen = target.observe(image, 0)
    plain = float(metrics.psnr(torch.full_like(image, float(image.mean())), image))
    found = {
        name: target.scores(made, seen)["psnr"]
        for name, made in compute(target.task, seen, target.noise_model(0)).items()
    }
    assert set(found) == set(BASELINES[target.task])
    assert found["tv"] > plain + 2, found


def test_noise_is_relative_to_the_measurement():
    image = photo("astronaut", 32, 32)
    for target in (Tomography(), MRI(acceleration=1), Matrix()):
        exact, noisy = (
            dataclasses.replace(target, noise=NoiseOptions(kind="gaussian", sigma=sigma)).observe(image, 0).y
            for sigma in (0.0, 0.05)
        )
        assert float((noisy - exact).std()) == pytest.approx(0.05, rel=0.1)
    assert Tomography().noise.sigma == 0.01
    assert Tomography(simulate=False).noise.sigma is None
    with pytest.raises(OptionError, match="target.noise.kind"):
        MRI(noise=NoiseOptions(kind="poisson"))


def test_a_black_image_has_no_scale():
    for target in (Tomography(), Matrix()):
        with pytest.raises(ImageError, match="0"):
            target.observe(torch.zeros(1, 1, 16, 16), 0)


def test_measurements_in_a_file_are_read_by_the_operator(tmp_path):
    """The operator of a real measurement, applied to the image, gives the measurement in its own units."""
    image = photo("astronaut", 24, 20)[:, :1]
    plain, device = image[0, 0].double().numpy(), torch.device("cpu")
    matrix = scipy.sparse.random(50, 480, 0.2, random_state=0)
    scipy.sparse.save_npz(tmp_path / "m.npz", matrix)
    turned = plain * np.exp(0.5j)
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(turned), norm="ortho"))
    spectrum[:, ::3] = 0
    rows = {"matrix": str(tmp_path / "m.npz"), "shape": [1, 24, 20]}
    cases = (
        (
            Tomography(angles=6, shape=[1, 24, 20], simulate=False),
            radon(plain, np.arange(6) * 30.0, circle=False),
            image,
        ),
        (MRI(simulate=False), spectrum, torch.from_numpy(np.stack([turned.real, turned.imag]))[None].float()),
        (Matrix(simulate=False, **rows), matrix @ plain.ravel(), image),
    )
    for target, values, inside in cases:
        assert target.raw
        seen = target.observe_raw(values, {}, span=[0.0, 1.0], device=device)
        assert seen.size == (24, 20)
        assert seen.complex == (target.name == "mri")
        np.testing.assert_allclose(seen.operator(inside).numpy(), seen.y.numpy(), rtol=0, atol=1e-5)
        assert target.auto_stop == "heldout"
        if target.name == "mri":
            np.testing.assert_array_equal(seen.known, (spectrum != 0)[None, None])
    with pytest.raises(ImageError, match="31 angles"):
        Tomography(angles=31, simulate=False).observe_raw(np.ones((9, 6)), {}, device=device)
    with pytest.raises(ImageError, match="one coil"):
        MRI(simulate=False).observe_raw(np.ones((4, 9, 6), complex), {}, device=device)
    with pytest.raises(OptionError, match="target.matrix"):
        Matrix(simulate=False).check_complete()

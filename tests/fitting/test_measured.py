"""Runs with a user's operator, from Python and from files."""

import numpy as np
import pytest
import torch

import dip
from dip import images
from dip.errors import DipError
from dip.model.module import DeepImagePrior
from dip.targets import Inpaint, Measured, user_operator
from tests.disturbed import killed
from tests.fitting.observed import observed
from tests.targets.photos import rand

TINY = {
    "steps": 12, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False, "device": "cpu",
    "record_every": 4,
}  # fmt: skip
SHAPE = (1, 32, 32)


def test_a_mask_as_operator_has_the_loss_of_inpainting():
    x, mask = rand(1, 32, 32, seed=1).numpy(), (rand(32, 32) < 0.5).float()
    y = torch.from_numpy(x) * mask
    given = {"image": y.numpy(), "target.operator": lambda image: image * mask}
    target = Measured(operator="given", shape=list(SHAPE))
    seen = observed(given, target=target, image="y", range=[0, 1], device="cpu").seen
    inpainted = Inpaint(mask="m").observe(torch.from_numpy(x)[None], 0, {"known": mask[None, None]})
    image = rand(1, *SHAPE, seed=2)
    unit = float(y.square().mean().sqrt()) / 0.5
    loss = (seen.operator(image) - seen.y).square().mean() * unit**2
    torch.testing.assert_close(loss, (inpainted.operator(image) - inpainted.y).square().mean())


def test_complex_images_come_back_complex_and_in_their_units():
    x = 1000 * torch.complex(rand(*SHAPE), rand(*SHAPE, seed=1))
    y = torch.fft.fft2(x, norm="ortho")
    tiny = {**TINY, "steps": 150, "stop": "never", "skips": [1]}
    result = dip.restore(
        y, operator=lambda x: torch.fft.fft2(x, norm="ortho"), shape=SHAPE, complex=True, reference=x, **tiny
    )
    assert result.values.dtype == np.complex64
    assert result.values.shape == result.image.shape == (32, 32)
    assert result.observed.shape == y.shape
    error = np.abs(result.values - x[0].numpy())
    assert np.sqrt((error**2).mean()) < 0.6 * np.sqrt((np.abs(x.numpy()) ** 2).mean())
    magnitude = x.abs()
    peak = float(magnitude.max() - magnitude.min())
    wrong = np.abs(result.values) - magnitude[0].numpy()
    assert result.metrics["psnr"] == pytest.approx(20 * np.log10(peak) - 10 * np.log10((wrong**2).mean()), abs=0.2)
    result._repr_html_()


@pytest.mark.parametrize("file", ["r.npy", "r64.npy", "r.tif", "r.npz", "r.png", "r16.png"])
def test_a_reference_is_read_by_one_rule_from_any_file(file, tmp_path):
    """Floats are in the units of the image; black and white of a picture are the ends of the range."""
    x = (255 * rand(*SHAPE)).round().numpy()
    np.save(tmp_path / "r.npy", x)
    np.save(tmp_path / "r64.npy", x[0].astype(np.float64))
    np.savez(tmp_path / "r.npz", x=x.transpose(1, 2, 0))
    images.save_values(tmp_path / "r.tif", x[0])
    images.save(tmp_path / "r.png", torch.from_numpy(x)[None] / 255)
    images.save(tmp_path / "r16.png", torch.from_numpy(x)[None] / 255, images.Picture(torch.zeros(1), mode="uint16"))
    target, path = Measured(operator="given", shape=list(SHAPE)), str(tmp_path / file)
    given = {"image": x, "target.operator": lambda image: image}
    seen = observed(given, target=target, image="y", reference=path, range=[0, 255], device="cpu").seen
    torch.testing.assert_close(seen.reference, torch.from_numpy(x)[None] / 255, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("undrawn")
def test_missing_measurements_are_nan(tmp_path):
    y = rand(32, 32).numpy()
    y[3, 4] = y[10:14, 5] = np.nan
    result = dip.restore(y, operator=lambda x: x, shape=SHAPE, out=tmp_path, **TINY)
    assert result.metrics["missing"] == pytest.approx(5 / 32**2)
    assert np.isfinite(result.values).all()
    assert (result.folder / "images" / "mask.png").is_file()
    result._repr_html_()


def test_an_unbounded_image_leaves_0_to_1():
    x = 50 * (rand(*SHAPE) - 0.5)
    result = dip.restore(x.numpy(), operator=lambda x: x, shape=SHAPE, **{**TINY, "steps": 60})
    assert result.values.min() < 0 < 1 < result.values.max()
    assert result.metrics["psnr"] is None
    assert result.image.min() == 0
    assert result.image.max() == 1


@pytest.mark.fault(39)
def test_a_run_is_found_again_by_what_its_operator_is(tmp_path):
    y = rand(16, 16).numpy()

    def restored(step: int, **more: object) -> dip.Restoration:
        return dip.restore(y, operator=lambda x: x[..., ::2, ::2] * step, shape=SHAPE, out=tmp_path, **TINY, **more)

    one, same, other = restored(1), restored(1), restored(2)
    assert one.folder == same.folder != other.folder
    np.testing.assert_array_equal(one.values, same.values)
    np.testing.assert_array_equal(np.load(one.folder / "images" / "restored.npy")[..., 0], one.values)
    assert (one.folder / "images" / "target.png").is_file()
    assert (one.folder / "figures" / "snapshots.png").is_file()


@pytest.mark.usefixtures("undrawn")
def test_an_operator_is_tried_once(tmp_path, monkeypatch):
    tried, found = [], user_operator.checked
    monkeypatch.setattr(user_operator, "checked", lambda *given: tried.append(given) or found(*given))
    dip.restore(rand(32, 32), operator=lambda x: 2 * x, shape=SHAPE, out=tmp_path, **TINY)
    assert len(tried) == 1


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_run_resumes_to_the_bit(tmp_path, monkeypatch):
    y, matrix = rand(500).numpy(), rand(500, 32 * 32, seed=1)

    def run(out: str) -> dip.Restoration:
        own = {"operator": lambda x: matrix @ x.flatten(), "out": tmp_path / out, "checkpoint_every": 0}
        return dip.restore(y, shape=SHAPE, **TINY, **own)

    whole = run("whole")
    killed(monkeypatch, lambda: run("broken"), DeepImagePrior, "training_step", 8)
    np.testing.assert_array_equal(run("broken").values, whole.values)
    assert not (whole.folder / "images" / "target.png").is_file()  # y is no array of rows and columns


def test_a_file_and_a_list_of_mistakes(tmp_path):
    file = tmp_path / "my_operator.py"
    file.write_text("def operator(x):\n    return x[..., ::2, ::2]\n")
    y = rand(16, 16).numpy()
    assert dip.restore(y, operator=file, shape=SHAPE, **TINY).values.shape == (32, 32)
    for text, message in (("1 +", "SyntaxError"), ("import nothing_", "ModuleNotFoundError"), ("a = 1", "no callable")):
        file.write_text(text)
        with pytest.raises(DipError, match=message) as caught:
            dip.restore(y, operator=file, shape=SHAPE, **TINY)
        assert "\n" not in str(caught.value)
    for wrong, message in (
        ({"shape": None}, r"^operator: measurements need shape too, for example .*shape=\(1, 256, 256\)\)$"),
        ({"shape": (1, 32)}, r"^shape=\(1, 32\): "),
        ({"tile": 32}, "tile"),
        ({"stop": "discrepancy"}, "stop=discrepancy"),
        ({"target": "inpaint"}, "target=inpaint"),
    ):
        with pytest.raises(DipError, match=message):
            dip.restore(y, **{**TINY, "operator": lambda x: x[..., ::2, ::2], "shape": SHAPE, **wrong})

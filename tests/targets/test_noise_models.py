"""Noise models: their statistics, their variance, and the options that choose them."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from dip.api.assemble import assemble
from dip.errors import DipError, OptionError
from dip.targets import NOISE_MODELS, Deblur, Flash, Inpaint, Jpeg, NoiseOptions, Noisy, SuperRes, Target
from dip.targets.noise_models import Estimated, Gaussian, NoiseModel, Poisson, SaltAndPepper, Speckle
from tests.conftest import composed
from tests.targets.photos import draw, photo

MODELS = [Gaussian(0.05), Poisson(40.0), Speckle(0.2), SaltAndPepper(0.2), NOISE_MODELS["none"]()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 1.0])
def test_the_variance_at_a_brightness_is_that_of_drawn_noise(model: NoiseModel, value: float) -> None:
    image = torch.full((1, 1, 512, 512), value)
    noisy, variance = model.sample(image, draw()), model.variance(image)
    assert variance.shape == image.shape
    assert noisy.var().item() == pytest.approx(variance[0, 0, 0, 0].item(), rel=0.03, abs=1e-12)
    assert model.level(image) == pytest.approx(variance.mean().sqrt().item(), rel=1e-6)
    if not model.impulses:
        assert noisy.mean().item() == pytest.approx(value, abs=1e-6 + 4 * model.level(image) / 512)


@pytest.mark.parametrize("model", [Gaussian(0.05), Poisson(40.0), Speckle(0.1)], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("value", [0.3, 0.7])
def test_stabilised_noise_has_the_stated_level_at_every_brightness(model: NoiseModel, value: float) -> None:
    image = torch.full((1, 1, 256, 256), value)
    noisy, sigma, inverse = model.stabilise(model.sample(image, draw()))
    # The logarithm stabilises values that are large compared with its offset, 1/16.
    assert noisy.std().item() == pytest.approx(sigma, rel=0.2 if isinstance(model, Speckle) else 0.03)
    assert inverse(noisy.mean()).item() == pytest.approx(value, rel=0.02)


@pytest.mark.parametrize("value", [0.2, 0.4, 0.8])
def test_estimated_noise_of_photons_and_their_reading_is_stabilised_without_bias(value: float) -> None:
    gain, read, black = 1 / 30, 0.05, 0.1
    photons = Poisson(1 / gain).sample(torch.full((1, 1, 512, 512), value - black), draw())
    y = black + photons + read * torch.randn(photons.shape, generator=draw())
    model = Estimated(0.1, line=(gain, read**2 - gain * black))
    assert model.variance(torch.tensor(value)).item() == pytest.approx(y.var().item(), rel=0.03)
    noisy, sigma, inverse = model.stabilise(y)
    assert noisy.std().item() == pytest.approx(sigma, rel=0.05)
    assert inverse(noisy.mean()).item() == pytest.approx(value, abs=0.004)
    assert model.bm3d_levels(sigma) == sigma


@pytest.mark.parametrize("peak", [3.0, 30.0])
def test_the_inverse_for_photon_counts_is_exact_also_where_they_are_clipped(peak: float) -> None:
    """Against the sum over the Poisson distribution."""
    x = np.array([0.1, 0.5, 0.9, 1.0])
    y = torch.ones(64)  # enough values at 1
    counts = np.arange(200)
    roots = Poisson(peak).stabilise(torch.from_numpy(np.minimum(counts / peak, 1)))[0].numpy()
    mean = torch.from_numpy(stats.poisson.pmf(counts[:, None], peak * x).T @ roots).float()
    np.testing.assert_allclose(Poisson(peak).stabilise(y)[2](mean), x, atol=0.004)
    low = Poisson(peak).stabilise(torch.linspace(0, 1, 64))[2](mean).numpy()
    assert (np.diff(low - x) <= 1e-6).all(), "with a single value at 1, nothing was clipped"
    assert low[-1] < 0.97


@pytest.mark.parametrize("line", [(0.02, -0.002), (0.02, 0.002), (1e-6, 0.0), (1e-9, 0.0)])
def test_the_inverse_is_continuous_down_to_black_and_for_any_number_of_photons(line: tuple[float, float]) -> None:
    image = torch.linspace(0, 1, 201)
    stable, _, inverse = Estimated(0.1, line=line).stabilise(image)
    black = max(0.0, -line[1] / line[0])
    restored = inverse(stable)
    assert (restored.diff() >= 0).all()
    assert (restored - image.clamp(min=black))[image < 0.9].abs().max() < 0.03
    assert restored[image < black].allclose(torch.tensor(black), atol=0.003)


def test_gaussian_noise_is_normal_and_independent_between_pixels_and_channels() -> None:
    residual = (Gaussian(0.1).sample(torch.full((1, 3, 128, 128), 0.5), draw()) - 0.5)[0]
    assert stats.kstest(residual.flatten().numpy() / 0.1, "norm").pvalue > 1e-3
    for other in (residual.roll(1, -1), residual.roll(1, -2), residual.roll(1, 0)):
        assert abs(np.corrcoef(residual.flatten(), other.flatten())[0, 1]) < 4 / residual.numel() ** 0.5


def test_poisson_noise_counts_whole_photons() -> None:
    counts = Poisson(100.0).sample(torch.full((1, 1, 64, 64), 0.6), draw()) * 100
    assert torch.allclose(counts, counts.round(), atol=1e-4)


def test_salt_and_pepper_hits_the_given_share_half_and_half() -> None:
    noisy = SaltAndPepper(0.2).sample(torch.full((1, 3, 256, 256), 0.5), draw())
    for value, share in ((0, 0.1), (1, 0.1), (0.5, 0.8)):
        assert (noisy == value).float().mean().item() == pytest.approx(share, rel=0.05)


SIMULATED = [
    SuperRes(simulate=True, noise=NoiseOptions("gaussian", sigma=0.05)),
    Deblur(simulate=True, noise=NoiseOptions("salt_and_pepper", amount=0.2)),
    Inpaint(missing=0.5, noise=NoiseOptions("speckle", sigma=0.2)),
    Inpaint(draw="hole", noise=NoiseOptions("gaussian", sigma=0.05)),
    Jpeg(quality=90, noise=NoiseOptions("gaussian", sigma=0.05)),
    Flash(noise=NoiseOptions("poisson", peak=20.0)),
]


@pytest.mark.parametrize("target", SIMULATED, ids=lambda target: f"{target.name}-{target.noise.kind}")
def test_any_simulated_damage_takes_any_noise(target: Target) -> None:
    """The noise comes after the operator: y is as noisy as the model says, around A(image)."""
    image = photo("camera")
    seen, again, other = (target.observe(image, seed) for seed in (3, 3, 4))
    assert torch.equal(seen.y, again.y)
    assert not torch.equal(seen.y, other.y)
    assert 0 <= seen.y.min() <= seen.y.max() <= 1
    assert seen.reference is not None
    clean = seen.operator(seen.reference).clamp(0, 1)
    inside = (clean > 0.25) & (clean < 0.75)  # where little is clipped
    expected = target.noise_model(0.0).variance(clean)[inside].mean().sqrt().item()
    # JPEG adds its own error, about 0.01.
    assert (seen.y - clean)[inside].square().mean().sqrt().item() == pytest.approx(expected, rel=0.1)


def test_noise_of_inpainting_is_independent_of_the_mask() -> None:
    image = torch.full((1, 1, 128, 128), 0.5)
    seen = Inpaint(missing=0.5, noise=NoiseOptions("gaussian", sigma=0.1)).observe(image, 0)
    assert seen.known is not None
    assert torch.equal(seen.known, Inpaint(missing=0.5).observe(image, 0).known)
    noise = (seen.y - 0.5)[seen.known == 1].numpy()
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    same_draws = Noisy(sigma=0.1).observe(image, 0).y[seen.known == 1].numpy()
    assert abs(np.corrcoef(noise, same_draws)[0, 1]) < 0.05


def test_noisy_known_pixels_are_not_copied_into_the_restored_image() -> None:
    assert Inpaint(missing=0.5).keep is True
    assert Inpaint(missing=0.5, noise=NoiseOptions("gaussian")).keep is False
    assert Inpaint(missing=0.5, noise=NoiseOptions("gaussian"), keep=True).keep is True


@pytest.mark.parametrize(
    ("short", "full", "noise"),
    [
        ("", "kind=gaussian sigma=0.1", NoiseOptions("gaussian", sigma=0.1)),
        ("target.sigma=0.2", "sigma=0.2", NoiseOptions("gaussian", sigma=0.2)),
        ("target.kind=poisson target.peak=9", "kind=poisson peak=9", NoiseOptions("poisson", peak=9.0)),
        ("target.kind=poisson", "kind=poisson peak=30", NoiseOptions("poisson", peak=30.0)),
        ("target.kind=salt_and_pepper target.amount=0.3", "kind=salt_and_pepper", NoiseOptions("salt_and_pepper", amount=0.3)),
        ("target=flash", "sigma=0.1", NoiseOptions("gaussian", sigma=0.1)),
        ("target=flash target.sigma=0.2", "sigma=0.2", NoiseOptions("gaussian", sigma=0.2)),
    ],
)  # fmt: skip
def test_two_spellings_are_one_configuration(short: str, full: str, noise: NoiseOptions) -> None:
    both = (f"target.noise.{word}" for word in full.split())
    for target in (composed(*short.split()).target, composed(*short.split(), *both).target):
        assert target.noise == Noisy(noise=noise).noise


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (("target.sigma=0.2", "target.noise.sigma=0.1"),
         "target.noise.sigma=0.1: must be 0.2 or left out beside target.sigma=0.2, for example target.sigma=0.2"),
        (("target.kind=poisson", "target.noise.kind=gaussian"), "target.noise.kind=gaussian: must be poisson or left out"),
        (("target.noise.kind=pink",), "target.noise.kind=pink: must be null or one of none, gaussian, poisson, speckle, "),
        (("target.noise.sigma=-1",), "target.noise.sigma=-1.0: must be null or a number in [0, 1], "),
    ],
)  # fmt: skip
def test_a_contradiction_or_an_illegal_value_is_refused(typed: tuple[str, ...], line: str) -> None:
    with pytest.raises(OptionError) as error:
        composed(*typed)
    assert str(error.value).startswith(line)


def test_python_calls_take_noise_as_a_dict_and_replace_the_noise_of_an_experiment() -> None:
    noise = {"kind": "poisson", "peak": 100}
    config, _ = assemble({"target": {"name": "deblur", "simulate": True, "noise": noise}})
    assert config.target == Deblur(simulate=True, noise=NoiseOptions("poisson", peak=100.0))
    with pytest.raises(DipError, match=r"^target\.noise\.pek: no such option; did you mean target\.noise\.peak\?"):
        assemble({"target": {"name": "deblur", "noise": {"pek": 1}}})
    config, _ = assemble({"experiment": "paper-denoise", "target": {"name": "noisy", "sigma": 0.3}})
    assert config.target == Noisy(sigma=0.3)
    config, _ = assemble({"experiment": "paper-denoise", "target": {"name": "noisy", "kind": "poisson"}})
    assert config.target == Noisy(kind="poisson")


def test_a_field_of_a_noise_model_that_the_options_lack_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass
    class Stripes(Gaussian):
        width: float = 2.0

    monkeypatch.setitem(NOISE_MODELS, "gaussian", Stripes)
    with pytest.raises(AssertionError, match="width is a field of Stripes and must also be one of NoiseOptions"):
        Noisy()


@pytest.mark.parametrize(
    "typed", ["target.sigma=25", "target.noise.sigma=25", "target=flash target.sigma=25", "target.kind=speckle target.sigma=1.5",
              "target=degraded target.noise.sigma=25", "target=mri target.noise.sigma=25"],
)  # fmt: skip
def test_a_level_meant_for_another_range_is_refused_with_the_unit(typed: str) -> None:
    with pytest.raises(OptionError, match=r"in units of the image's range.*, for example target.(noise.)?sigma=0.098$"):
        composed(*typed.split())

"""The report's targets: their statistics, their seeds, and that they leave the image alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from dip.seeds import generator
from dip.targets import NOISE_MODELS, Clean, Inpaint, Noise, Noisy, Shuffled, permutation
from dip.targets.operators import Identity
from tests.targets.photos import photo


@pytest.mark.parametrize("target", [Clean(), Noisy(), Noise(), Shuffled()], ids=lambda target: target.name)
def test_every_target_observes_the_whole_image_directly(target):
    image = photo()
    seen = target.observe(image, seed=3)
    assert isinstance(seen.operator, Identity)
    assert (seen.size, seen.known, seen.z) == ((96, 96), None, None)
    assert seen.y.shape == image.shape
    assert seen.y.dtype == torch.float32
    assert 0 <= seen.y.min() <= seen.y.max() <= 1
    assert torch.equal(image, photo())
    assert torch.equal(seen.y, image) == (target.name == "clean")
    reference = image if target.name in ("clean", "noisy") else seen.y
    assert torch.equal(seen.reference, reference)


def test_noise_is_uniform_and_independent_of_the_image():
    seen = Noise().observe(photo(), seed=4)
    assert stats.kstest(seen.y.flatten().numpy(), "uniform").pvalue > 1e-3
    assert seen.y.var().item() == pytest.approx(1 / 12, rel=0.02)
    assert torch.equal(seen.y, Noise().observe(torch.zeros_like(photo()), seed=4).y)


def test_the_inverse_permutation_restores_the_image_with_all_channels():
    y = Shuffled().observe(photo(), seed=5).y
    back = torch.empty_like(y).flatten(2)
    back[:, :, permutation(96 * 96, seed=5)] = y.flatten(2)
    assert torch.equal(back.view_as(y), photo())


RANDOM = [Noise(), Shuffled(), Inpaint(missing=0.5), Inpaint(draw="hole")]
RANDOM += [Noisy(kind=kind) for kind in NOISE_MODELS if kind != "none"]


@pytest.mark.parametrize("target", RANDOM, ids=lambda target: f"{target.name}-{getattr(target, 'noise', '')}")
def test_draws_depend_on_the_seed_alone_and_leave_global_generators_alone(target):
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (target.observe(photo(), seed).y for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)
    torch.manual_seed(99)
    assert torch.equal(first, target.observe(photo(), 7).y)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noisy_has_the_draws_that_published_results_were_made_with():
    y = Noisy(sigma=0.1).observe(torch.full((1, 1, 8, 8), 0.5), 0).y
    assert torch.equal(y, 0.5 + 0.1 * torch.randn(1, 1, 8, 8, generator=generator(0, "target")))

"""Draws are functions of (seed, purpose) and touch nothing global."""

import numpy
import pytest
import torch

from dip.seeds import Perturbation, derive, generator


def test_each_purpose_has_draws_of_its_own():
    draws = [
        torch.randn(1000, generator=generator(0, *purpose))
        for purpose in (("z",), ("weights",), ("x", 1), ("x", 2))
    ]
    correlations = numpy.corrcoef(torch.stack(draws))
    assert abs(correlations - numpy.eye(4)).max() < 0.15


def test_seeds_differ_in_their_low_32_bits_too():
    # PyTorch's CPU generator ignores the others.
    low = {derive(seed, "perturbation", step) & 0xFFFFFFFF for seed in range(10) for step in range(1000)}
    assert len(low) == 10_000


def test_perturbation_of_a_step_needs_no_other_step():
    z = torch.zeros(1, 4, 8, 8)
    one, other = Perturbation(0.1, seed=3), Perturbation(0.1, seed=3)
    for step in range(1, 7):
        last = one(z, step)
    assert torch.equal(last, other(z, 6))
    assert not torch.equal(last, other(z, 5))
    assert not torch.equal(last, Perturbation(0.1, seed=4)(z, 6))


def test_perturbation_has_its_standard_deviation_and_leaves_z():
    z = torch.rand(1, 32, 64, 64).to(memory_format=torch.channels_last)
    before = z.clone()
    noise = Perturbation(1 / 30, seed=0)(z, 1) - z
    assert torch.equal(z, before)
    assert noise.mean().item() == pytest.approx(0, abs=5e-4)
    assert noise.std().item() == pytest.approx(1 / 30, rel=0.01)


def test_perturbation_is_the_same_noise_in_every_precision():
    z = torch.zeros(1, 4, 8, 8)
    single, double = Perturbation(0.1, 0)(z, 1), Perturbation(0.1, 0)(z.double(), 1)
    assert double.dtype == torch.float64
    assert torch.allclose(single.double(), double, rtol=1e-6)


def test_no_perturbation_is_z_itself():
    z = torch.rand(1, 4, 8, 8)
    assert Perturbation(0.0, 0)(z, 1) is z


def test_global_generator_is_not_moved():
    state = torch.get_rng_state()
    Perturbation(0.1, 0)(torch.zeros(1, 1, 4, 4), 1)
    generator(1, "z")
    assert torch.equal(state, torch.get_rng_state())


def test_the_perturbation_grows_to_its_size():
    z = torch.zeros(1, 4, 64, 64)
    grown, plain = Perturbation(0.2, seed=3, warm_up=100), Perturbation(0.2, seed=3)
    for step, share in ((1, 0.01), (50, 0.5), (100, 1), (300, 1)):
        torch.testing.assert_close(grown(z, step), share * plain(z, step))

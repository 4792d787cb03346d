"""Random numbers are functions of (seed, purpose) and do not use the global generator."""

import numpy
import pytest
import torch

from dip.seeds import Draws, Perturbation, derive, generator

DISTRIBUTIONS = ("gaussian", "uniform")


def test_purposes_have_independent_random_numbers():
    draws = [
        torch.randn(1000, generator=generator(0, *purpose)) for purpose in (("z",), ("weights",), ("x", 1), ("x", 2))
    ]
    correlations = numpy.corrcoef(torch.stack(draws))
    assert abs(correlations - numpy.eye(4)).max() < 0.15


def test_seeds_differ_in_their_low_32_bits_too():
    # PyTorch's CPU generator ignores the others.
    low = {derive(seed, "perturbation", step) & 0xFFFFFFFF for seed in range(10) for step in range(1000)}
    assert len(low) == 10_000


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_perturbation_of_a_step_does_not_depend_on_other_steps(distribution):
    z = torch.zeros(1, 4, 8, 8)
    one, other = (Perturbation(0.1, seed=3, distribution=distribution) for _ in range(2))
    for step in range(1, 7):
        last = one(z, step)
    assert torch.equal(last, other(z, 6))
    assert not torch.equal(last, other(z, 5))
    assert not torch.equal(last, Perturbation(0.1, seed=4, distribution=distribution)(z, 6))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_perturbation_has_its_standard_deviation_and_does_not_change_z(distribution):
    z = torch.rand(1, 32, 64, 64).to(memory_format=torch.channels_last)
    before = z.clone()
    noise = Perturbation(1 / 30, seed=0, distribution=distribution)(z, 1) - z
    assert torch.equal(z, before)
    assert noise.mean().item() == pytest.approx(0, abs=5e-4)
    assert noise.std().item() == pytest.approx(1 / 30, rel=0.01)
    correlations = numpy.corrcoef(noise[0].flatten(1))  # of 32 maps of 4,096 numbers: +- 0.016
    assert abs(correlations - numpy.eye(32)).max() < 0.08


def test_uniform_perturbation_is_uniform():
    # One number more than a multiple of eight.
    noise = Perturbation(1.0, seed=0, distribution="uniform")(torch.zeros(1, 1, 81, 81), 1).flatten()
    values, counts = numpy.unique(noise.numpy(), return_counts=True)
    assert len(values) == 256
    assert values == pytest.approx((numpy.arange(256) - 128) / (65535 / 12) ** 0.5, rel=1e-5)
    expected = noise.numel() / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert 180 < chi_square < 340  # 255 degrees of freedom: 255 +- 23


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_perturbation_is_the_same_noise_in_every_precision(distribution):
    z = torch.zeros(1, 4, 8, 8)
    perturb = Perturbation(0.1, 0, distribution=distribution)
    single, double = perturb(z, 1), perturb(z.double(), 1)
    assert double.dtype == torch.float64
    assert torch.allclose(single.double(), double, rtol=1e-6)


def test_a_perturbation_of_0_returns_z():
    z = torch.rand(1, 4, 8, 8)
    assert Perturbation(0.0, 0)(z, 1) is z


def test_the_global_generator_is_not_used():
    state = torch.get_rng_state()
    Perturbation(0.1, 0)(torch.zeros(1, 1, 4, 4), 1)
    generator(1, "z")
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "step", "share"),
    [
        ({}, 9000, 1), ({"warm_up": 100}, 1, 0.01), ({"warm_up": 100}, 300, 1), ({"half_life": 50}, 75, 0.5**1.5),
        ({"half_life": 1}, 5000, 0), ({"warm_up": 100, "half_life": 50}, 50, 0.5),
        ({"warm_up": 100, "half_life": 50}, 100, 1), ({"warm_up": 100, "half_life": 50}, 200, 0.25),
    ],
)  # fmt: skip
def test_the_perturbation_warms_up_and_halves(options: dict[str, int], step: int, share: float):
    z = torch.zeros(1, 4, 64, 64)
    changing, plain = Perturbation(0.2, seed=3, **options), Perturbation(0.2, seed=3)
    torch.testing.assert_close(changing(z, step), share * plain(z, step))


DRAWS = {
    "layer": lambda: torch.nn.Conv2d(2, 3, 3).weight,
    "rand": lambda: torch.rand(4),
    "randn": lambda: torch.randn(4),
    "randint": lambda: torch.randint(0, 99, (4,)),
    "randperm": lambda: torch.randperm(9),
    "normal": lambda: torch.normal(0.0, 1.0, (4,)),
    "bernoulli": lambda: torch.bernoulli(torch.full((20,), 0.5)),
    "poisson": lambda: torch.poisson(torch.full((4,), 9.0)),
    "multinomial": lambda: torch.multinomial(torch.ones(9), 4),
    "method": lambda: torch.empty(4).uniform_(-1, 1),
    "initialiser": lambda: torch.nn.init.orthogonal_(torch.empty(3, 3)),
    "truncated": lambda: torch.nn.init.trunc_normal_(torch.empty(4)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_those_of_a_global_generator_which_they_leave_alone(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = DRAWS[name]()
    before = torch.get_rng_state()
    with Draws(torch.Generator().manual_seed(7)):
        found = DRAWS[name]()
    assert torch.equal(found, expected)
    assert torch.equal(torch.get_rng_state(), before)

"""The input z and the fixed pair, which is repeated without copies."""

import itertools

import pytest
import torch

from dip.model.data import FixedPair, draw
from dip.z import Z


@pytest.mark.parametrize(
    ("distribution", "mean", "deviation"), [("gaussian", 0, 0.1), ("uniform", 0.05, 0.1 / 12**0.5)]
)
def test_z_has_its_distribution_and_depends_on_the_seed(distribution, mean, deviation):
    options = Z(channels=8, distribution=distribution, scale=0.1)
    z = draw(options, (64, 64), seed=0)
    assert z.shape == (1, 8, 64, 64)
    assert z.mean().item() == pytest.approx(mean, abs=2e-3)
    assert z.std().item() == pytest.approx(deviation, rel=0.02)
    assert distribution == "gaussian" or 0 <= z.min() <= z.max() <= 0.1
    assert torch.equal(draw(options, (64, 64), 0), z)
    assert not torch.equal(draw(options, (64, 64), 1), z)


def test_meshgrid_z_is_x_and_y():
    z = draw(Z(channels=2, distribution="meshgrid", scale=1.0), (3, 5), seed=0)
    assert z[0, 0, 1].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert z[0, 1, :, 2].tolist() == [0, 0.5, 1]


def test_meshgrid_z_of_a_volume_has_three_coordinates():
    z = draw(Z(channels=2, distribution="meshgrid", scale=1.0), (4, 5), 0, slices=3).view(3, 3, 4, 5)
    lines = torch.linspace(0, 1, 5), torch.linspace(0, 1, 4)[:, None], torch.linspace(0, 1, 3)[:, None, None]
    for coordinate, line in zip(z, lines, strict=True):
        torch.testing.assert_close(coordinate, line.expand(3, 4, 5))


def test_the_pair_is_repeated_without_copies_and_can_be_iterated_twice():
    pair = FixedPair(torch.rand(1, 2, 8, 8), torch.rand(1, 3, 8, 8))
    loader = pair.train_dataloader()
    for _ in range(2):
        assert all(batch is pair.pair for batch in itertools.islice(loader, 1000))
    assert not hasattr(loader, "__len__")

"""The input z and the fixed pair, which is repeated without copies."""

import itertools

import numpy as np
import pytest
import torch

from dip.model.data import FixedPair, draw, extend
from dip.z import Z


def test_gaussian_z_has_the_scale_as_standard_deviation():
    z = draw(Z(channels=8, scale=0.1), (64, 64), seed=0)
    assert z.shape == (1, 8, 64, 64)
    assert z.std().item() == pytest.approx(0.1, rel=0.02)


def test_uniform_z_spans_zero_to_scale():
    z = draw(Z(channels=8, distribution="uniform", scale=0.1), (64, 64), seed=0)
    assert z.min() >= 0
    assert z.max() <= 0.1
    assert z.var().item() == pytest.approx(0.01 / 12, rel=0.03)


def test_meshgrid_z_is_x_and_y():
    z = draw(Z(channels=2, distribution="meshgrid", scale=1.0), (3, 5), seed=0)
    assert z[0, 0, 1].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert z[0, 1, :, 2].tolist() == [0, 0.5, 1]


def test_z_depends_on_the_seed():
    assert torch.equal(draw(Z(), (4, 4), 1), draw(Z(), (4, 4), 1))
    assert not torch.equal(draw(Z(), (4, 4), 1), draw(Z(), (4, 4), 2))


def test_the_pair_is_repeated_without_copies_and_can_be_iterated_twice():
    pair = FixedPair(torch.rand(1, 2, 8, 8), torch.rand(1, 3, 8, 8))
    loader = pair.train_dataloader()
    for _ in range(2):
        seen = list(itertools.islice(loader, 1000))
        assert all(batch is pair.pair for batch in seen)
    assert not hasattr(loader, "__len__")


@pytest.mark.parametrize("size", [(3, 5), (4, 8), (8, 16)])
def test_a_user_s_input_is_extended_by_symmetric_reflection(size):
    z = torch.rand(1, 2, 3, 5)
    pad = ((0, 0), (0, 0), (0, size[0] - 3), (0, size[1] - 5))
    assert np.array_equal(extend(z, size).numpy(), np.pad(z.numpy(), pad, mode="symmetric"))

"""Digests tell apart functions and objects that are given from Python."""

import functools
import io

import numpy as np
import pytest
import torch
from torch import nn

from dip.errors import DipError
from dip.fitting.digests import digest


def times(factor):
    return lambda x: factor * x


def two(factor):
    return lambda x: factor * x + 0 * x


@pytest.mark.fault(39)
def test_what_a_function_captures_tells_it_apart():
    factors = [2, 3.0, np.ones(3), np.zeros(3), torch.ones(3), torch.ones(3) * 2, [1], {"a": 1}, times(2), two(2)]
    found = [digest(times(factor), "operator") for factor in factors]
    assert len(set(found)) == len(factors)
    assert found == [digest(times(factor), "operator") for factor in factors]


@pytest.mark.fault(39)
def test_code_and_parameters_tell_modules_apart():
    def made(seed: int, size: int = 3) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Conv2d(1, 1, size)

    assert digest(made(0), "operator") == digest(made(0), "operator")
    assert len({digest(made(0), "operator"), digest(made(1), "operator"), digest(made(0, 5), "operator")}) == 3
    one, other = functools.partial(torch.mul, 2), functools.partial(torch.mul, 3)
    assert digest(one, "operator") != digest(other, "operator") != digest(times(2), "operator")


@pytest.mark.fault(39)
def test_what_cannot_be_told_apart_is_refused():
    hidden = iter([1, 2])
    with pytest.raises(DipError, match=r"operator: holds .*iterator.*out="):
        digest(times(hidden), "operator")
    with pytest.raises(DipError, match="holds"):
        digest(times(io.StringIO("a")), "operator")

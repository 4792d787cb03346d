"""The network in three dimensions: against the one in two, for volumes that are constant along an axis, and its sizes."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dip.errors import OptionError
from dip.nets import Hourglass, Hourglass3d
from dip.nets.hourglass import HourglassModule

SMALL: dict[str, Any] = {"depth": 3, "channels": [3, 4, 5], "skip_channels": 2}


def built(
    net: Hourglass3d, slices: int, channels: int = 1, z_channels: int = 3, skips: tuple[int, ...] = (1, 3)
) -> Any:
    """The network in float64, its scales and shifts other than 1 and 0."""
    torch.manual_seed(0)
    bound = net.for_slices(slices)
    module = bound.build(z_channels * bound.z_slices(), channels * slices, skips).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module


def spread(image: Tensor, slices: int) -> Tensor:
    """(1, C, H, W) as a volume (1, C * slices, H, W) of equal slices."""
    return image.repeat_interleave(slices, dim=1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"upsampling": "nearest", "use_1x1": False},
        {"kernel_down": 5, "kernel_up": 5, "kernel_skip": 3, "activation": "elu"},
        {"output": "linear"},
        {"checkpoint_activations": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("slices", [3, 8, 16])
def test_a_volume_of_equal_slices_is_the_image_of_the_network_in_two_dimensions(options: dict[str, Any], slices: int):
    """Its kernels are the sums over the axis of the slices, since reflection continues what is constant."""
    module = built(Hourglass3d(**SMALL | options), slices, channels=2)
    flat = HourglassModule(Hourglass(**SMALL | options), 3, 2, [1, 3]).double()
    summed = {name: value.sum(2) if value.dim() == 5 else value for name, value in module.state_dict().items()}
    flat.load_state_dict(summed)
    z = torch.rand(1, 3, 32, 48, dtype=torch.float64)
    torch.testing.assert_close(module(spread(z, slices)), spread(flat(z), slices), rtol=0, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(
    slices=st.integers(1, 9), height=st.integers(1, 20), width=st.integers(1, 20), channels=st.integers(1, 2),
    kernel=st.sampled_from([1, 3, 5]), padding=st.sampled_from(["reflection", "zeros"]), depth=st.integers(1, 4),
)  # fmt: skip
def test_any_size(slices: int, height: int, width: int, channels: int, kernel: int, padding: str, depth: int):
    net = Hourglass3d(depth=depth, channels=2, kernel_down=kernel, kernel_up=3, padding=padding).for_slices(slices)
    size = net.padded(height, width)
    assert size[0] - height in (0, max(0, net.sides()[1] - height))
    module = net.build(2 * net.z_slices(), channels * slices, [1])
    image = module(torch.rand(1, 2 * net.z_slices(), *size))
    assert image.shape == (1, channels * slices, *size)
    assert torch.isfinite(image).all()


@pytest.mark.parametrize(("length", "halved"), [(3, [3, 3, 3]), (5, [3, 3, 3]), (16, [8, 4, 2]), (9, [5, 3, 3])])
def test_a_short_axis_is_halved_fewer_times(length: int, halved: list[int]):
    module = built(Hourglass3d(**SMALL), length)
    found = []
    for level in module.levels:
        level.refine.register_forward_hook(lambda _, inputs, output: found.append(tuple(output.shape[2:])))
    module(torch.rand(1, 3 * length, 32, 32, dtype=torch.float64))
    assert found == [(depth, 32 >> level, 32 >> level) for level, depth in enumerate(halved, start=1)]


def test_recomputed_activations_give_the_same_gradients():
    plain = built(Hourglass3d(**SMALL), 5)
    frugal = copy.deepcopy(plain)
    frugal.checkpoint_activations = True
    z = torch.rand(1, 15, 9, 10, dtype=torch.float64)
    for module in (plain, frugal):
        F.mse_loss(module(z), torch.zeros(1, 5, 9, 10, dtype=torch.float64)).backward()
    for one, other in zip(plain.parameters(), frugal.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_under_autocast_the_output_is_float32_and_close():
    module = built(Hourglass3d(**SMALL), 4).float()
    z = torch.rand(1, 12, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        image = module(z)
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, module(z), rtol=0, atol=0.05)


def test_channels_that_are_not_a_multiple_of_the_slices_are_refused():
    with pytest.raises(OptionError, match="net=hourglass3d: must be hourglass for 4 channels, .* 3 slices"):
        Hourglass3d(**SMALL).for_slices(3).build(6, 4, [1])


def test_the_number_of_slices_is_kept_where_the_head_is_chosen():
    net = Hourglass3d(**SMALL).for_slices(7)
    assert net.fitting(bounded=False).slices == 7
    assert Hourglass(**SMALL).for_slices(7).slices == 1

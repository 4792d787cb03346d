"""The options of networks: legal values, error messages, sizes."""

import pytest
import torch

from dip.errors import OptionError
from dip.nets import NETS, Hourglass, Pixels


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": 0}, "net.channels=0: must be an integer >= 1 or a list of net.depth such integers"),
        ({"channels": [8, 8]}, r"net.channels=\[8, 8\]"),
        ({"channels": "128"}, "net.channels=128"),
        ({"skip_channels": [4, 4, 4, 4, 0]}, "net.skip_channels"),
        ({"kernel_down": 4}, "net.kernel_down=4: must be an odd integer from 1 to 15"),
    ],
)
def test_illegal_options_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Hourglass(**options)


@pytest.mark.parametrize("skips", [[0], [6], [1, 1], [True], [1.0], "12", 3])
def test_illegal_skips_are_named(skips: object) -> None:
    with pytest.raises(OptionError, match=r"skips=.*levels from 1 \(finest\) to 5 \(net.depth\)"):
        Hourglass().build(3, 3, skips)


def test_names_match_their_classes() -> None:
    assert {name: net().name for name, net in NETS.items()} == {name: name for name in NETS}


@pytest.mark.parametrize(
    ("options", "size", "padded"),
    [
        ({}, (512, 512), (512, 512)), ({}, (513, 1), (544, 64)), ({"depth": 3}, (17, 24), (24, 24)),
        ({"depth": 1}, (3, 4), (4, 4)), ({"depth": 2, "kernel_down": 7}, (1, 20), (16, 20)),
        ({"depth": 2, "kernel_up": 9}, (1, 20), (12, 20)),
    ],
)  # fmt: skip
def test_padded(options: dict[str, object], size: tuple[int, int], padded: tuple[int, int]) -> None:
    assert Hourglass(**options).padded(*size) == padded


def test_the_head_of_the_hourglass_has_the_range_of_net_output() -> None:
    z = torch.randn(1, 4, 16, 16)
    for name, low in (("sigmoid", 0.0), ("linear", -100.0), ("softplus", 0.0)):
        net = Hourglass(depth=2, channels=4, output=name).build(4, 1, [1])
        torch.nn.init.constant_(net.head.weight, 5.0)
        assert low <= net(z).min()
        assert (net(z).max() > 1) == (name != "sigmoid")
    assert Hourglass().fitting(bounded=False).output == "linear"
    assert Hourglass().fitting(bounded=True).output is None


def test_pixels_have_the_size_of_the_image_and_ignore_the_input() -> None:
    assert Pixels().padded(13, 7) == (13, 7)
    net = Pixels().build(1, 3, [], (13, 7))
    assert [tuple(parameter.shape) for parameter in net.parameters()] == [(1, 3, 13, 7)]
    assert torch.equal(net(torch.rand(1, 7, 13, 7)), net(torch.zeros(1, 2, 13, 7)))
    with pytest.raises(AssertionError):
        net(torch.zeros(1, 2, 13, 8))


def test_an_output_of_pixels_starts_in_0_to_0_1_and_does_not_change_with_the_parameters() -> None:
    net = Pixels().build(1, 3, [], (64, 64))
    values = net(torch.zeros(1, 1, 64, 64)).detach()
    kept = values.clone()
    with torch.no_grad():
        net.pixels.add_(1)
    assert torch.equal(values, kept)
    assert 0 <= values.min() <= values.max() <= 0.1
    assert values.var().item() == pytest.approx(0.01 / 12, rel=0.05)

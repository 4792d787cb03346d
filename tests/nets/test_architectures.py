"""The networks beside the hourglass: parameters as published, any size and number of channels, number formats."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip.errors import OptionError
from dip.nets import MLP, NETS, ConvDecoder, Decoder, Net, ResNet, Swin, UNet
from dip.nets.unet import Upsampled3x3

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"channels": [4, 8, 8]},
    "resnet": {"channels": 4, "blocks": 2},
    "decoder": {"channels": 8, "layers": 4},
    "convdecoder": {"channels": 8, "layers": 4, "coarsest": 4},
    "mlp": {"channels": 16, "layers": 2, "features": 8},
    "swin": {"channels": 8, "blocks": 2, "heads": 2},
}


def made(net: Net, size: tuple[int, int], z: int = 3, channels: int = 3) -> tuple[nn.Module, Tensor]:
    """The module and an input for an image of `size`."""
    torch.manual_seed(0)
    whole = net.padded(*size)
    return net.build(z, channels, [], whole), torch.randn(1, z, *net.input_size(whole))


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("channels", [1, 3, 31])
@pytest.mark.parametrize("size", [(1, 1), (17, 24), (31, 50)])
@pytest.mark.parametrize("name", sorted(SMALL))
def test_any_size_and_any_number_of_channels(name: str, size: tuple[int, int], channels: int) -> None:
    net = NETS[name](**SMALL[name])
    module, z = made(net, size, channels=channels)
    image = module(z)
    assert image.shape == (1, channels, *net.padded(*size))
    assert all(a >= b for a, b in zip(image.shape[2:], size, strict=True))
    assert 0 <= image.min() <= image.max() <= 1
    image.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("name", sorted(SMALL))
def test_an_image_that_the_network_accepts_is_not_padded_again(name: str) -> None:
    net = NETS[name](**SMALL[name])
    for size in [(1, 1), (17, 24), (64, 96)]:
        assert net.padded(*net.padded(*size)) == net.padded(*size)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_bf16_and_a_checkpoint_give_the_same_network(name: str) -> None:
    net = NETS[name](**SMALL[name])
    module, z = made(net, (32, 32))
    exact = module(z)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = module(z)
    assert coarse.dtype == torch.float32
    assert (coarse - exact).abs().max() < 0.1
    torch.manual_seed(1)
    other = net.build(3, 3, [], net.padded(32, 32))
    assert not torch.equal(other(z), exact)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(z), exact)


@pytest.mark.parametrize(("output", "low", "high"), [(None, 0, 1), ("softplus", 0, 99), ("linear", -99, 99)])
@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_last_layer_has_the_function_of_net_output(name: str, output: str | None, low: float, high: float) -> None:
    net = NETS[name](**SMALL[name], output=output)
    assert net.fitting(bounded=True) == net
    assert net.fitting(bounded=False).output == (output or "linear")
    module, z = made(net, (16, 16))
    functions: dict[str | None, Callable[[Tensor], Tensor]] = {None: torch.sigmoid, "softplus": F.softplus}
    assert torch.equal(module(z), functions.get(output, lambda x: x)(module[0](z)))
    assert low <= module(z).min() <= module(z).max() <= high


# The number of parameters, each counted from the publication or the construction of its code.


@pytest.mark.parametrize(("k", "published"), [(64, 25_536), (128, 100_224)])
def test_the_deep_decoder_has_the_published_number_of_weights(k: int, published: int) -> None:
    """Heckel and Hand 2019, section 2: d k^2 + 2 d k + 3 k, with the two examples for d = 6."""
    module, _ = made(Decoder(channels=k, layers=6), (64, 64), z=k)
    assert parameters(module) == published == 6 * k**2 + 2 * 6 * k + 3 * k


def test_the_convdecoder_has_the_weights_of_the_authors_code() -> None:
    """`convdecoder` of include/decoder_conv.py, defaults and `need_last`: 6 convolutions of 64, 16 to 256 pixels."""
    module, z = made(ConvDecoder(channels=64, layers=6, coarsest=16), (256, 256), z=64)
    convolutions = 6 * 9 * 64 * 64
    assert parameters(module) == convolutions + 6 * 2 * 64 + 64 * 3
    assert z.shape[2:] == (16, 16)
    # There rounded up: 28, 49, 85, 148, 256.
    assert [side for side, _ in module[0].sizes] == [28, 49, 84, 147, 256, 256]


def test_the_unet_has_the_convolutions_of_the_original_code() -> None:
    """models/unet.py of "Deep Image Prior" with bilinear upsampling, built here from plain layers with its sizes.

    It counts weights of convolutions: there are biases instead of the normalisation in the decoder.
    """
    filters = [16, 32, 64, 128, 256]
    twice = [pair for n, m in itertools.pairwise([32, *filters]) for pair in [(n, m), (m, m)]]
    up = [pair for width in filters[:-1] for pair in [(2 * width, width), (2 * width, width), (width, width)]]
    expected = sum(nn.Conv2d(a, b, 3, bias=False).weight.numel() for a, b in [*twice, *up])
    module, _ = made(UNet(channels=filters), (32, 32), z=32)
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    assert sum(part.weight.numel() for part in convolutions) == expected + 16 * 3
    normalised = 2 * sum(filters) + 2 * sum(filters[:-1])  # maps of two convolutions of each level, then on the way up
    assert parameters(module) == expected + 16 * 3 + 3 + 2 * normalised


def test_the_resnet_has_the_weights_of_the_original_code() -> None:
    """models/resnet.py of "Deep Image Prior", less the bias of the last convolution before a normalisation."""
    z, width, blocks = 32, 32, 8
    first, last, head = 9 * z * width + width, 9 * width**2 + 2 * width, 9 * width * 3 + 3
    assert parameters(made(ResNet(), (8, 8), z=z)[0]) == first + blocks * (2 * 9 * width**2 + 4 * width) + last + head


def test_the_perceptrons_have_the_weights_of_their_layers() -> None:
    """Tancik et al. 2020 and Sitzmann et al. 2020: fully connected layers with biases, frequencies not trained."""
    hidden, head = 3 * (256 * 256 + 256), 256 * 3 + 3
    assert parameters(made(MLP(), (8, 8))[0]) == 512 * 256 + 256 + hidden + head
    assert parameters(made(MLP(encoding="siren"), (8, 8))[0]) == 2 * 256 + 256 + hidden + head


def test_a_swin_block_has_the_published_weights() -> None:
    """Liu et al. 2021, section 3.2, M = 8 and an expansion of 2: attention 4 C^2, perceptron 4 C^2, (2 M - 1)^2 biases."""
    c, heads, blocks, patch = 60, 4, 4, 2
    norms = 4 * c
    attention = 4 * c**2 + 4 * c + heads * 15**2
    perceptron = 2 * 2 * c**2 + 2 * c + c
    ends = 32 * c * patch**2 + c + 2 * c + c * c * patch**2 + c * patch**2 + 9 * c**2 + c + 3 * c + 3
    assert parameters(made(Swin(), (16, 16), z=32)[0]) == blocks * (norms + attention + perceptron) + ends


# What each of them computes.


def test_the_unet_convolves_the_upsampled_maps() -> None:
    """Against the framework's bilinear upsampling, padding and convolution, inside the border and at it."""
    torch.manual_seed(0)
    layer, x = Upsampled3x3(3, 5).double(), torch.randn(1, 3, 6, 7, dtype=torch.float64)
    upsampled = F.pad(F.interpolate(x, scale_factor=2, mode="bilinear"), [1] * 4, mode="reflect")
    assert torch.allclose(layer(x), F.conv2d(upsampled, layer.weight), atol=1e-12)


def test_the_deep_decoder_is_that_of_the_paper() -> None:
    """Equation 1 in plain operations: convolution after upsampling, normalisation after the ReLU."""
    module, z = made(Decoder(channels=5, layers=3), (12, 16))
    body, x = module[0], z
    for number, mix in enumerate(body.mix):
        x = F.interpolate(x, scale_factor=2, mode="bilinear") if number < 2 else x
        x = F.relu(F.conv2d(x, mix.weight))
        x = F.batch_norm(x, None, None, training=True, eps=1e-5)
    assert torch.allclose(module(z), torch.sigmoid(F.conv2d(x, body.head.weight)), atol=1e-4)


def test_the_convdecoder_grows_by_one_factor_and_ends_at_the_size_of_the_image() -> None:
    module, z = made(ConvDecoder(channels=4, layers=9, coarsest=4), (1024, 2048))
    assert z.shape[2:] == (4, 8)
    assert module[0].sizes == [*((2**n, 2 ** (n + 1)) for n in range(3, 11)), (1024, 2048)]


def test_a_residual_network_starts_from_the_sum_of_its_blocks() -> None:
    """With the last normalisation of each block at 0, the blocks change nothing (He et al. 2016)."""
    module, z = made(ResNet(channels=4, blocks=3), (9, 9))
    body = module[0]
    for block in body.blocks:
        nn.init.zeros_(block.body[-1].weight)
    first = body.first(z)
    assert torch.equal(body.blocks(first), first)


@pytest.mark.parametrize("encoding", ["fourier", "siren"])
def test_a_perceptron_sees_the_position_only(encoding: str) -> None:
    module, z = made(MLP(encoding=encoding, channels=8, layers=2, features=4), (8, 12))
    assert torch.equal(module(z), module(torch.zeros_like(z)))
    assert module(z)[0, 0].unique().numel() == 8 * 12


def test_fourier_features_have_the_chosen_frequencies() -> None:
    """Standard deviation `scale` in periods over the longer side (Tancik et al. 2020, section 4)."""
    module, _ = made(MLP(features=4096, channels=1, layers=1, scale=5), (4, 8))
    assert (module[0].frequencies / (2 * torch.pi)).std().item() == pytest.approx(5, rel=0.05)
    assert module[0].grid.aminmax() == (0, 1)


def test_activations_of_siren_have_the_same_spread_in_every_layer() -> None:
    """Sitzmann et al. 2020, section 3.2: the weighted sum of a layer's inputs is standard normal after the first layer."""
    module, _ = made(MLP(encoding="siren", channels=256, layers=5), (32, 32))
    x, spreads = module[0].grid, []
    for layer in module[0].hidden:
        spreads.append(30 * F.conv2d(x, layer.weight).std().item())
        x = torch.sin(30 * layer(x))
    assert all(0.8 < spread < 1.2 for spread in spreads[1:])


def reached(blocks: int, changed: tuple[int, int]) -> Tensor:
    """Which tokens (32, 32) of a Swin transformer change with one token."""
    module, z = made(Swin(channels=8, blocks=blocks, heads=2, patch=1), (32, 32))
    body = module[0]
    tokens = body.embed(z).permute(0, 2, 3, 1)
    other = tokens.clone()
    other[0, *changed, 0] += 1  # not all channels, which the normalisation would undo
    return (body.blocks(other) - body.blocks(tokens)).abs().sum(-1)[0] > 0


def test_shifted_windows_carry_information_across_the_borders_of_windows_only_inside_the_image() -> None:
    """Liu et al. 2021, figures 2 and 4: one window, then all windows that the shifted ones touch."""
    one, two = torch.zeros(2, 32, 32, dtype=torch.bool)
    one[8:16, 8:16] = two[4:20, 4:20] = True
    assert torch.equal(reached(1, (12, 12)), one)
    assert torch.equal(reached(2, (12, 12)), two)
    corner = torch.zeros(32, 32, dtype=torch.bool)
    corner[:12, :12] = True
    assert torch.equal(reached(2, (0, 0)), corner), "the opposite border is masked"


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (Swin, {"channels": 10}, "net.channels=10: must be an integer >= 1 that is a multiple of net.heads"),
        (UNet, {"channels": 16}, "net.channels=16: must be a list of 2 to 10 integers >= 1"),
        (UNet, {"channels": [16, 0]}, r"net.channels=\[16, 0\]"),
    ],
)
def test_illegal_options_are_named(kind: type[Net], options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        kind(**options)

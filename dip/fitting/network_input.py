"""The networks of a run and their fixed input: drawn, an image that guides the networks, or both."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dip import images
from dip.configuration.schema import Config
from dip.errors import ImageError, OptionError
from dip.fitting.pictures import Pictures
from dip.images import Picture
from dip.methods import Variant
from dip.options import log
from dip.seeds import Draws, generator
from dip.targets import Observation


def guided(config: Config, pictures: Pictures, image: Picture, seen: Observation) -> Observation:
    """`seen` with the image of the option `z.guide` as its `z`, (1, C_g, H, W) in [0, 1].

    `size` applies to it as to the reference. The input that the target gives is checked in the same way.

    Raises:
        ImageError: the input cannot be read, or does not fit the restored image.
    """
    option = "target.flash" if config.z.guide is None else "z.guide"
    if config.z.guide is not None:
        # A target that enlarges the image has a larger guide, cropped and resized in the same way.
        wanted = None if config.size is None else seen.size[0] if isinstance(config.size, int) else seen.size
        seen = dataclasses.replace(seen, z=images.prepare(pictures.load(option), wanted).pixels)
    if seen.z is None:
        return seen
    source = f"{option}={pictures.sources.get(option)}"
    channels, *sides = seen.z.shape[1:]
    if tuple(sides) != seen.size:
        got, want = (f"{width} x {height}" for height, width in (sides, seen.size))
        advice = "give two images of one scene and size, or resize both with size, for example size=512"
        if (times := seen.size[0] // image.pixels.shape[-2]) > 1:
            advice = (
                f"give a guide of the restored image's size, {times} times the image, for example resized to {want}"
            )
        raise ImageError(f"{source}: is {got} pixels (width x height), the restored image {want}; {advice}")
    if config.net.volumetric and channels % image.depth:
        raise ImageError(
            f"{source}: has {channels} channels, which are not a multiple of the {image.depth} slices of the volume; give "
            "a volume of the same shape, for example z=guide.npy"
        )
    if not seen.z.isfinite().all():
        raise ImageError(
            f"{source}: some values are NaN or infinite; give an image without missing pixels, or fill them in"
        )
    whole = config.net.padded(*seen.size)
    if (within := config.net.input_size(whole)) != whole:
        small = f"{within[1]} x {within[0]} pixels (width x height)"
        log.info("%s: averaged to %s, the input of net=%s", option, small, config.net.name)
    return seen


def with_all_channels(config: Config, seen: Observation) -> Config:
    """`config` whose `z.channels` counts all channels of the input, those of the guide too, and the skips of method=guided.

    Raises:
        OptionError: the method's input has the image's size, but the network's has not.
    """
    slices = config.net.z_slices()
    if config.method.input_is_image:
        if slices != config.net.slices:
            sizes = f"the image has {config.net.slices} slices and the input of net={config.net.name} {slices}"
            raise OptionError("method", config.method.name, f"dip here, since {sizes}", "method=dip")
        image = config.net.padded(*seen.size)
        if config.net.input_size(image) != image:
            legal = f"a network whose input has the image's size for method={config.method.name}"
            raise OptionError("net", config.net.name, legal, "net=hourglass")
        return dataclasses.replace(config, z=dataclasses.replace(config.z, channels=seen.shape[0] // slices))
    if seen.z is None:
        return config
    drawn = config.z.planes(slices) // slices if _draws(config, seen) else 0
    z = dataclasses.replace(
        config.z, guide=None, distribution="gaussian", channels=seen.z.shape[1] // config.net.slices + drawn
    )
    # Only through a skip connection at the finest level do the guide's details reach the image.
    skips = sorted({1, *config.skips}) if seen.denoised is not None else config.skips
    return dataclasses.replace(config, z=z, skips=skips)


def _draws(config: Config, seen: Observation) -> bool:
    return seen.z is None or (seen.denoised is None and config.z.channels > 0 and "z" not in config.target.ignores)


def network_input(
    config: Config, seen: Observation, size: tuple[int, int], seeds: Sequence[int], device: torch.device
) -> Tensor:
    """The inputs of the networks with `seeds`, (networks, C_g + C_z, H', W'): the guide, which they share, and a z of each.

    The guide is extended to `size`, the padded size of the image, and to the slices of z by reflection. H' and W' are
    `input_size` of it; where they are smaller, the guide is averaged. Channels of a volume are channels x slices.
    What an operator computes, it computes on `device`.
    """
    from dip.model import data  # imports Lightning

    if isinstance(config.method, Variant) and config.method.input_is_image:
        start, make = seen.backprojected(device), config.method.first_input
        return torch.cat([data.extend(make(start, seed), size) for seed in seeds])
    slices, within, parts = config.net.z_slices(), config.net.input_size(size), []
    if seen.z is not None:
        guide = data.extend(seen.z, size)
        deep = guide.view(-1, 1, config.net.slices, size[0] * size[1])  # (C_g, 1, D, H' W')
        guide = data.extend(deep, (slices, deep.shape[-1])).view(1, -1, *size)
        guide = guide if within == size else torch.nn.functional.adaptive_avg_pool2d(guide, within)
        parts.append(guide.expand(len(seeds), -1, -1, -1))
    if _draws(config, seen):
        parts.append(torch.cat([data.draw(config.z, within, seed, slices) for seed in seeds]))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def networks(
    config: Config, seen: Observation, size: tuple[int, int], seeds: Sequence[int], device: torch.device
) -> tuple[list[nn.Module], Tensor]:
    """The networks with `seeds` for an image of the padded `size`, and their inputs as of `network_input`, on the CPU."""
    skips, z = with_all_channels(config, seen).skips, network_input(config, seen, size, seeds, device)
    nets = []
    for seed in seeds:
        with Draws(generator(seed, "weights")):
            nets.append(config.net.fitting(seen.bounded).build(z.shape[1], seen.shape[0], skips, size))
    return nets, z

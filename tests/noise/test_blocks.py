"""A sample of a large image: where it lies, what it costs, and that the estimates are those of the whole image."""

import itertools
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dip.noise import flat_patches
from dip.noise.level import noise_levels
from dip.noise.lost_structure import share_if_white, share_of_photograph
from dip.stopping import Adaptive
from dip.targets.noise_models import Camera, Gaussian
from tests.targets.photos import draw, photo

CALLS = {
    "find": lambda y, other: Adaptive().find(y),
    "levels": lambda y, other: noise_levels(y),
    "white": lambda y, other: share_if_white(y, other, 0.05),
    "photograph": share_of_photograph,
}


@pytest.mark.parametrize("size", [(2000, 3000), (5000, 250), (20, 100_000), (100_000, 20)])
def test_they_are_evenly_spaced_from_border_to_border(size: tuple[int, int]) -> None:
    rows, columns = (torch.arange(side).float() for side in size)
    image = torch.stack([rows[:, None].expand(size), columns.expand(size)])[None]  # each pixel holds its place
    found = flat_patches.blocks(image)
    sides = [min(flat_patches.BLOCK, side) for side in size]
    assert list(found.shape[1:]) == [2, *sides]
    assert 0.4 * flat_patches.LIMIT < found[:, 0].numel() <= flat_patches.LIMIT or min(size) == 20
    corners = found[:, :, 0, 0].long()
    places = [sorted(set(axis.tolist())) for axis in corners.T]
    assert sorted(map(tuple, corners.tolist())) == list(itertools.product(*places))
    for place, side, length in zip(places, sides, size, strict=True):
        assert (place[0], place[-1]) in ((0, length - side), (0, 0))
        gaps = [after - before for before, after in itertools.pairwise(place)]
        assert not gaps or (max(gaps) - min(gaps) <= 1 and min(gaps) >= side)
    inside = found - found[..., :1, :1]
    assert torch.equal(inside, inside[:1].expand_as(inside)), "a block is a connected part"


def test_a_small_image_is_examined_whole() -> None:
    image = torch.rand(1, 3, 1024, 1024)
    assert flat_patches.blocks(image) is image


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made."""

    values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.values = max(self.values, tensor.numel())
        return out


@pytest.mark.parametrize("call", CALLS)
def test_the_memory_does_not_grow_with_the_image(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_patches, "LIMIT", 2**14)
    sizes = []
    for side in (256, 512):
        image = Gaussian(0.05).sample(photo("coffee", 128, 128).tile(1, 1, side // 128, side // 128), draw())
        other = image.flip(-1)
        with Largest() as largest:
            CALLS[call](image, other)
        sizes.append(largest.values)
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("kind", ["white", "correlated"])
def test_the_estimates_are_those_of_the_whole_image(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = photo("coffee", 384, 384)
    noisy = (Gaussian(0.05) if kind == "white" else Camera(iso=6400.0)).sample(clean, draw())
    whole, levels = Adaptive().find(noisy), noise_levels(noisy)
    monkeypatch.setattr(flat_patches, "LIMIT", 2**16)
    part, sampled = Adaptive().find(noisy), noise_levels(noisy)
    assert part["noise"] == whole["noise"] == kind
    assert part["name"] == whole["name"]
    assert part["sigma"] == pytest.approx(whole["sigma"], rel=0.05 if kind == "white" else 0.25)
    assert sampled[1] == pytest.approx(levels[1], rel=0.05 if kind == "white" else 0.25)

"""What a tile is fitted to: for each target, the tile's observation is a part of the whole one."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dip.errors import OptionError
from dip.fitting.inputs import observe
from dip.fitting.pictures import Pictures
from dip.targets import Target
from dip.targets.observation import direct
from dip.targets.operators import Downsample
from dip.tiles.cutting import Cutter, geometry, observed
from dip.tiles.layout import Box, boxes
from tests.conftest import composed
from tests.tiles.in_process import TINY

BOX = Box((0, 32), (24, 56))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A mask with a hole in the middle and a flash photo, 72 x 40."""
    mask = np.full((40, 72), 255, np.uint8)
    mask[10:20, 30:50] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 72, 3), np.uint8)).save(tmp_path / "flash.png")
    return tmp_path


@pytest.mark.parametrize(
    "target",
    [
        ("target=noisy", "target.kind=camera"),
        ("target=degraded", "reference=coffee"),
        ("target=clean",),
        ("target=shuffled",),
        ("target=inpaint", "target.missing=0.5", "target.noise.kind=gaussian"),
        ("target=inpaint", "target.draw=hole", "target.hole=0.5"),
        ("target=inpaint", "target.mask={}/mask.png"),
        ("target=flash",),
        ("target=flash", "target.flash={}/flash.png"),
        ("target=degraded", "z.guide={}/flash.png"),
        ("target=inpaint", "target.missing=0.5", "z.guide={}/flash.png", "z.channels=0"),
    ],
    ids=" ".join,
)
def test_a_tile_observes_a_part_of_what_the_whole_observes(pictures: Path, target):
    words = [word.format(pictures) for word in target]
    config = composed(*TINY, "image=coffee", "size=[40,72]", *words, "tile=32", "steps=10")
    _, whole = observe(config, Pictures(config))
    job = Cutter(config, config.stop, whole, {}, pictures / "tiles").job(BOX)
    _, part = observe(job.config, Pictures(job.config))
    assert part.size == (32, 32)
    for name in ("y", "reference", "known", "z"):
        there, here = getattr(whole, name), getattr(part, name)
        assert (there is None) == (here is None), name
        assert there is None or torch.equal(here, there[(..., *BOX.slices())]), name
    assert job.config == composed(*job.overrides), "the command means the same run"
    kept = ("steps", "net", "skips", "lr", "stop", "seed", "precision")
    assert [getattr(job.config, name) for name in kept] == [getattr(config, name) for name in kept]
    assert dataclasses.replace(job.config.z, guide=config.z.guide) == config.z


@pytest.mark.parametrize("simulate", [False, True])
def test_tiles_of_super_resolution_are_parts_of_the_small_image(tmp_path: Path, simulate: bool):
    side = 1 if simulate else 4
    size = f"size=[{160 // side},{288 // side}]"
    config = composed(*TINY, "target=superres", f"target.simulate={simulate}", size, "tile=32")
    _, whole = observe(config, Pictures(config))
    assert geometry(config.target, whole).factor == 4
    job = Cutter(config, config.stop, whole, {}, tmp_path / "tiles").job(BOX)
    _, part = observe(job.config, Pictures(job.config))
    assert torch.equal(part.y, whole.y[(..., *BOX.slices())])
    assert part.size == (128, 128)
    guide = np.random.default_rng(0).random((160, 288))
    seen = dataclasses.replace(whole, z=torch.from_numpy(guide)[None, None].float())
    guided = dataclasses.replace(config, z=dataclasses.replace(config.z, guide="guide.tif"))
    guided = Cutter(guided, config.stop, seen, {}, tmp_path / "guided").job(BOX).config
    assert torch.equal(observe(guided, Pictures(guided))[1].z, seen.z[..., :128, 96:224])
    if simulate:
        assert torch.equal(part.reference, whole.reference[..., :128, 96:224])
    # Inside the margin, the tile's operator is that of the whole image.
    image = torch.rand(1, 3, 160, 288, generator=torch.Generator().manual_seed(0))
    there, here = whole.operator(image)[(..., *BOX.slices())], part.operator(image[..., :128, 96:224])
    margin = geometry(config.target, whole).margin
    torch.testing.assert_close(here[..., :-margin, margin:-margin], there[..., :-margin, margin:-margin])
    assert not torch.allclose(here, there)


def test_the_margin_of_a_blur_is_half_its_kernel(tmp_path: Path):
    config = composed(*TINY, "target=deblur", "target.sigma=1.5", "target.simulate=true", "size=[40,72]", "tile=32")
    _, whole = observe(config, Pictures(config))
    job = Cutter(config, config.stop, whole, {}, tmp_path / "tiles").job(BOX)
    _, part = observe(job.config, Pictures(job.config))
    assert torch.equal(part.y, whole.y[(..., *BOX.slices())])
    margin = geometry(config.target, whole).margin
    assert margin == 6  # 4 sigma
    clean = whole.reference
    there, here = whole.operator(clean)[(..., *BOX.slices())], part.operator(part.reference)
    torch.testing.assert_close(here[..., :-margin, margin:-margin], there[..., :-margin, margin:-margin])


def test_tiles_of_a_jpeg_start_at_its_blocks(tmp_path: Path):
    config = composed(*TINY, "target=jpeg", "target.quality=10", "size=[80,144]", "tile=48")
    _, whole = observe(config, Pictures(config))
    grid = geometry(config.target, whole).grid
    found = boxes((80, 144), 48, 12, grid)
    assert {start % 16 for row in found for box in row for start in (box.rows[0], box.columns[0])} == {0}
    job = Cutter(config, config.stop, whole, {}, tmp_path / "tiles").job(found[1][1])
    _, part = observe(job.config, Pictures(job.config))
    assert found[1][1].rows == (32, 80)
    stored = whole.intervals.stored0[:, :, 4:10, found[1][1].columns[0] // 8 :][..., :6, :, :]
    assert torch.equal(part.intervals.stored0, stored)
    assert (part.y - whole.y[(..., *found[1][1].slices())]).abs()[..., 2:-2, 2:-2].max() < 4 / 255
    pixels = composed(*TINY, "target=jpeg", "target.quality=10", "target.intervals=false", "size=[80,144]", "tile=48")
    _, whole = observe(pixels, Pictures(pixels))
    job = Cutter(pixels, pixels.stop, whole, {}, tmp_path / "pixels").job(found[1][1])
    _, part = observe(job.config, Pictures(job.config))
    assert torch.equal(part.y, whole.y[(..., *found[1][1].slices())])


def test_sides_that_the_factor_does_not_divide_are_refused():
    config = composed(*TINY, "target=superres", "target.simulate=true", "size=[40,70]", "tile=32")
    _, seen = observe(config, Pictures(config))
    with pytest.raises(OptionError, match="target.factor=4: must be a divisor of both sides"):
        geometry(config.target, seen)


def test_a_target_with_an_operator_of_its_own_is_refused():
    @dataclasses.dataclass
    class Mine(Target):
        name: str = "mine"

    seen = direct(torch.zeros(1, 1, 8, 8), None)
    assert observed(Mine(), seen)[0].name == "degraded"
    with pytest.raises(OptionError, match="tile=N: must be 0 with target=mine"):
        observed(Mine(), dataclasses.replace(seen, operator=Downsample(2, (16, 16))))

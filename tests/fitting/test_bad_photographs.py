"""Unusual photographs with `experiment=photo`: each run ends by itself, not below its input; strong compression is told."""

import io
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dip import images
from dip.stopping import Adaptive
from dip.targets import Degraded
from dip.targets.noise_models import Camera
from tests.conftest import composed
from tests.targets.photos import draw, photo

SMALL = ("experiment=photo", "net.channels=8", "net.depth=3", "skips=[2,3]", "ensemble=1", "stop.patience=30")
OPTIONS = (
    *SMALL,
    "precision=fp32",
    "steps=1500",
    "lr=0.05",
    "perturbation_warm_up=50",
    "perturbation_half_life=50",
    "record_every=10",
)


def saved(tmp_path, image: Tensor, name: str = "photo.png", **how: int) -> str:
    """The path of `image` (1, C, H, W) as a file."""
    path = tmp_path / name
    if how:
        values = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        Image.fromarray(values).save(path, **how)
    else:
        images.save(path, image)
    return str(path)


def camera(image: Tensor) -> Tensor:
    return Camera().sample(image, draw()).clamp(0, 1)


def white_with_a_dot() -> Tensor:
    image = torch.ones(1, 3, 48, 48)
    image[..., 20:28, 20:28] = 0.5
    return image


def compressed(image: Tensor) -> Tensor:
    """`image` after a JPEG of quality 10."""
    file = io.BytesIO()
    Image.fromarray((image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()).save(file, "JPEG", quality=10)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize(
    ("clean", "damage", "patience"),
    [
        pytest.param(photo("astronaut", 20, 20), camera, 30, id="20 pixels a side"),
        pytest.param(photo("camera", 40, 32), camera, 200, id="gray"),
        pytest.param((3 * photo("coffee", 32, 32)).clamp(0, 1), camera, 30, id="saturated"),
        pytest.param(white_with_a_dot(), camera, 30, id="nearly white"),
        pytest.param(photo("chelsea", 32, 32), compressed, 20, id="JPEG of quality 10"),
    ],
)
def test_the_run_ends_by_itself_and_not_below_its_input(fit, tmp_path, clean, damage, patience):
    damaged = damage(clean)
    files = (f"image={saved(tmp_path, damaged)}", f"reference={saved(tmp_path, clean, 'clean.png')}")
    _, result = fit(*files, *OPTIONS, f"stop.patience={patience}", "baselines=false", tiny=False)
    assert result["status"] == "stopped"
    assert result["steps"] <= 1000
    assert result["psnr"] >= -10 * (damaged - clean).square().mean().log10().item() - 0.1


@pytest.mark.parametrize("quality", [10, 30])
def test_a_strongly_compressed_jpeg_is_told_once(fit, tmp_path, caplog, quality):
    file = saved(tmp_path, photo("rocket", 48, 48), "photo.jpg", quality=quality)
    with caplog.at_level(logging.WARNING, "dip"):
        fit(f"image={file}", *SMALL[:-1], "steps=2", "baselines=false", tiny=False)
    told = [message for message in caplog.messages if "target=jpeg" in message]
    assert len(told) == 1
    assert f"python train.py image={file} target=jpeg" in told[0]


@pytest.mark.parametrize("how", ["a good JPEG", "another target", "resized", "a sample"])
def test_others_are_not_told(fit, tmp_path, caplog, how):
    file = saved(tmp_path, photo("rocket", 48, 48), "photo.jpg", quality=90 if how == "a good JPEG" else 10)
    more = {"another target": "target=jpeg", "resized": "size=32"}.get(how, "seed=0")
    source = "chelsea" if how == "a sample" else file
    with caplog.at_level(logging.WARNING, "dip"):
        fit(f"image={source}", *SMALL[1:-1], "target=degraded", "steps=2", "baselines=false", more, tiny=False)
    assert not [message for message in caplog.messages if "target=jpeg removes" in message]


def test_a_tiny_image_is_told_to_a_denoiser_too(fit, tmp_path, caplog):
    file = saved(tmp_path, camera(photo("rocket", 20, 15)))
    with caplog.at_level(logging.WARNING, "dip"):
        fit(f"image={file}", "method=nlm", "target=degraded", "baselines=false", tiny=False)
    told = [message for message in caplog.messages if "hardly enough" in message]
    assert len(told) == 1
    assert told[0].startswith("image: 20 x 15 pixels (height x width) ")
    assert "size=" not in told[0]


def test_a_size_that_makes_an_image_tiny_is_named(fit, caplog):
    with caplog.at_level(logging.WARNING, "dip"):
        fit("image=rocket", "size=8", *SMALL, "steps=2", "baselines=false", tiny=False)
    (told,) = (message for message in caplog.messages if "hardly enough" in message)
    assert told.startswith("size: 8 x 8 pixels (height x width) ")
    assert told.endswith("give at least 16 pixels a side, for example size=256")


@pytest.mark.parametrize(("width", "warned"), [(15, True), (16, False)])
def test_a_tiny_image_is_told_and_no_rule_that_nobody_chose(fit, tmp_path, caplog, width, warned):
    file = saved(tmp_path, camera(photo("rocket", 20, width)))
    with caplog.at_level(logging.INFO, "dip"):
        fit(f"image={file}", *SMALL, "steps=2", "baselines=false", tiny=False)
    told = [message for message in caplog.messages if "pixels (height x width) are hardly enough" in message]
    assert len(told) == warned
    assert any(message.startswith("stop=adaptive: ") for message in caplog.messages)
    assert not any("cannot end a run" in message for message in caplog.messages)


def test_photo_is_fast_for_a_noisy_photograph():
    found, fast = composed("experiment=photo"), composed("experiment=fast", "target=degraded", "tile=auto")
    assert found == fast
    assert isinstance(found.target, Degraded)
    assert found.stop == Adaptive(patience=300, white="heldout")

"""Runs of target=jpeg from files, bytes and simulated compression."""

import io
import logging

import numpy as np
import pytest
import torch
from PIL import Image

import dip
from dip import images
from dip.targets.jpeg_file import read
from dip.targets.jpeg_intervals import Intervals
from tests.conftest import composed

TINY = {"steps": 12, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    photo = images.prepare(images.load("chelsea"), (40, 56)).pixels
    path = tmp_path_factory.mktemp("jpeg") / "photo.jpg"
    Image.fromarray((photo[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(path, quality=10)
    return path


def agrees(image: np.ndarray, path) -> bool:
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    # The result is clipped to [0, 1] after the projection.
    return 255 * float((Intervals(read(path.read_bytes())).project(pixels) - pixels).square().mean().sqrt()) < 0.05


def test_path_bytes_and_pillow_image_give_one_result_that_agrees_with_the_file(file):
    with Image.open(file) as opened:
        sources = [str(file), file.read_bytes(), opened]
        results = [dip.restore(source, target="jpeg", **TINY) for source in sources]
    assert all(agrees(result.image, file) for result in results)
    assert all(np.array_equal(result.image, results[0].image) for result in results)
    pixels = dip.restore(str(file), target={"name": "jpeg", "intervals": False}, **TINY)
    assert not agrees(pixels.image, file)


def test_a_simulated_jpeg_is_that_of_a_file(file):
    result = dip.restore("chelsea", size=[40, 56], target={"name": "jpeg", "quality": 10}, **TINY)
    photo = images.prepare(images.load("chelsea"), (40, 56)).pixels
    buffer = io.BytesIO()
    Image.fromarray((photo[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(buffer, "JPEG", quality=10)
    assert np.array_equal(result.observed, images.to_array(images.load(buffer.getvalue()).pixels))
    assert result.metrics["psnr"] is not None


def test_an_array_is_refused_and_a_resized_file_is_fitted_by_its_pixels(file, caplog):
    with pytest.raises(dip.errors.ImageError, match="^image: target=jpeg needs the JPEG file"):
        dip.restore(np.zeros((16, 16, 3)), target="jpeg", **TINY)
    with caplog.at_level(logging.WARNING, "dip"):
        dip.restore(str(file), size=32, target="jpeg", **TINY)
    assert [message for message in caplog.messages if "size=null" in message]


def test_the_default_rule_is_that_for_exact_data():
    assert composed("target=jpeg").stop.name == "consistent"
    assert composed("experiment=fast", "target=jpeg").stop.name == "consistent"
    assert composed("target=jpeg", "target.intervals=false").stop.name == "never"
    assert composed("target=jpeg", "stop=wmv").stop.name == "wmv"
    assert composed("experiment=jpeg").stop.name == "consistent"


def test_the_fit_ends_by_itself(fit, file):
    folder, result = fit(
        f"image={file}", "target=jpeg", "steps=3000", "net.channels=16", "net.depth=3", "skips=[1,2]", "z.channels=8",
        "optimizer=muon", "lr=0.02", "device=cpu", "logger=csv", "record_every=10", "perturbation=0.005", tiny=False,
    )  # fmt: skip
    assert result["status"] == "stopped"
    restored = images.load(folder / "images" / "restored.png").pixels
    assert restored.shape == (1, 3, 40, 56)

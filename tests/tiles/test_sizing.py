"""Which tiles an image gets: `tile=auto`, tiles that are too small, and where tiles have no effect."""

from pathlib import Path

import numpy as np
import pytest

import dip
from dip import tiles
from dip.errors import OptionError, RunError
from dip.fitting import experiment
from dip.tiles import sizing
from tests.conftest import composed
from tests.tiles.in_process import IMAGE, TINY, TWO, InProcess, fit, names


def test_auto_without_a_folder_is_as_exact_as_the_whole_image():
    photo = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    tiny = {"net": {"channels": 8, "depth": 2}, "skips": [1], "steps": 4, "stop": "never", "progress": False}
    whole, auto = (dip.restore(photo, tile=tile, ensemble=2, precision="fp32", **tiny) for tile in (0, "auto"))
    np.testing.assert_array_equal(auto.image, whole.image)
    np.testing.assert_array_equal(auto.spread, whole.spread)
    assert auto.metrics.keys() == whole.metrics.keys()
    assert auto.history.keys() == whole.history.keys()


def test_an_image_of_one_tile_is_an_ordinary_run(tmp_path: Path):
    result = fit(tmp_path, "image=coffee", "size=[32,32]", "tile=32", "steps=4", launcher=None)
    assert "tiles" not in result
    assert result["restored_step"] == 4


def test_auto_takes_tiles_only_where_the_memory_is_too_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sizing, "SIDES", (128, 32))
    given = ("image=coffee", "size=[32,56]", "tile=auto", "steps=4", "stop=never")
    monkeypatch.setattr(sizing, "fits", lambda config, shape: True)
    assert "tiles" not in fit(tmp_path / "whole", *given)
    monkeypatch.setattr(sizing, "fits", lambda config, shape: shape[-1] <= 32)
    with pytest.raises(RunError):
        fit(tmp_path / "tiles", *given, launcher=InProcess(TWO[:1]))
    monkeypatch.setattr(sizing, "fits", lambda config, shape: True)  # memory has become free
    result = fit(tmp_path / "tiles", *given)
    folder = Path(result["folder"])
    assert names(result) == TWO
    assert "tile" not in folder.name
    monkeypatch.setattr(sizing, "fits", lambda config, shape: False)
    with pytest.raises(OptionError, match="net.channels=8: must be .*too small even for tiles of 32 x 32 pixels"):
        fit(tmp_path / "none", *given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("target=deblur", "target.sigma=1.5", "overlap=8"), "overlap=8: must be an integer from 16 on"),
        (("target=deblur", "target.sigma=5"), "tile=32: must be an integer above 88, since the target's kernel"),
        (
            ("target=jpeg", "target.quality=10", "tile=24"),
            "tile=24: must be an integer >= 64, since tiles start at multiples of 16",
        ),
    ],
)
def test_tiles_that_are_too_small_for_the_target(tmp_path: Path, words, message):
    with pytest.raises(OptionError) as caught:
        fit(tmp_path, *IMAGE, *words)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir()), "nothing is half made"


def test_overlap_without_tiles_has_no_effect(caplog: pytest.LogCaptureFixture):
    assert composed("overlap=8").overlap is None
    assert "overlap: has no effect with tile=0" in caplog.text
    assert composed("tile=none").tile == composed("tile=null").tile == 0
    assert experiment.place(composed("tile=none"))[1] == experiment.place(composed())[1]


def test_auto_takes_tiles_of_a_large_noisy_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog):
    monkeypatch.setattr(sizing, "SIDES", (128, 32))
    monkeypatch.setattr(sizing, "LARGE", 32 * 40)
    given = ("image=coffee", "tile=auto", "steps=2", "stop=never")
    assert "tiles" not in fit(tmp_path, *given, "size=[32,40]")
    assert names(fit(tmp_path, *given, "size=[32,56]")) == ["y0000-x0000", "y0000-x0024"]
    assert "32 x 56 pixels in tiles of at most 32, since more details are restored in tiles" in caplog.text


@pytest.mark.parametrize("words", [("target=superres", "target.factor=2"), ("method=nlm",)])
def test_auto_fits_large_images_at_once_where_no_gain_is_measured(monkeypatch: pytest.MonkeyPatch, words):
    monkeypatch.setattr(sizing, "LARGE", 64)
    assert sizing.choose(composed(*TINY, *words, "tile=auto"), (3, 32, 32)) == 0


def test_auto_is_the_whole_image_for_measurements():
    assert composed("tile=auto", "target=mri").tile == 0


@pytest.mark.parametrize(("words", "called"), [("tile=auto", True), ("tile=32", False)])
def test_a_function_of_this_process_is_called_or_its_lack_is_told(
    words: str, called: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sizing, "SIDES", (32,))
    monkeypatch.setattr(sizing, "LARGE", 64)
    seen: list[int] = []
    config = composed(*TINY, *IMAGE, words, "keep_checkpoint=true", f"out={tmp_path}")
    prepare = tiles.prepare(config, InProcess())
    result = experiment.run(config, (), False, on_record=lambda step, *rest: seen.append(step), prepare=prepare)
    assert (bool(seen), "tiles" in result) == (called, not called)
    told = "32 x 56 pixels at once, without tiles, whose processes cannot use on_record=" if called else (
        "on_record, keep_checkpoint: no effect in tiles; tile=0 fits the whole image at once"
    )  # fmt: skip
    assert told in caplog.text

"""Runs in tiles: the blended image, failures, interruptions, launchers, errors."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dip
import dip.tiles.tiled_fit
from dip import images, metrics, runs, tiles
from dip.errors import DipError, OptionError, RunError
from dip.fitting import experiment
from dip.fitting.inputs import observe
from dip.fitting.pictures import Pictures
from dip.model.module import DeepImagePrior
from dip.tiles import sizing
from tests.conftest import composed
from tests.disturbed import Child
from tests.tiles.in_process import TINY, InProcess, fit, names

IMAGE = ("image=coffee", "size=[32,56]", "tile=32", "steps=8", "stop=never")
TWO = ["y0000-x0000", "y0000-x0024"]


class Killed(BaseException):
    """Ends this process's run, as far as a test can."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of a run."""
    return fit(tmp_path_factory.mktemp("done"), *IMAGE)


def restored(folder: str | Path) -> torch.Tensor:
    return images.load(Path(folder) / "images" / "restored.png").pixels


def test_the_result_is_the_weighted_sum_of_the_tiles_own_results(done: dict[str, Any]):
    result, folder = done, Path(done["folder"])
    assert result["status"] == "finished"
    assert list(result["tiles"]) == names(result) == TWO
    found = [
        images.load(next((folder / "tiles" / name).glob("*/images/restored.tif"))).pixels for name in TWO
    ]  # (1, 3, 32, 32) each
    x = (torch.arange(8) + 0.5) / 8
    fall = torch.cos(torch.pi * x / 2) ** 2
    seam = fall * found[0][..., 24:] + (1 - fall) * found[1][..., :8]
    expected = torch.cat([found[0][..., :24], seam, found[1][..., 8:]], -1)
    assert (restored(folder) - expected).abs().max() <= 0.5001 / 255
    config = composed(*TINY, *IMAGE)
    _, seen = observe(config, Pictures(config))
    assert result["psnr"] == pytest.approx(metrics.psnr(expected, seen.reference).item(), abs=1e-4)
    parts = [runs.read_result(path) for path in sorted((folder / "tiles").glob("*/*"))]
    assert result["seconds"] == pytest.approx(sum(part["seconds"] for part in parts))
    assert {part["config"]["tile"] for part in parts} == {0}
    assert not list((folder / "tiles").glob("*/*.tif")), "parts of the image are not kept"
    assert [row["folder"] for row in runs.read(folder.parent)] == [str(folder)], "tiles are no runs of the report"


def test_the_variances_of_the_networks_are_blended(tmp_path: Path, done: dict[str, Any]):
    class Known(InProcess):
        """Fits whose networks differ by a constant."""

        def start(self, job):
            ended = super().start(job)
            value = {TWO[0]: 3.0, TWO[1]: 4.0}[job.folder.parent.name]
            np.save(job.folder / "images" / "spread.npy", np.full((32, 32, 3), value, np.float32))
            return ended

    result = fit(tmp_path, *IMAGE, "ensemble=2", launcher=Known())
    folder = Path(result["folder"], "images")
    fall = np.cos(np.pi * (np.arange(8) + 0.5) / 16) ** 2
    expected = np.concatenate([np.full(24, 3.0), np.sqrt(9 * fall + 16 * (1 - fall)), np.full(24, 4.0)])
    np.testing.assert_allclose(
        np.load(folder / "spread.npy"), np.broadcast_to(expected[:, None], (32, 56, 3)), rtol=1e-6
    )
    np.testing.assert_allclose(np.asarray(Image.open(folder / "spread.png"))[5], 255 * expected / 4, atol=0.51)
    assert "spearman" in result["spread"]
    assert "spread" not in done
    assert not list(Path(done["folder"]).glob("**/spread.*")), "a single network has none"


def test_a_finished_image_is_not_fitted_again_and_overwrite_starts_anew(tmp_path: Path):
    result, again = fit(tmp_path, *IMAGE), InProcess()
    assert fit(tmp_path, *IMAGE, launcher=again) == result
    assert again.started == []
    fit(tmp_path, *IMAGE, "overwrite=true", launcher=again)
    assert again.started == TWO


@pytest.mark.fault(1)
def test_killed_in_a_tile_and_before_the_blend_it_ends_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, done: dict[str, Any]
):
    whole = done

    def killed(owner: object, method: str, at: int) -> None:
        real, calls = getattr(owner, method), []

        def strike(*given: object, **named: object) -> object:
            calls.append(1)
            if len(calls) == at:
                raise Killed
            return real(*given, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, method, strike)
            with pytest.raises(Killed):
                fit(tmp_path / "parts", *IMAGE, "checkpoint_every=0")

    killed(DeepImagePrior, "training_step", 13)  # the fifth step of the second tile
    folder = Path(next((tmp_path / "parts").iterdir()))
    assert not runs.finished(folder)
    assert not (folder / "images" / "restored.png").exists()
    killed(dip.tiles.tiled_fit, "blend", 1)
    launcher = InProcess()
    resumed = fit(tmp_path / "parts", *IMAGE, "checkpoint_every=0", launcher=launcher)
    assert launcher.started == []
    files = [Path(result["folder"], "images", "restored.png") for result in (whole, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    kept = ("psnr", "ssim", "steps", "tiles")
    assert [{k: v for k, v in tile.items() if k != "seconds"} for tile in whole["tiles"].values()] == [
        {k: v for k, v in tile.items() if k != "seconds"} for tile in resumed["tiles"].values()
    ]
    assert [whole[name] for name in kept[:3]] == [resumed[name] for name in kept[:3]]


@pytest.mark.fault(1)
def test_a_tile_that_fails_is_named_and_the_others_are_kept(tmp_path: Path):
    with pytest.raises(
        RunError, match=r"1 of 2 tiles failed \(y0000-x0000; the first: killed by SIGKILL .*log: .*missing"
    ):
        fit(tmp_path, *IMAGE, launcher=InProcess(TWO[:1]))
    folder = next(tmp_path.iterdir())
    result = runs.read_result(folder)
    assert result["status"] == "failed"
    assert [tile["status"] for tile in result["tiles"].values()] == ["failed", "finished"]
    assert not (folder / "images" / "restored.png").exists(), "a part is not presented as the result"
    launcher = InProcess()
    assert fit(tmp_path, *IMAGE, launcher=launcher)["status"] == "finished"
    assert launcher.started == TWO[:1]


def test_a_signal_ends_the_loop_and_the_result_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    class Struck(InProcess):
        def start(self, job):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().start(job)

    result = fit(tmp_path, *IMAGE, launcher=Struck())
    assert (result["status"], result["signal"]) == ("interrupted", signal.SIGTERM)
    ended = len(names(result))
    assert f": interrupted after {ended} of 2 tiles; repeat the command to resume" in caplog.text
    assert fit(tmp_path, *IMAGE)["status"] == "finished"


@pytest.mark.fault(1)
def test_a_tile_that_is_terminated_continues_exactly_from_its_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, done: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    real, calls = DeepImagePrior.training_step, []

    def struck(module: DeepImagePrior, *given: Any) -> Any:
        calls.append(1)
        if len(calls) == 13:  # the fifth step of the second tile
            os.kill(os.getpid(), signal.SIGTERM)
        return real(module, *given)

    monkeypatch.setattr(DeepImagePrior, "training_step", struck)
    with pytest.raises(RunError, match=r"1 of 2 tiles failed \(y0000-x0024"):
        fit(tmp_path, *IMAGE)
    with caplog.at_level("INFO", "dip"):
        resumed = fit(tmp_path, *IMAGE)
    assert len(calls) == 16
    assert "continuing from step-000000005" in caplog.text
    assert resumed["psnr"] == done["psnr"]
    files = [Path(result["folder"], "images", "restored.png").read_bytes() for result in (done, resumed)]
    assert files[0] == files[1]


def test_tiles_without_missing_pixels_are_copied_and_a_tile_without_known_ones_is_refused(tmp_path: Path):
    mask = np.full((32, 56), 255, np.uint8)
    mask[8:16, 34:44] = 0  # in the second tile only
    Image.fromarray(mask).save(tmp_path / "mask.png")
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 56, 3), np.uint8)).save(photo)
    given = (
        f"image={photo}",
        "size=null",
        *IMAGE[2:],
        "ensemble=2",
        "target=inpaint",
        f"target.mask={tmp_path / 'mask.png'}",
    )
    launcher = InProcess()
    result = fit(tmp_path / "out", *given, launcher=launcher)
    assert launcher.started == TWO[1:] == names(result)
    assert names(result, ["copied"]) == TWO[:1]
    known = torch.from_numpy(mask > 0)
    assert torch.equal(restored(result["folder"])[..., known], images.load(photo).pixels[..., known])
    spread = np.load(Path(result["folder"], "images", "spread.npy"))
    assert not spread[:, :24].any(), "no network has made these pixels"
    assert (spread[:, 32:] > 0).all()
    mask[:, 24:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    with pytest.raises(
        OptionError, match="tile=32: must be larger than a hole, and all of the tile y0000-x0024 is miss"
    ):
        fit(tmp_path / "out", *given)


def test_an_image_without_noise_is_returned_unchanged(tmp_path: Path):
    photo = tmp_path / "photo.png"
    ramp = np.linspace(20, 220, 56).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp[:, None], (32, 56, 3))).save(photo)
    launcher = InProcess()
    result = fit(tmp_path / "out", f"image={photo}", "tile=32", "target=degraded", "steps=8", launcher=launcher)
    assert launcher.started == []
    assert names(result, ["copied"]) == TWO
    assert result["rule"]["name"] == "unchanged"
    assert torch.equal(restored(result["folder"]), images.load(photo).pixels)


def test_all_tiles_have_the_rule_that_suits_the_whole_image(tmp_path: Path):
    result = fit(tmp_path, "image=coffee", "size=[64,112]", "tile=64", "steps=8", "stop=adaptive", "target.kind=camera")
    used = [runs.read_result(path)["config"]["stop"] for path in Path(result["folder"], "tiles").glob("*/*")]
    rule = result["rule"]
    assert [(stop["noise"], stop["sigma"]) for stop in used] == [(rule["noise"], rule["sigma"])] * 2


@pytest.mark.parametrize(
    ("target", "size"),
    [(("target=superres", "target.factor=2"), (64, 112)), (("target=deblur", "target.sigma=0.5"), (32, 56)),
     (("target=jpeg", "target.quality=10"), (32, 56)), (("target=flash",), (32, 56))],
)  # fmt: skip
def test_every_kind_of_target(tmp_path: Path, target, size):
    result = fit(tmp_path, *IMAGE, *target)
    assert result["status"] == "finished"
    assert restored(result["folder"]).shape == (1, 3, *size)


def test_processes_of_their_own_two_at_a_time(tmp_path: Path, done: dict[str, Any]):
    """Against the same tiles, run one after the other in this process."""
    words = ("hydra/launcher=gpus", "hydra.launcher.jobs=2", f"out={tmp_path / 'outputs'}")
    child = Child([*TINY, *IMAGE, *words], tmp_path / "console.log")
    assert child.ended(600) == 0, child.output
    assert "[2/2] finished: tile" in child.output
    (folder,) = (tmp_path / "outputs").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert torch.equal(restored(folder), restored(done["folder"]))
    assert result["psnr"] == done["psnr"]
    assert list(folder.glob("**/figures/*.png")) == [folder / "figures" / "tiles.png"], (
        "tiles have no figures of their own"
    )


def test_a_sweep_has_its_device_already(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A job of a sweep that runs tiles would wait for the device that its sweep has claimed for it."""
    from dip.sweep import claims
    from tests.sweep.stubs import jobs, local, sweep

    claim = claims.take("cpu", 1)
    monkeypatch.setenv("DIP_IN_SWEEP", "1")
    outcomes, _ = sweep(jobs(tmp_path, 2), local())
    assert [outcome.status for outcome in outcomes] == ["finished"] * 2
    claims.release(claim)


def test_from_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(tiles, "chosen", lambda out: InProcess())
    photo = np.random.default_rng(0).integers(0, 256, (32, 56), np.uint8)
    tiny = {"net": {"channels": 8, "depth": 2}, "skips": [1], "steps": 4, "stop": "never", "progress": False}
    tiny |= {"ensemble": 2}
    found = dip.restore(photo, tile=32, precision="fp32", **tiny)
    assert found.image.shape == found.spread.shape == (32, 56)
    assert names(found.metrics) == TWO
    assert found.folder is None
    assert found.history == {}
    assert found.metrics["config"]["out"] == "outputs"
    ended = [line for line in caplog.messages if line.startswith("restored image: ") and "/tiles/" not in line]
    assert not ended, "the temporary folder does not exist any more"
    kept = dip.restore(photo, tile=32, precision="fp32", out=tmp_path, **tiny)
    np.testing.assert_array_equal(kept.spread, found.spread)
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=20)
    dip.restore(file.getvalue(), tile=32, precision="fp32", **tiny)
    assert "a JPEG of quality 20, whose artefacts are not noise; target=jpeg removes them" in caplog.text


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
    folder = None
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
        (("tile=3",), "tile=3: must be 0, auto or an integer >= 8, the smallest image that net=hourglass accepts"),
        (("tile=31", "net.depth=5"), "tile=31: must be 0, auto or an integer >= 64,"),
        (("tile=big",), "tile=big: must be 0, auto or an integer"),
        (("tile=true",), "tile=True: must be 0, auto or an integer"),
        (("tile=32", "overlap=16"), "overlap=16: must be null or an integer from 0 to below half of tile, 15"),
        (("tile=32", "overlap=-1"), "overlap=-1: must be null or an integer"),
    ],
)
def test_illegal_tiles(words, message):
    with pytest.raises(OptionError) as caught:
        composed("net.depth=2", *words)
    assert str(caught.value).startswith(message)


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


def test_objects_that_processes_cannot_be_told_are_refused():
    from dip.nets import Hourglass

    class Mine(Hourglass):
        pass

    with pytest.raises(DipError, match="net: Mine is not registered, and tiles run in other processes; set tile=0"):
        dip.restore(np.zeros((32, 56), np.uint8), net=Mine(depth=2), skips=[1], tile=32, progress=False)


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


@pytest.mark.fault(1)
def test_tiles_that_an_earlier_version_placed_elsewhere_are_fitted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    words, again = (*IMAGE, "size=[32,50]"), InProcess()
    with monkeypatch.context() as earlier:
        full = dip.tiles.tiled_fit.boxes
        earlier.setattr(
            dip.tiles.tiled_fit, "boxes", lambda size, side, overlap, grid, _: full(size, side, overlap, grid, side)
        )
        with pytest.raises(RunError):
            fit(tmp_path, *words, launcher=InProcess(["y0000-x0018"]))
    (file,) = tmp_path.glob("*/tiles/side.json")
    file.write_text('{"side": 32}')
    result = fit(tmp_path, *words, launcher=again)
    assert names(result) == again.started == ["y0000-x0000", "y0000-x0021"]
    assert "tiles of an earlier version" in caplog.text

"""Runs in tiles: the blended image, failures, interruptions, launchers, errors."""

import io
import json
import os
import signal
from functools import partial
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
from dip.fitting.inputs import observe
from dip.fitting.pictures import Pictures
from dip.model.module import DeepImagePrior
from dip.report.collect import collect
from dip.sweep import processes
from tests.conftest import Main, composed
from tests.disturbed import killed, numbers, only
from tests.sweep.forked import ForkedJob
from tests.tiles.in_process import IMAGE, TINY, TWO, InProcess, fit, names


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
    assert [run.path for run in collect(folder.parent)] == [folder], "tiles are no runs of the report"


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
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, done: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "dip")
    parts = partial(fit, tmp_path / "parts", *IMAGE, "checkpoint_every=0")
    killed(monkeypatch, parts, DeepImagePrior, "training_step", 13)  # the fifth step of the second tile
    folder = only(tmp_path / "parts")
    assert not runs.finished(folder)
    assert not (folder / "images" / "restored.png").exists()
    killed(monkeypatch, parts, dip.tiles.tiled_fit, "blend", 1)
    assert "continuing from step-000000004" in caplog.text
    launcher = InProcess()
    parts(launcher=launcher)
    assert launcher.started == []
    whole = Path(done["folder"])
    assert (folder / "images" / "restored.png").read_bytes() == (whole / "images" / "restored.png").read_bytes()
    one, other = (
        {name: value for name, value in numbers(place).items() if not name.endswith("seconds") and "every" not in name}
        for place in (whole, folder)
    )
    assert one == other


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


def test_without_a_folder_an_error_does_not_promise_that_tiles_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiles, "chosen", lambda out: InProcess(TWO[:1]))
    tiny = {"net": {"channels": 8, "depth": 2}, "skips": [1], "steps": 4, "stop": "never", "progress": False}
    with pytest.raises(RunError, match=r"1 of 2 tiles failed .*; no tile is kept; with out=FOLDER") as caught:
        dip.restore("coffee", "noisy", size=[32, 56], tile=32, **tiny)
    assert "log:" not in str(caught.value)


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


@pytest.mark.fault(1)
def test_a_tile_in_a_process_of_its_own_ends_the_same(
    tmp_path: Path, done: dict[str, Any], main: Main, monkeypatch: pytest.MonkeyPatch
):
    """Of two tiles, one was fitted in this process. `tests/sweep` runs several processes at a time."""
    monkeypatch.setattr(processes, "Process", ForkedJob)
    out = tmp_path / "outputs"
    with pytest.raises(RunError):
        fit(out, *IMAGE, launcher=InProcess(TWO[1:]))
    words = ("hydra/launcher=gpus", "hydra.launcher.jobs=2", f"out={out}")
    status, _, said = main(*TINY, *IMAGE, *words)
    assert status == 0, said
    assert "finished: tile y0000-x0024" in said
    assert "started: tile y0000-x0000" not in said
    (folder,) = out.iterdir()
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
    dip.restore(file.getvalue(), tile=32, precision="fp32", **tiny | {"ensemble": 1, "steps": 1})
    assert "a JPEG of quality 20, whose artefacts are not noise; target=jpeg removes them" in caplog.text


def test_objects_that_processes_cannot_be_told_are_refused():
    from dip.nets import Hourglass

    class Mine(Hourglass):
        pass

    with pytest.raises(DipError, match="net: Mine is not registered, and tiles run in other processes; set tile=0"):
        dip.restore(np.zeros((32, 56), np.uint8), net=Mine(depth=2), skips=[1], tile=32, progress=False)


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

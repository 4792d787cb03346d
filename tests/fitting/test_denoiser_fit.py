"""Methods without Deep Image Prior, in the same harness: run folders, refusals, interrupts, tiles."""

import json
import logging
import signal
from pathlib import Path

import numpy
import pytest
import torch

import dip
from dip import runs, tiles
from dip.errors import ImageError, OptionError, RunError
from dip.fitting import cost, experiment
from dip.methods import METHODS, Denoiser, Learned
from dip.methods.training import Training
from dip.report.figures.run import draw
from dip.report.page import write
from dip.targets import baselines
from dip.targets.noise_models import Gaussian
from dip.targets.observation import direct
from dip.tiles import sizing, tiled_fit
from dip.tiles.tile_bar import TileProgress
from tests.conftest import composed
from tests.disturbed import rows_of
from tests.tiles.in_process import InProcess

DENOISERS = sorted(name for name, kind in METHODS.items() if issubclass(kind, Denoiser))
LEARNED = [name for name in DENOISERS if issubclass(METHODS[name], Learned)]
SMALL = ("size=32", "logger=csv", "baselines=false")


def few(name: str, steps: int = 12) -> tuple[str, ...]:
    return (f"method={name}", *((f"method.steps={steps}",) if name in LEARNED else ()))


@pytest.mark.parametrize("name", DENOISERS)
def test_a_denoiser_leaves_an_ordinary_run_folder(fit, name):
    words = (*few(name), *SMALL, "record_every=5" if name in LEARNED else "seed=1")
    folder, result = fit(*words, tiny=False)
    assert folder.name.startswith(f"{name}-noisy-size32-seed")
    width, layers = {"zs_n2n": (48, 2), "pixel2pixel": (64, 5), "noise2self": (64, 5)}.get(name, (0, 0))
    # Convolutions of 3 x 3 from 3 channels to the width, then from width to width, and one of 1 x 1 to 3 channels.
    expected = 28 * width + (layers - 1) * (9 * width * width + width) + 3 * width + 3 if width else None
    assert result["parameters"] == expected
    steps = 12 if name in LEARNED else 1
    assert result["status"] == "finished"
    assert result["steps"] == result["restored_step"] == steps
    rows = rows_of(folder)
    assert [int(row["step"]) for row in rows] == ([1, 2, 5, 10, 12] if name in LEARNED else [1])
    assert float(rows[-1]["psnr_ema"]) == pytest.approx(result["psnr"], abs=1e-3)
    assert result["oracle_psnr"] >= result["psnr"] - 1e-3
    assert len(numpy.load(folder / "losses.npy")) == steps
    assert {"target.png", "reference.png", "restored.png"} <= {path.name for path in (folder / "images").iterdir()}
    draw(folder)
    assert not runs.lacks_figures(folder)
    before = (folder / "result.json").stat().st_mtime_ns
    again, _ = fit(*words, tiny=False)
    assert again == folder
    assert (folder / "result.json").stat().st_mtime_ns == before


def test_the_report_shows_denoisers_beside_deep_image_prior(fit):
    folders = [fit(*few(name), *SMALL, tiny=False)[0] for name in ("zs_n2n", "tv")]
    folders.append(fit("steps=3")[0])
    text = write(folders[0].parent).read_text()
    assert all(folder.name in text for folder in folders)


@pytest.mark.parametrize("name", sorted(set(DENOISERS) - set(LEARNED)))
def test_a_classical_denoiser_is_the_baseline(name):
    found = dip.restore("camera", "noisy", method=name, size=32, progress=False)
    seen = direct(torch.from_numpy(found.observed)[None, None], None)
    expected = baselines.compute("denoising", seen, Gaussian(0.1))[name]
    assert numpy.allclose(found.image, expected[0, 0].numpy(), atol=1e-6)


def test_any_noise_of_a_photograph_and_any_type_of_array():
    """The level is estimated, and the result has the type and units of the input."""
    photo = numpy.random.default_rng(0).integers(0, 4096, (24, 20), dtype=numpy.uint16)
    for name in DENOISERS:
        method = {"name": name, **({"steps": 3} if name in LEARNED else {})}
        found = dip.restore(photo, method=method, range=(0, 4095), progress=False)
        assert found.values.dtype == numpy.uint16
        assert found.values.shape == photo.shape
        assert found.metrics["psnr"] is None


@pytest.mark.parametrize("target", ["inpaint", "superres", "shuffled", "clean", "deblur"])
def test_a_target_that_a_denoiser_cannot_restore_is_refused(target):
    with pytest.raises(OptionError, match=f"target={target}: must be degraded or noisy with method=zs_n2n"):
        composed("method=zs_n2n", f"target={target}")


@pytest.mark.parametrize("target", ["target=noisy", "target=degraded"])
def test_impulses_are_refused_where_the_noise_must_be_gaussian(fit, target):
    with pytest.raises(OptionError, match="method=bm3d: must be zs_n2n or pixel2pixel or noise2self where"):
        composed("method=bm3d", target, "target.noise.kind=salt_and_pepper")
    assert (
        fit(*few("zs_n2n"), target, "target.noise.kind=salt_and_pepper", *SMALL, tiny=False)[1]["status"] == "finished"
    )


def test_a_given_level_of_noise_replaces_the_estimated_one():
    """For a photograph whose noise is known."""
    photo = numpy.clip(dip.restore("camera", "noisy", method="tv", size=32, progress=False).observed, 0, 1)
    given = {"name": "degraded", "noise": {"sigma": 0.2}}
    found = dip.restore(photo, given, method="tv", progress=False).image
    seen = direct(torch.from_numpy(photo)[None, None], None)
    for sigma, same in ((0.2, True), (0.1, False)):
        expected = baselines.compute("denoising", seen, Gaussian(sigma))["tv"][0, 0].numpy()
        assert numpy.allclose(found, expected, atol=1e-6) == same


def test_an_image_that_is_too_small_is_refused_in_one_line(fit):
    with pytest.raises(ImageError, match="has 1 x 9 pixels, method=zs_n2n needs at least 2 x 2"):
        fit("method=zs_n2n", "size=[1,9]", *SMALL[1:], tiny=False)
    assert fit("method=tv", "size=[1,9]", *SMALL[1:], tiny=False)[1]["status"] == "finished"


def test_options_of_the_network_are_ignored_with_a_warning_each(caplog):
    caplog.set_level(logging.WARNING)
    plain = composed("method=zs_n2n")
    assert not caplog.records
    config = composed("method=zs_n2n", "ensemble=2", "net.channels=8", "stop=wmv", "steps=500")
    assert config == plain
    assert {record.message.split(":")[0] for record in caplog.records} == {"ensemble", "net", "stop", "steps"}
    assert "steps: has no effect with method=zs_n2n; its number of steps is method.steps" in caplog.text


def test_an_interrupted_denoiser_starts_again(fit, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    words = (*few("zs_n2n", 30), *SMALL, "record_every=10", "tile=auto")
    config = composed(*words, f"out={tmp_path / 'outputs'}")
    first = experiment.run(config, progress=False, on_record=lambda *_: signal.raise_signal(signal.SIGTERM))
    assert (first["status"], first["signal"], first["steps"]) == ("interrupted", signal.SIGTERM, 1)
    assert "repeat the command to start again" in caplog.text
    folder, second = fit(*words, tiny=False)
    assert second["folder"] == first["folder"]
    assert (second["status"], second["steps"]) == ("finished", 30)
    assert [int(row["step"]) for row in rows_of(folder)] == [1, 2, 5, 10, 20, 30]


def test_a_result_that_is_not_finite_is_an_error_not_an_image(fit, monkeypatch):
    monkeypatch.setattr(Training, "run", lambda self, *_: self.image().detach() * torch.nan)
    with pytest.raises(RunError, match="method=zs_n2n: the training diverged"):
        fit(*few("zs_n2n"), *SMALL, tiny=False)


@pytest.mark.parametrize("name", ["zs_n2n", "tv"])
def test_a_large_image_in_tiles_of_the_same_noise(name, tmp_path, monkeypatch):
    total = []
    monkeypatch.setattr(
        tiled_fit, "TileProgress", lambda names, steps, shown: total.append(steps) or TileProgress(names, steps, shown)
    )
    given = ("size=[32,100]", "logger=csv", "baselines=false", "tile=64", f"out={tmp_path}", "target.kind=poisson")
    config = composed(*few(name), *given, "target.peak=20")
    result = experiment.run(config, progress=False, prepare=tiles.prepare(config, InProcess()))
    assert result["status"] == "finished"
    assert len(result["tiles"]) == 2
    assert result["psnr"] > 0
    assert total == [12 if name == "zs_n2n" else 1]
    for path in Path(result["folder"]).glob("tiles/*/*/result.json"):
        noise = json.loads(path.read_text())["config"]["target"]["noise"]
        assert (noise["kind"], noise["peak"]) == ("poisson", 20)


def test_the_memory_of_a_denoiser_decides_on_tiles(tmp_path, monkeypatch):
    """A network that does not exist does not count: it would need hundreds of megabytes."""
    monkeypatch.setattr(sizing, "SIDES", (256,))
    for name in ("zs_n2n", "tv"):
        config = composed(*few(name), "net.channels=512", "size=[32,100]")
        monkeypatch.setattr(cost, "available", lambda _: 100 * 10**6)
        assert sizing.choose(config, (3, 32, 100)) == 0
        monkeypatch.setattr(cost, "available", lambda _: 1)
        with pytest.raises(OptionError, match="size.*the memory is too small even for tiles of 256 x 256"):
            sizing.choose(config, (3, 300, 300))


def test_the_estimate_is_proportional_to_the_pixels_and_told(fit, monkeypatch):
    monkeypatch.setattr(cost, "SMALL_WORK", 0)
    folder, result = fit(*few("zs_n2n"), *SMALL, tiny=False)
    assert "cost: about" in (folder / "run.log").read_text()
    assert result["estimate"]["step_seconds"] > 0
    config = composed("method=zs_n2n")
    one, more = (cost.estimate(config, (3, side, side)).bytes for side in (128, 192))
    start = cost.CPU_MEMORY[1]
    assert (more - start) / (one - start) == pytest.approx((192 / 128) ** 2, rel=0.05)

"""What all tiles have in common: one tile of the image's size gives the same as the whole image; the rule; BM3D."""

from pathlib import Path

import pytest
import torch

from dip import bm3d, images, runs
from dip.configuration.schema import Config
from dip.errors import RunError
from dip.fitting import cost, prefilter
from dip.fitting.cost import Cost
from dip.fitting.fit import Fit
from dip.fitting.inputs import observe
from dip.fitting.pictures import Pictures
from dip.noise.finishing import combined
from dip.noise.level import examine
from dip.noise.texture import certain
from dip.stopping.covariance_penalty import FIRST, Covariance, CovariancePenalty
from dip.stopping.residual import HeldOutError, least_error
from dip.targets import Degraded, Observation
from dip.targets.observation import direct
from dip.tiles.common import common_rule, finished
from dip.tiles.cutting import Cutter
from dip.tiles.layout import boxes
from dip.tiles.tiled_fit import TiledFit
from tests.conftest import composed
from tests.targets.photos import blurred_noise
from tests.tiles.in_process import TINY, InProcess, fit

IMAGE = ("image=coffee", "size=[64,112]", "tile=64", "steps=3", "target=noisy")
TWO = ["y0000-x0000", "y0000-x0048"]
GUIDED = ("method=guided", "stop=never", "z.channels=32")


def seen_by(config: Config) -> Observation:
    return observe(config, Pictures(config)).seen


def in_tiles(config: Config, folder: Path, side: int) -> TiledFit:
    """A fit in tiles of `side`, also where the image has one tile only."""
    folder.mkdir()
    return TiledFit(config, folder, "", side=side, launcher=InProcess())


def test_one_tile_with_a_start_from_bm3d_is_the_whole_fit(tmp_path: Path):
    small = ("size=[32,56]", "tile=32", "z.distribution=uniform", "ensemble=2")
    config = composed(*TINY, *IMAGE, *GUIDED, *small, f"out={tmp_path}")
    whole, tiled = Fit(config, tmp_path, "", with_images=False), in_tiles(config, tmp_path / "tiled", 56)
    results = whole.run(False), tiled.run(False)
    assert torch.equal(whole.restored, tiled.restored)
    assert torch.equal(whole.spread, tiled.spread)
    assert [results[0][name] for name in ("psnr", "spread")] == [results[1][name] for name in ("psnr", "spread")]


def test_one_tile_of_a_photograph_is_the_whole_fit_up_to_the_estimated_level(tmp_path: Path):
    size = ("size=[64,64]", "steps=120", "net.channels=4")
    config = composed(*TINY, "image=coffee", *size, "target.noise.kind=camera", "stop=covariance", f"out={tmp_path}")
    whole, tiled = Fit(config, tmp_path, "", with_images=False), in_tiles(config, tmp_path / "tiled", 64)
    assert tiled.cutter.config.stop == Covariance(patience=config.stop.patience, smoothing=0, strong=False)
    whole.run(False)
    tiled.run(False)
    assert (whole.restored - tiled.restored).square().mean().sqrt() < 0.002


def test_bm3d_is_computed_once_and_the_tiles_return_the_averages_of_their_networks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    calls: list[torch.Tensor] = []
    real = bm3d.denoised
    monkeypatch.setattr(prefilter.bm3d, "denoised", lambda y, levels: calls.append(y) or real(y, levels))
    words = (*IMAGE, *GUIDED, "checkpoint_every=0")
    result = fit(tmp_path, *words)
    assert [y.shape for y in calls] == [(1, 3, 64, 112)]
    folder = Path(result["folder"])
    parts = [runs.read_result(path)["config"] for path in folder.glob("tiles/*/*/")]
    assert [(part["method"]["name"], part["skips"]) for part in parts] == [("dip", [1])] * 2
    assert not list(folder.glob("tiles/*.tif")), "BM3D is kept until the run has finished"
    config = composed(*TINY, *words)
    seen = prefilter.prefiltered(config, seen_by(config))
    tiles = [images.load(next(folder.glob(f"tiles/{name}/*/images/restored.tif"))).pixels for name in TWO]
    apart = torch.cat([tiles[0][..., :48], tiles[1]], -1)  # from 64 on, and up to 48, one tile has the weight 1
    expected = prefilter.mixed(apart, seen)[0][..., [*range(48), *range(64, 112)]]
    found = images.load(folder / "images" / "restored.png").pixels[..., [*range(48), *range(64, 112)]]
    assert (found - expected).abs().max() <= 0.5001 / 255


@pytest.mark.parametrize("noise", [(), ("target.kind=poisson",)])
def test_a_run_that_resumes_does_not_compute_bm3d_again(
    noise: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    words = (*IMAGE, *GUIDED, *noise, "size=[32,56]", "tile=32")
    whole = fit(tmp_path / "whole", *words)
    with pytest.raises(RunError):
        fit(tmp_path / "parts", *words, launcher=InProcess(["y0000-x0024"]))
    monkeypatch.setattr(prefilter.bm3d, "denoised", None)
    resumed = fit(tmp_path / "parts", *words)
    files = [Path(result["folder"], "images", "restored.png").read_bytes() for result in (whole, resumed)]
    assert files[0] == files[1]


@pytest.mark.parametrize("white", ["heldout", "combined", "emv"])
def test_the_rule_for_white_noise_has_the_level_of_the_whole_image_and_ends_at_the_tile(
    white: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    config = composed(*TINY, *IMAGE, "target=degraded", "stop=adaptive", f"stop.white={white}", "stop.smoothing=0.5")
    seen = seen_by(composed(*TINY, *IMAGE))
    stop, chosen = common_rule(config, seen)
    assert chosen["sigma"] == pytest.approx(0.1, rel=0.1)
    (box, _), *_ = boxes((64, 112), 64, 16)
    job, tile = Cutter(config, stop, seen, {}, tmp_path).job(box), seen.y[..., :64]
    rule = composed(*job.overrides).stop.start(tile, 0)
    assert "stop." not in caplog.text, "options of the whole image without effect in a tile"
    assert torch.equal(rule.photograph, tile)
    assert rule.chosen is None, "the photograph is mixed in once, after the blend"
    parts = [part for part in (rule, *getattr(rule, "rules", {}).values()) if isinstance(part, HeldOutError)]
    assert len(parts) == (white != "emv")
    assert [part.least for part in parts] == [least_error(tile, None, chosen["sigma"])] * len(parts)


@pytest.mark.parametrize("words", [("stop=adaptive", "stop.sigma=0.2"), ("stop=covariance",)])
def test_noise_is_too_strong_to_be_texture_in_all_tiles_or_in_none(
    words: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    config = composed(*TINY, "image=coffee", "target=degraded", "tile=96", *words)
    y = 0.5 + blurred_noise(size=(96, 192))
    first = y[:, :1, :, 96:]
    y[..., 96:] = first.lerp(y[..., 96:], 0.2)  # channels as similar as those of texture
    assert [certain(y), certain(y[..., :96]), certain(y[..., 96:])] == [False, True, False]
    stop, chosen = common_rule(config, direct(y, None))
    cutter = Cutter(config, stop, direct(y, None), {}, tmp_path)
    for box in boxes((96, 192), 96, 0)[0]:
        rule = composed(*cutter.job(box).overrides).stop.start(y[(..., *box.slices())], 0)
        assert not rule.certain
    assert "stop." not in caplog.text
    average = y.lerp(y.mean((2, 3), keepdim=True), 0.9)
    found, _ = finished(config, stop, direct(y, None), average, chosen)
    rule = CovariancePenalty(y, 1)
    for step in (FIRST, rule.first):
        rule.update(step, average, average, average, torch.tensor(0.0))
    torch.testing.assert_close(found, combined(average, y, float(rule.variance) ** 0.5, False)[0])


@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_the_last_step_of_correlated_noise_sees_the_whole_image(smoothing: float):
    scene = (0.4 + 0.1 * torch.linspace(0, 3, 64).sin()[:, None]).expand(1, 3, 64, 64)
    white = torch.randn(1, 3, 66, 66, generator=torch.Generator().manual_seed(1))
    y = scene + 0.15 * torch.nn.functional.avg_pool2d(white, 3, stride=1)
    config = composed(*TINY, *IMAGE, "target=degraded", "stop=covariance", f"stop.smoothing={smoothing}")
    seen, average = direct(y, None), scene.lerp(y, 0.1)
    stop, _ = common_rule(config, seen)
    found, weight = finished(config, stop, seen, average)
    rule = CovariancePenalty(y, 1)
    assert rule.first == FIRST
    rule.update(FIRST, average, average, average, torch.tensor(0.0))
    expected, fitted = combined(average, y, smoothing * float(rule.variance) ** 0.5)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(weight, fitted)
    assert torch.equal(found, average) == (smoothing == 0)


def test_the_cost_of_a_tile_and_of_all_is_told_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    shapes = []
    monkeypatch.setattr(cost, "SMALL_MEMORY", 0)
    monkeypatch.setattr(cost, "SMALL_WORK", 0)
    monkeypatch.setattr(cost, "estimate", lambda _, shape: shapes.append(shape) or Cost(10**9, 600.0, 2 * 10**9))
    with caplog.at_level("INFO", "dip"):
        fit(tmp_path, *IMAGE, "stop=never")
    assert shapes[0] == (3, 64, 64)
    assert "one tile: cost: about 1 GB of memory" in caplog.text
    assert "about 30 min at the present load if it runs all 3 steps of 6e+02 s; this machine has 2 GB" in caplog.text
    assert "2 tiles, one after the other: about 60 min at the present load" in caplog.text
    folder = tmp_path / "resumed"
    with pytest.raises(RunError):
        fit(folder, *IMAGE, "stop=never", launcher=InProcess(TWO[1:]))
    caplog.clear()
    with caplog.at_level("INFO", "dip"):
        fit(folder, *IMAGE, "stop=never")
    assert "one tile: cost: about 1 GB" in caplog.text
    assert "one after the other" not in caplog.text, "one of two tiles is left"


def test_a_denoiser_removes_noise_of_the_same_level_in_all_tiles(tmp_path: Path):
    photo = tmp_path / "photo.png"
    images.save(photo, seen_by(composed(*TINY, *IMAGE)).y)
    config = composed("method=nlm", f"image={photo}", "target=degraded", "tile=64", "baselines=false")
    seen = seen_by(config)
    cutter = Cutter(config, config.stop, seen, {}, tmp_path / "tiles")
    configs = [cutter.job(box).config for row in boxes((64, 112), 64, 16) for box in row]
    assert [config.target.noise.sigma for config in configs] == [pytest.approx(examine(seen.y).sigma)] * 2


def test_a_denoiser_removes_the_same_photon_noise_in_all_tiles(tmp_path: Path):
    slope = torch.linspace(0.05, 0.75, 112).expand(1, 3, 64, 112)
    seen = Degraded().observe(torch.poisson(slope * 30, generator=torch.Generator().manual_seed(0)) / 30, 0)
    config = composed("method=nlm", "target=degraded", "tile=64", "baselines=false")
    cutter = Cutter(config, config.stop, seen, {}, tmp_path)
    noises = [cutter.job(box).config.target.noise for row in boxes((64, 112), 64, 16) for box in row]
    assert [noise.kind for noise in noises] == ["poisson"] * 2
    assert [noise.peak for noise in noises] == [pytest.approx(30, rel=0.15)] * 2

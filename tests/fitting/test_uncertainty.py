"""The spread of an ensemble: its values, its place in a run, and how it ranks the error."""

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.measure import block_reduce

import dip
from dip.fitting import prefilter, uncertainty
from dip.noise import finishing

pytestmark = pytest.mark.usefixtures("undrawn")

TINY = {"size": 32, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False, "device": "cpu"}


def test_correlations_are_scipy_s():
    draws = torch.Generator().manual_seed(0)
    reference, restored = torch.rand(2, 1, 3, 24, 16, generator=draws)
    spread = (restored - reference).abs() + 0.3 * torch.rand(1, 3, 24, 16, generator=draws)
    spread = (20 * spread).round() / 20  # with equal values
    found = uncertainty.scores(spread, restored, reference)
    planes = [image.square().mean((0, 1)).sqrt().numpy() for image in (spread, restored - reference)]
    blocks = [block_reduce(plane, 8, np.mean) for plane in planes]
    for name, pair in (("", planes), ("_blocks", blocks)):
        flat = [part.ravel() for part in pair]
        assert found[f"spearman{name}"] == pytest.approx(stats.spearmanr(*flat).statistic, abs=1e-5)
        assert found[f"pearson{name}"] == pytest.approx(stats.pearsonr(*flat).statistic, abs=1e-5)


def test_undefined_correlations_are_left_out():
    zero = torch.zeros(1, 1, 4, 4)
    assert uncertainty.scores(zero, zero, zero) == {}
    assert uncertainty.scores(zero, zero, None) == {}


@pytest.mark.parametrize("stop", ["never", {"name": "wmv", "patience": 4}])
def test_it_is_the_averaged_deviation_of_the_outputs(stop, monkeypatch):
    from dip.model.module import DeepImagePrior

    seen = []
    backward = DeepImagePrior._backward

    def noted(self, *given):
        found = backward(self, *given)
        seen.append(found[0][0].double().numpy())
        return found

    monkeypatch.setattr(DeepImagePrior, "_backward", noted)
    result = dip.restore("camera", "noisy", ensemble=3, steps=12, stop=stop, seed=1, record_every=4, **TINY)
    outputs = np.stack(seen).reshape(-1, 3, 32, 32)  # (steps, networks, H, W)
    variance = outputs[0].var(0, ddof=1)
    for step in range(2, result.metrics["restored_step"] + 1):
        decay = min(0.99, step / (step + 9))
        variance = decay * variance + (1 - decay) * outputs[step - 1].var(0, ddof=1)
    np.testing.assert_allclose(result.spread, variance**0.5, rtol=1e-3, atol=1e-6)
    assert set(result.metrics["spread"]) == {"spearman", "pearson", "spearman_blocks", "pearson_blocks"}


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_part_of_the_photograph_has_no_spread(share, monkeypatch):
    monkeypatch.setattr(prefilter, "_tested", lambda y, levels, line: (y, share))
    options = {**TINY, "target": {"name": "noisy", "sigma": 0.05}, "stop": "adaptive", "method": "dip"}
    found = dip.restore("camera", ensemble=2, steps=6, **options)
    plain = dip.restore("camera", ensemble=2, steps=6, **{**options, "stop": "combined"})
    assert found.metrics["rule"]["name"] == "combined"
    np.testing.assert_allclose(found.spread, (1 - share) * plain.spread, rtol=1e-6)
    noisy = found.observed
    np.testing.assert_allclose(found.image, share * noisy + (1 - share) * plain.image, atol=1e-6)


def test_what_the_last_step_adds_to_the_fit_has_no_spread(monkeypatch):
    options = {**TINY, "target": "noisy", "ensemble": 2, "steps": 6}
    plain = dip.restore("camera", stop={"name": "covariance", "smoothing": 0}, **options)
    monkeypatch.setattr(finishing, "combined", lambda average, *_: (average, torch.full((1, 1, 1, 1), 0.3)))
    found = dip.restore("camera", stop="covariance", **options)
    np.testing.assert_allclose(found.spread, 0.3 * plain.spread, rtol=1e-6)


def test_a_run_folder_holds_it(tmp_path):
    options = {"ensemble": 2, "steps": 4, "out": tmp_path, **TINY}
    first, second = (dip.restore("astronaut", "degraded", stop="never", **options) for _ in range(2))
    assert (first.folder / "images" / "spread.png").is_file()
    assert first.spread.shape == (32, 32, 3)
    np.testing.assert_array_equal(first.spread, second.spread)  # read back
    assert "spread" not in first.metrics, "there is no reference"
    memory = dip.restore("astronaut", "degraded", stop="never", **{**options, "out": None})
    np.testing.assert_array_equal(first.spread, memory.spread)
    assert dip.restore("astronaut", "degraded", stop="never", **{**options, "ensemble": 1}).spread is None

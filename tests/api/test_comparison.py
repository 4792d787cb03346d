"""`dip.compare`: a table of runs that share their folders with `dip.restore`, sweeps and the report."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dip
from dip.api import comparison
from tests.api.conftest import TINY

OPTIONS = {name: value for name, value in TINY.items() if name not in ("progress", "skips")}
VARIANTS = {"none": {"skips": []}, "one": {"skips": [1]}}


@pytest.fixture
def path(photo: np.ndarray, tmp_path: Path) -> str:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def test_runs_that_have_finished_are_read(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options = {**OPTIONS, "target": "noisy", "out": tmp_path / "runs"}
    found = {
        (name, seed): dip.restore(path, seed=seed, progress=False, **variant, **options)
        for name, variant in VARIANTS.items()
        for seed in (3, 4)
    }
    monkeypatch.setattr("dip.sweep.processes.Process", None)  # none is started
    table = dip.compare(path, VARIANTS, [3, 4], progress=False, **options)
    assert list(table.index) == list(found)
    assert table.index.names == ["variant", "seed"]
    assert set(table["status"]) == {"finished"}
    for key, result in found.items():
        assert table.loc[key, "psnr"] == result.metrics["psnr"]
        assert table.loc[key, "folder"] == str(result.folder)

    curves = dip.curves(table)
    assert list(curves.columns[:4]) == ["variant", "seed", "step", "loss"]
    one = curves[(curves["variant"] == "one") & (curves["seed"] == 4)]
    assert one["step"].tolist() == [1, 10]
    assert one["loss"].tolist() == found["one", 4].history["loss"]

    table.to_csv(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().startswith("variant,seed,psnr,ssim")
    means = table.groupby("variant")["psnr"].agg(["mean", "std"]).to_latex(float_format="%.2f")
    mean = np.mean([found["one", seed].metrics["psnr"] for seed in (3, 4)])
    assert f"one & {mean:.2f} &" in means


def test_an_array_and_a_run_that_fails(photo: np.ndarray, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """One call starts processes; floats and a mask are stored exactly for them."""
    array = (photo / np.float32(255)) ** np.float32(1.1)
    mask = np.ones((16, 24))
    mask[4:6] = 0
    target = {"name": "inpaint", "mask": mask}
    options = {**OPTIONS, "target": target, "reference": array, "skips": [1], "out": tmp_path / "runs"}
    alone = dip.restore(array, progress=False, **{**options, "out": None})
    variants = {"good": {}, "bad": {"lr": 1e30, "steps": 300}}
    table = dip.compare(array, variants, **options)
    assert table.loc[("good", 0), "psnr"] == pytest.approx(alone.metrics["psnr"], abs=1e-4)
    assert table.loc[("good", 0), "psnr_hole"] == pytest.approx(alone.metrics["psnr_hole"], abs=1e-4)
    assert table.loc[("bad", 0), "status"] == "failed"
    assert "not finite" in table.loc[("bad", 0), "error"]
    assert "[2/2]" in capfd.readouterr().err


def test_mistakes_are_one_line_before_any_run(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Own(dip.api.assemble.BASES["target"]):
        pass

    out = tmp_path / "runs"
    for variants, options, message in [
        ({}, {}, "variants={}: must be a dict of dicts of options, for example "),
        ({"a": {"lr": -1}}, {}, "variant 'a': lr=-1: must be a number > 0"),
        ({"a": {"sigma": 1}}, {}, "variant 'a': sigma: no such option; did you mean target.sigma or "),
        ({"a": {}}, {"target": Own()}, "variant 'a': target=Own: must be one of clean, "),
    ]:
        with pytest.raises(dip.DipError) as caught:
            dip.compare(path, variants, out=out, **{**OPTIONS, **options})
        assert str(caught.value).startswith(message)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(dip.DipError, match=r"^dip.compare needs pandas: pip install 'deep-image-prior\[pandas\]'$"):
        dip.compare(path, VARIANTS, out=out)
    assert not out.exists()


def test_a_signal_reaches_the_caller(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import signal

    def interrupted(loop: comparison.Any) -> list[object]:
        loop.signal = signal.SIGINT
        return []

    monkeypatch.setattr("dip.sweep.dispatch.Loop.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dip.compare(path, VARIANTS, out=tmp_path / "runs", **OPTIONS)

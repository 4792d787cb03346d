"""`dip.compare`: a table of runs that share their folders with `dip.restore`, sweeps and the report."""

import doctest
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dip
from dip import tiles
from dip.api import comparison
from dip.fitting import experiment
from tests.api.conftest import TINY
from tests.conftest import composed
from tests.tiles.in_process import InProcess

pytestmark = pytest.mark.usefixtures("undrawn")

OPTIONS = {name: value for name, value in TINY.items() if name not in ("progress", "skips")}
VARIANTS = {"none": {"skips": []}, "one": {"skips": [1]}}


@pytest.fixture
def path(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def test_runs_that_have_finished_are_read(path, tmp_path, monkeypatch):
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
    assert list(table.columns) == ["psnr", "ssim", "steps", "seconds", "status", "folder"]
    for key, result in found.items():
        assert table.loc[key, "psnr"] == result.metrics["psnr"]
        assert table.loc[key, "folder"] == str(result.folder)

    curves = dip.curves(table)
    assert list(curves.columns[:4]) == ["variant", "seed", "step", "loss"]
    one = curves[(curves["variant"] == "one") & (curves["seed"] == 4)]
    assert one["step"].tolist() == [1, 2, 5, 10]
    assert one["loss"].tolist() == found["one", 4].history["loss"]

    table.to_csv(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().startswith("variant,seed,psnr,ssim")
    means = table.groupby("variant")["psnr"].agg(["mean", "std"]).to_latex(float_format="%.2f")
    mean = np.mean([found["one", seed].metrics["psnr"] for seed in (3, 4)])
    assert f"one & {mean:.2f} &" in means


def test_a_method_without_deep_image_prior_is_a_variant(path, tmp_path, monkeypatch, caplog):
    """With options of the others, such as `steps` and `net`, which it does not use."""
    variants = {"dip": {}, "tv": {"method": "tv"}, "zs_n2n": {"method": {"name": "zs_n2n", "steps": 3}}}
    options = {**OPTIONS, "target": "noisy", "skips": [1], "out": tmp_path / "runs"}
    found = {name: dip.restore(path, progress=False, **one, **options) for name, one in variants.items()}
    monkeypatch.setattr("dip.sweep.processes.Process", None)  # none is started
    table = dip.compare(path, variants, progress=False, **options).droplevel("seed")
    assert list(table.index) == list(variants)
    assert table["psnr"].to_dict() == {name: one.metrics["psnr"] for name, one in found.items()}
    assert table["steps"].to_dict() == {"dip": OPTIONS["steps"], "tv": 1, "zs_n2n": 3}
    assert "steps: has no effect with method=zs_n2n; its number of steps is method.steps" in caplog.text
    assert "no scores" not in caplog.text


def test_the_example_in_the_documentation(tmp_path, monkeypatch):
    """Its runs are made here first, so that no process is started."""
    monkeypatch.chdir(tmp_path)
    tiny = {"size": 32, "steps": 10, "net": {"channels": 8, "depth": 3}, "out": "outputs/compare", "progress": False}
    for skips, seed in [([2], 0), ([2], 1), ([1, 2], 0), ([1, 2], 1)]:
        dip.restore("camera", "noisy", skips=skips, seed=seed, **tiny)
    monkeypatch.setattr("dip.sweep.processes.Process", None)
    found = doctest.testmod(comparison)
    assert (found.attempted, found.failed) == (9, 0)
    assert "few &" in Path("scores.tex").read_text()
    assert Path("runs.csv").is_file()
    assert Path("curves.png").is_file()


def test_arrays_are_stored_exactly_for_the_process_of_a_run(photo, tmp_path):
    floats = (photo / np.float32(255)) ** np.float32(1.1)
    mask = np.ones((16, 24))
    mask[4:6] = 0
    options = {**OPTIONS, "target": {"name": "inpaint", "mask": mask}, "reference": photo, "skips": [1]}
    for image in (floats, photo[..., 0], np.random.default_rng(0).random((16, 24, 5))):
        given = options | {"reference": image}
        job, in_memory = comparison._job({**given, "image": image, "out": tmp_path})
        assert in_memory is None
        assert composed(*job.overrides) == job.config
        result = experiment.run(job.config, progress=False)
        alone = dip.restore(image, progress=False, **given)
        assert result["psnr_hole"] == alone.metrics["psnr_hole"]
        assert result["folder"] == str(job.folder)
    assert len(list((tmp_path / "inputs").iterdir())) == 4


def test_a_run_that_fails_is_a_row(tmp_path, capfd):
    """It has a process of its own."""
    options = {**OPTIONS, "skips": [1], "size": 16, "out": tmp_path}
    table = dip.compare("camera", {"bad": {"reference": "astronaut"}}, **options)
    assert table.loc[("bad", 0), "status"] == "failed"
    assert "reference=astronaut: has 3 x 16 x 16" in table.loc[("bad", 0), "error"]
    assert "[1/1] failed: bad, seed 0, " in capfd.readouterr().err


def test_mistakes_are_one_line_before_any_run(path, tmp_path, monkeypatch):
    out = tmp_path / "runs"
    for variants, options, message in [
        ({}, {}, "variants={}: must be a dict of dicts of options, for example "),
        ([{"lr": 1}], {}, "variants=[{'lr': 1}]: must be a dict of dicts of options, for example "),
        ({"a": {}}, {"seeds": 2}, "seeds=2: must be a sequence of integers, for example seeds=[0, 1, 2]"),
        ({"a": {}}, {"seeds": []}, "seeds=(): must be a sequence of integers, for example seeds=[0, 1, 2]"),
        ({"a": {"lr": -1, "skips": []}}, {}, "variant 'a': lr=-1: must be a number > 0"),
        (
            {"a": {"seed": 3}},
            {},
            "variant 'a': seed=3: must be an argument of dip.compare, for example seeds=[0, 1, 2]",
        ),
        ({"a": {"image": "cat"}}, {}, "variant 'a': image=cat: must be an argument of dip.compare"),
        ({"a": {}}, {"seed": 3}, "seed=3: must be seeds, a sequence of integers, for example seeds=[0, 1, 2]"),
        ({"a": {"sigma": 1}}, {}, "variant 'a': sigma: no such option; did you mean target.sigma or "),
    ]:
        with pytest.raises(dip.DipError) as caught:
            dip.compare(path, variants, out=out, **{**OPTIONS, **options})
        assert str(caught.value).startswith(message)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(dip.DipError, match=r"^dip.compare needs pandas: pip install 'deep-image-prior\[pandas\]'$"):
        dip.compare(path, VARIANTS, out=out)
    assert not out.exists()


def test_objects_run_in_this_process(path, tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.setattr("dip.sweep.processes.Process", None)  # none is started
    variants = {"own": {"loss": lambda x, y: (x - y).abs(), "name": "mine"}, "bad": {"loss": lambda x, y: 1}}
    variants["tiles"] = {**variants["own"], "tile": 8}
    table = dip.compare(path, variants, out=tmp_path, skips=[1], stop="never", **OPTIONS)
    shown = [line.split(": ")[:2] for line in capsys.readouterr().err.splitlines() if ", seed" in line]
    assert shown == [["finished", "own, seed 0"], ["failed", "bad, seed 0"], ["failed", "tiles, seed 0"]]
    same = dip.restore(path, loss="l1", progress=False, skips=[1], stop="never", **OPTIONS)
    assert table["status"].tolist() == ["finished", "failed", "failed"]
    assert caplog.text.count("the table will have no scores without a clean image") == 1
    folder = Path(table.loc[("own", 0), "folder"])
    assert json.loads((folder / "result.json").read_text())["loss"] == same.metrics["loss"]
    assert folder.name.startswith("mine-photo-degraded-")
    assert "loss=own_loss: returned a int" in table.loc[("bad", 0), "error"]
    assert "is not registered, and tiles run in other processes; set tile=0" in table.loc[("tiles", 0), "error"]


def test_a_signal_reaches_the_caller(path, tmp_path, monkeypatch):
    import signal

    def interrupted(loop: comparison.Any) -> list[object]:
        loop.signal = signal.SIGINT
        return []

    monkeypatch.setattr("dip.sweep.dispatch.Loop.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dip.compare(path, VARIANTS, out=tmp_path / "runs", **OPTIONS)


def test_without_a_folder_no_file_is_kept(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dip.sweep.processes.Process", None)  # none is started, since the loss is a function
    before, variants = sorted(tmp_path.iterdir()), {"own": {"loss": lambda x, y: (x - y).abs()}}
    options = {**OPTIONS, "target": "noisy", "skips": [1], "stop": {"name": "wmv", "patience": 3}, "baselines": True}
    table = dip.compare(path, variants, out=None, progress=False, **{**options, "steps": 9, "record_every": 1})
    assert sorted(tmp_path.iterdir()) == before
    assert list(table.columns[:4]) == ["psnr", "ssim", "steps", "seconds"]
    assert "folder" not in table
    assert table["nlm_psnr"].notna().all()
    with pytest.raises(dip.DipError, match=r"^dip.curves: needs the run folders, which out=None does not keep"):
        dip.curves(table)


def test_runs_in_tiles_have_no_curves_of_the_whole_image(path, tmp_path, monkeypatch):
    small = {"net": {"channels": 8, "depth": 1}, "skips": [], "stop": "never", "progress": False}
    options = {**OPTIONS, **small, "size": 6, "steps": 2, "out": tmp_path / "runs"}
    variants = {"tiles": {"tile": 4}, "whole": {"tile": 0}}
    monkeypatch.setattr(tiles, "chosen", lambda out: InProcess())
    for one in variants.values():
        dip.restore(path, **one, **options)
    monkeypatch.setattr("dip.sweep.processes.Process", None)  # the runs have finished
    with pytest.raises(dip.DipError, match=r"^dip.curves: no run has records"):
        dip.curves(dip.compare(path, {"tiles": variants["tiles"]}, **options))
    assert set(dip.curves(dip.compare(path, variants, **options))["variant"]) == {"whole"}

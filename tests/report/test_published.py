"""A published result: its numbers are those of the runs, its command makes them, its author's text is kept."""

import csv
import dataclasses
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dip import report
from dip.configuration import schema
from dip.errors import RunError
from dip.report import papers, published, repeat
from dip.report.collect import collect, portable
from dip.targets import Noisy
from tests.conftest import ROOT
from tests.fake_runs import make


@pytest.fixture(scope="module")
def result(sweep, tmp_path_factory):
    to = tmp_path_factory.mktemp("results") / "skips"
    assert report.publish(sweep, to) == to / "README.md"
    return to


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_numbers_are_those_of_the_runs(sweep, result):
    row = next(
        row for row in rows(result / "table.csv") if (row["target"], row["skips"]) == ("noisy", "[3,4]")
    )
    folders = [sweep / f"noisy-2-{seed}" for seed in (0, 1)]
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    histories = [rows(folder / "metrics.csv") for folder in folders]
    losses = [np.load(folder / "losses.npy").astype(float) for folder in folders]
    best = [max(float(record["psnr_ema"]) for record in history) for history in histories]
    end = [float(history[-1]["psnr_ema"]) for history in histories]
    expected = {
        "oracle_psnr": best,
        "end_psnr": end,
        "drop": [high - low for high, low in zip(best, end, strict=True)],
        "gap": [high - found["psnr"] for high, found in zip(best, results, strict=True)],
        "oracle_step": [found["oracle_step"] for found in results],
        "seconds": [found["seconds"] for found in results],
        # Steps 90 to 112 and 1,783 to 2,000: 10^0.05 is 1.122.
        "loss_100": [loss[89:112].mean() for loss in losses],
        "loss_end": [loss[1782:].mean() for loss in losses],
    }
    assert row["n"] == "2"
    for name, values in expected.items():
        assert float(row[name]) == pytest.approx(statistics.fmean(values), rel=1e-5, abs=1e-5), name
        assert float(row[f"{name}_std"]) == pytest.approx(statistics.stdev(values), rel=1e-4, abs=1e-5), name
    shown = f"{statistics.fmean(best):.2f} ± {statistics.stdev(best):.2f}"
    assert shown in (result / "README.md").read_text()


def test_runs_without_an_end_are_counted_and_not_averaged(result):
    assert "**8 of 11 runs came to their end**" in (result / "README.md").read_text()
    failed = next(row for row in rows(result / "table.csv") if row["skips"] == "[1]")
    assert (failed["n"], failed["oracle_psnr"]) == ("0", "")
    assert len(rows(result / "runs.csv")) == 11


def test_baselines_are_columns(tmp_path):
    folder = make(tmp_path / "runs" / "one")
    found = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**found, "baselines": {"nlm": {"psnr": 27.8125}}}))
    page = report.publish(tmp_path / "runs", tmp_path / "to").read_text()
    assert "nlm, dB" in page
    assert "| 27.81 |" in page


def test_the_same_runs_give_the_same_bytes_and_the_reading_is_kept(sweep, result, tmp_path):
    assert "Nobody has written yet" in (result / "README.md").read_text()
    shutil.copytree(result, tmp_path / "skips")
    (tmp_path / "skips" / "reading.md").write_text("It supports **nothing**.\n")
    report.publish(sweep, tmp_path / "skips")
    assert (tmp_path / "skips" / "reading.md").read_text() == "It supports **nothing**.\n"
    page = (tmp_path / "skips" / "README.md").read_text()
    assert "## Reading\n\nIt supports **nothing**.\n\n## Numbers" in page
    for path in result.iterdir():
        if path.name != "README.md":
            assert path.read_bytes() == (tmp_path / "skips" / path.name).read_bytes(), path.name


def test_figures_keep_to_their_budget(sweep, result, tmp_path, monkeypatch):
    sizes = {path.stem: path.stat().st_size for path in result.glob("*.png")}
    assert sizes.keys() == published.FIGURES.keys() - {"rules", "tasks"}  # neither is compared
    assert sum(sizes.values()) <= published.BUDGET
    monkeypatch.setattr(published, "BUDGET", sum(sizes.values()) // 2)
    report.publish(sweep, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.png")) <= sum(sizes.values()) // 2


def test_nothing_finished_is_nothing_to_publish(tmp_path):
    make(tmp_path / "runs" / "one", status="failed")
    with pytest.raises(RunError, match="no run that came to its end"):
        report.publish(tmp_path / "runs", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def commands(folder, *changes, sweep=None):
    for number, (target, options) in enumerate(changes):
        make(folder / f"r{number}", target, **options)
    if sweep:
        shutil.copy(ROOT / "sweeps" / f"{sweep}.yaml", folder / "sweep.yaml")
    found = collect(folder)
    *lines, publish = repeat.commands(found, folder, folder / "mine")
    assert publish == f"python -m dip.report outputs/{sweep or folder.name} --publish sweeps/results/mine"
    return [line.replace(f"out=outputs/{folder.name}", "out=outputs/mine") for line in lines]


def test_a_sweep_over_experiments_is_repeated_as_it_stands(tmp_path):
    named = [{"name": "inpaint", "draw": draw, "missing": None, "mask": None} for draw in ("text", "hole")]
    named += [
        {"name": "jpeg"},
        {"name": "flash"},
        {"name": "deblur"},
        {"name": "degraded"},
        {"name": "superres", "factor": 4},
    ]
    net = {**schema.defaults()["net"], "channels": 32}
    changes = [
        (target, {"size": 192, "steps": 1500, "net": net, "skips": [i % 5]})
        for i, target in enumerate(named, 1)
    ]
    line = "python train.py -cd sweeps -cn tasks"
    for name, typed, expected in (
        ("as", ["out=a/b"], line),
        ("rate", ["out=a/b", "lr=0.5"], f"{line} lr=0.5"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "multirun.yaml").write_text(json.dumps({"hydra": {"overrides": {"task": typed}}}))
        assert commands(tmp_path / name, *changes, sweep="tasks") == [expected]
    # Nobody knows what was typed: a command for each run, without the sweep's file, which would multiply it.
    (tmp_path / "unknown").mkdir()
    alone = commands(tmp_path / "unknown", *changes, sweep="tasks")
    assert len(alone) == len(changes)
    assert all("-cn" not in line and "size=192" in line and "net.channels=32" in line for line in alone)
    assert [re.search(r"skips=\[(\d)\]", line)[1] for line in alone] == [str(i % 5) for i in range(1, 8)]


def test_seeds_that_differ_in_more_than_that_are_a_command_each(tmp_path):
    changes = [("noisy", {"seed": seed, "baselines": seed == 0}) for seed in (0, 1, 2)] + [
        ("clean", {"skips": []})
    ]
    assert commands(tmp_path, *changes) == [
        "python train.py size=64 steps=2000 out=outputs/mine",
        "python train.py size=64 steps=2000 seed=1 baselines=false out=outputs/mine",
        "python train.py size=64 steps=2000 seed=2 baselines=false out=outputs/mine",
        "python train.py size=64 target=clean 'skips=[]' steps=2000 out=outputs/mine",
    ]


def test_runs_of_a_task_each_are_named_by_it(tmp_path):
    make(tmp_path / "a", {"name": "superres", "factor": 4}, skips=[1])
    make(tmp_path / "b", {"name": "deblur", "sigma": 2}, skips=[2])
    assert papers.tasks(collect(tmp_path)) == {tmp_path / "a": "superres x 4", tmp_path / "b": "deblur"}
    page = report.publish(tmp_path, tmp_path / "to").read_text()
    assert "`target`" in page
    assert "`skips`" not in page
    make(tmp_path / "c", {"name": "deblur", "sigma": 3}, skips=[2])
    assert papers.tasks(collect(tmp_path)) == {}, "what sets two of them apart must be said"


def test_a_sweep_is_repeated_with_what_differs_from_its_file(tmp_path):
    targets = ("clean", "noisy", "noise", "shuffled")
    changes = [(target, {"seed": seed}) for target in targets for seed in (0, 1)]
    assert commands(tmp_path, *changes, sweep="figure3") == [
        "python train.py -cd sweeps -cn figure3 size=64 steps=2000 seed=0,1"
    ]


def test_all_combinations_are_one_multirun(tmp_path):
    changes = [("noisy", {"skips": skips, "image": "/home/me/a.png"}) for skips in ([], [3, 4])]
    assert commands(tmp_path, *changes) == [
        "python train.py -m image=a.png size=64 'skips=[],[3,4]' steps=2000 out=outputs/mine"
    ]


def test_folders_below_this_one_are_named_by_their_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "of mine"
    make(folder / "r", "clean")
    lines = ["python train.py size=64 target=clean steps=2000 'out='\"'\"'runs/of mine'\"'\"''"]
    publish = "python -m dip.report 'runs/of mine' --publish docs/page"
    assert repeat.commands(collect(folder), folder, Path("docs/page")) == [*lines, publish]
    shutil.copy(ROOT / "sweeps" / "figure3.yaml", folder / "sweep.yaml")
    line = "python train.py -cd sweeps -cn figure3 size=64 target=clean steps=2000 'out="
    assert repeat.commands(collect(folder), folder, Path("docs/page"))[0].startswith(line)


def test_two_sweeps_in_one_folder_are_two_commands(tmp_path):
    def noisy(**options):
        return dataclasses.asdict(Noisy(**options))

    changes = [
        (noisy(sigma=sigma), {"image": image, "stop": {"name": "compare"}})
        for image in ("coffee", "rocket")
        for sigma in (0.1, 0.2)
    ]
    changes += [(noisy(kind="poisson"), options) for _, options in changes[::2]]
    assert commands(tmp_path, *changes) == [
        "python train.py -m image=coffee,rocket size=64 target.sigma=0.1,0.2 steps=2000 stop=compare out=outputs/mine",
        "python train.py -m image=coffee,rocket size=64 target.kind=poisson steps=2000 stop=compare out=outputs/mine",
    ]


def test_other_runs_are_a_command_per_experiment(tmp_path):
    changes = [("noisy", {"seed": 0}), ("noisy", {"seed": 1}), ("clean", {"skips": []})]
    assert commands(tmp_path, *changes) == [
        "python train.py -m size=64 steps=2000 seed=0,1 out=outputs/mine",
        "python train.py size=64 target=clean 'skips=[]' steps=2000 out=outputs/mine",
    ]


def test_files_of_this_machine_lose_their_folders():
    assert [portable(value) for value in ("/a/b.png", "b/c.png", 3, None)] == [
        "b.png",
        "b/c.png",
        3,
        None,
    ]


def test_the_command_line_publishes_and_writes_tables(tmp_path):
    make(tmp_path / "runs" / "one")
    line = [sys.executable, "-m", "dip.report"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def said(*words):
        done = subprocess.run(
            [*line, *map(str, words)], capture_output=True, text=True, cwd=ROOT, env=environment
        )
        return done.returncode, (done.stdout or done.stderr).strip()

    page = tmp_path / "to" / "README.md"
    assert said(tmp_path / "runs", "--publish", tmp_path / "to") == (0, str(page))
    assert said("--tables", page) == (0, f"{page}: as it was")
    assert said("--tables", tmp_path / "no.md")[0] == 1


def test_many_experiments_of_two_targets_stand_side_by_side(tmp_path):
    for target in ("clean", "noisy"):
        for level in range(1, 6):
            make(tmp_path / f"{target}-{level}", target, skips=[level])
    found = collect(tmp_path)
    panels, rest = papers.side_by_side(found)
    assert {path.name: panel for path, panel in panels.items()} == {
        f"{target}-{level}": f"target={target}" for target in ("clean", "noisy") for level in range(1, 6)
    }
    assert [run.options for run in rest] == [{"skips": tuple(run.config["skips"])} for run in found]
    few = [run for run in found if run.config["skips"] == [1]] * 2
    assert set(papers.side_by_side(few)[0].values()) == {""}

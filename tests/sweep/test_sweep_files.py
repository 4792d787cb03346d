"""Every file in `sweeps/` composes, its jobs are legal, and each can be repeated without the sweep."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from dip.sweep import launcher
from dip.sweep.outcomes import Outcome
from tests.conftest import ROOT, composed

OPTUNA = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs Optuna")
FILES = sorted((ROOT / "sweeps").glob("*.yaml"))
COMPOSED = [pytest.param(path, marks=OPTUNA if path.stem == "search" else ()) for path in FILES]
JOBS = {
    "figure1": 4, "figure2": 1, "figure3": 4, "skips": 27, "precision": 4, "widths": 10, "depth": 10, "seeds": 5,
    "upsampling": 4 * 2, "perturbation": 8, "prior": 3, "stopping": 18, "tasks": 7, "inverse": 4, "leaderboard": 23 * 3 * 3, "architectures": 28, "search": 24,
}  # fmt: skip
# A job takes a quarter of a second to compose. Of sweeps with many, a part is composed, by the factor. What it leaves out
# is seeds, images, targets and skips.
PARTS = {
    "leaderboard": (69, "image=coffee", "target.noise={kind:gaussian}", "entry=glob([fast*,bm3d])"),
    "skips": (9, "target=noisy", "skips=[],[3],[1,2,3,4,5]"), "stopping": (6, "image=coffee"),
    "architectures": (4, "target=noisy"), "seeds": (2, "seed=0,1"),
    **dict.fromkeys(("widths", "depth", "perturbation", "upsampling"), (2, "seed=0")),
}  # fmt: skip


@pytest.fixture
def jobs_of(monkeypatch):
    """`jobs_of(*arguments)` returns the jobs that `python train.py *arguments` would run."""

    def collect(*arguments: str) -> list[Any]:
        found: list[Any] = []

        class Pretend(launcher.Loop):
            def run(self) -> list[Outcome]:
                found.extend(self.jobs)
                self.outcomes = {job: Outcome(job, "finished") for job in self.jobs}
                return [*self.outcomes.values()]

        monkeypatch.setattr(launcher, "Loop", Pretend)
        monkeypatch.setattr(launcher, "write_reports", lambda outcomes: [])
        monkeypatch.setattr(launcher, "score", lambda result, folder: 1.0)
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        return found

    return collect


def test_there_is_a_file_for_each_question():
    assert {path.stem for path in FILES} == JOBS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_says_its_question_command_cost_and_expectation(path):
    head = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert head[0].endswith("?")
    assert head[1] == f"# python train.py -cd sweeps -cn {path.stem}"
    assert head[2].startswith(f"# Cost: {JOBS[path.stem]} run")
    assert any(line.startswith("# Expect: ") for line in head)
    assert yaml.safe_load(path.read_text())["out"] == f"outputs/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_sweeper_makes_as_many_jobs_as_the_head_says(path):
    sweeper = yaml.safe_load(path.read_text())["hydra"]["sweeper"]
    words = [f"{name}={values}" for name, values in sweeper["params"].items()]
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        trials = sweeper.get("n_trials")  # of Optuna
        count = trials or sum(map(len, BasicSweeper.split_arguments(parser.parse_overrides(words), None)))
    assert count == JOBS[path.stem]


@pytest.mark.parametrize("path", COMPOSED, ids=lambda path: path.stem)
def test_each_job_is_its_own_overrides(path, jobs_of, tmp_path):
    factor, *words = PARTS.get(path.stem, (1,))
    jobs = jobs_of("-cd", str(ROOT / "sweeps"), "-cn", path.stem, "size=64", *words, f"out={tmp_path}")
    assert len(jobs) == JOBS[path.stem] // factor
    assert len({job.folder for job in jobs}) == len(jobs)
    for job in (jobs[0], jobs[-1]):
        assert composed(*job.overrides) == job.config
        assert job.config.size == 64
    assert (tmp_path / "sweep.yaml").read_text() == path.read_text()


def test_what_is_typed_wins_over_the_file(jobs_of, tmp_path):
    """Also `overwrite`: without it, a job would find its finished run, and the sweep no new result."""
    arguments = (
        "steps=30",
        "seed=0,1",
        "target=noisy",
        "net.depth=3",
        "skips=[2]",
        "overwrite=true",
        f"out={tmp_path}",
    )
    jobs = jobs_of("-cd", str(ROOT / "sweeps"), "-cn", "figure3", *arguments)
    assert [(job.config.seed, job.config.steps, job.config.skips) for job in jobs] == [(0, 30, [2]), (1, 30, [2])]
    assert all(composed(*job.overrides).overwrite for job in jobs)


def test_what_a_file_says_outside_its_params_reaches_the_jobs(jobs_of, tmp_path):
    out = f"{tmp_path}/a=b, (c)"
    (tmp_path / "mine.yaml").write_text(
        f"defaults: [config, override target: shuffled, _self_]\nout: {out}\nsteps: 77\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\n"
    )
    jobs = jobs_of("-cd", str(tmp_path), "-cn", "mine")
    assert "seed=1" in jobs[1].overrides
    for number, job in enumerate(jobs):
        config = job.config
        assert (config.seed, config.steps, config.target.name, config.out) == (number, 77, "shuffled", out)
        assert composed(*job.overrides) == config


def test_a_run_for_each_picture(jobs_of, tmp_path):
    names = ["p, [1] it's=${x}.png", "p2.png", "p10.png"]
    for number, name in enumerate(names):
        Image.new("L", (4, 4), 9 * number).save(tmp_path / name)
    pattern = f"'{tmp_path}/p*.png'"
    for arguments in (
        ("-m", f"image={pattern}"),
        ("-cd", str(ROOT / "sweeps"), "-cn", "seeds", "seed=0", f"image={tmp_path}"),
        ("-m", "experiment=quick", f"image={tmp_path}/", "target=degraded"),
    ):
        jobs = jobs_of(*arguments, f"out={tmp_path / 'out'}")
        assert [Path(job.config.image).name for job in jobs] == names
        assert len({job.folder for job in jobs}) == 3
        assert composed(*jobs[0].overrides) == jobs[0].config
    assert len(jobs_of("-m", f"image={pattern},astronaut", "seed=0,1")) == 8


def test_the_entry_of_the_guide_in_a_folder_of_ones_own_joins_the_leaderboard(jobs_of, tmp_path):
    guide = (ROOT / ".github" / "EXTENDING.md").read_text()
    (own,) = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "my things" / "entry"
    folder.mkdir(parents=True)
    (folder / "my_idea.yaml").write_text(own)
    words = ("-cd", str(folder.parent), "-cn", "leaderboard", "entry=my_idea", "target.noise={kind:gaussian}")
    (first,) = jobs_of(*words, "image=coffee", f"out={tmp_path / 'a'}")
    assert first.config.name == "my_idea"
    assert composed(*first.overrides) == first.config, "the job's process does not search the folder"
    (again,) = jobs_of(*words, "image=coffee", f"out={tmp_path / 'b'}")
    assert again.folder.name == first.folder.name, "it continues in a copied folder"


def test_multirun_without_a_file(jobs_of, tmp_path):
    jobs = jobs_of("-m", "target=clean,noisy", "skips=[],[3,4]", f"out={tmp_path}")
    found = [(job.config.target.name, job.config.skips) for job in jobs]
    assert found == [("clean", []), ("clean", [3, 4]), ("noisy", []), ("noisy", [3, 4])]
    assert jobs[0].overrides == ("target=clean", "skips=[]", f"out={tmp_path}")
    assert not (tmp_path / "sweep.yaml").exists()

"""Sweeps as a user starts them: `python train.py -m ...`."""

import atexit
import shlex
import signal
from functools import partial
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from dip.report.collect import collect
from dip.sweep.processes import ProcessesLauncher
from tests.conftest import ROOT, TINY, python
from tests.disturbed import Child, contents
from tests.sweep.forked import multirun


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["skips=[2],[9]"], "error: job 2 of 2 (size=32 "),
        (["steps=10,0"], ": steps=0: must be an integer >= 1, for example steps=3000; no job was started"),
        (["seed=0,1", "image=none.png"], "image=none.png: there is no such file"),
        (["target=noisy,nosy"], ": target=nosy: must be one of "),
        (["steps=10,many"], ": steps=many: must be an integer"),
        (["hydra.launcher.jobs=0"], "error: hydra.launcher.jobs=0: must be null or an integer >= 1"),
        (["hydra.launcher.jobs_per_gpu=a"], "error: hydra.launcher.jobs_per_gpu=a: must be an integer >= 1"),
        (["hydra.sweeper.max_batch_size=1"], "error: hydra.sweeper.max_batch_size=1: must be null"),
    ],
)
def test_with_one_illegal_job_none_is_started(main, tmp_path, arguments, message):
    status, _, error = main("-m", *TINY, f"out={tmp_path / 'outputs'}", *arguments)
    assert status == 1
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("outputs/*-*-*"))


def test_a_refused_sweep_leaves_nothing(tmp_path):
    out = tmp_path / "outputs"
    assert python(ROOT / "train.py", "-m", *TINY, f"out={out}", "skips=[1],[9]", cwd=tmp_path).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_refused_sweep_deletes_only_what_it_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("own/multirun.yaml").write_text("of an earlier sweep")
    launchers = {}
    for folder in ("own", "new/sweep", "taken/sweep", "file"):
        launchers[folder] = launcher = ProcessesLauncher()
        config = OmegaConf.create({"hydra": {"sweep": {"dir": folder}}})
        launcher.setup(hydra_context=None, task_function=None, config=config)
        atexit.unregister(launcher._leave_nothing)
    for folder in ("new/sweep", "taken/sweep"):
        Path(folder).mkdir(parents=True)
        Path(folder, "multirun.yaml").write_text("of Hydra")
    Path("taken/run").write_text("of another sweep")
    Path("file").write_text("of the user")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    for launcher in launchers.values():
        launcher._leave_nothing()
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"own", "own/multirun.yaml", "taken", "taken/run", "elsewhere", "file"}


@pytest.mark.fault(23)
def test_a_sweep_with_a_failing_job(tmp_path):
    words = ("seed=0,0", "lr=0.01,1e20", "steps=20", "record_every=4")
    sweep = multirun(tmp_path / "console", *TINY, f"out={tmp_path / 'outputs'}", *words)
    assert sweep.ended() == 1
    good, bad = sorted(collect(tmp_path / "outputs"), key=lambda run: run.config["lr"])
    assert (good.status, bad.status) == ("finished", "failed")
    said, head, table = sweep.output.partition("status ")
    assert "is the same run as" in said
    lines = (head + table).splitlines()
    assert lines[0].split() == ["status", "PSNR", "dB", "seconds", "run"]
    assert lines[1].startswith("finished ")
    assert lines[1].endswith(f"{good.name}  lr=0.01")
    assert lines[2].startswith("failed ")
    assert lines[3].strip() == bad.result["error"]
    assert lines[4].strip() == f"log: {bad.path}/console.log"
    assert lines[5].startswith("2 jobs in ")
    assert lines[5].endswith(": 1 finished, 1 failed")
    assert lines[6] == f"report: {tmp_path / 'outputs' / 'report.html'}"
    (line,) = (tmp_path / "outputs" / "command.txt").read_text().splitlines()
    typed = shlex.split(line)
    assert typed[:3] == ["python", "train.py", "-m"]
    assert tuple(typed[-4:]) == words
    log = (bad.path / "console.log").read_text()
    assert "not finite" in log
    assert "\r" not in log


@pytest.mark.fault(24, 25)
def test_a_sweep_that_is_interrupted_and_then_killed_resumes(fit, tmp_path):
    words = (f"out={tmp_path / 'outputs'}", "steps=300", "record_every=5")
    first, _ = fit("seed=0", *words)
    before = (first / "result.json").stat().st_mtime_ns
    records = partial(tmp_path.glob, "outputs/*-seed1-*/metrics.csv")

    def struck(number: int, least: int) -> Child:
        """A sweep of four jobs that got a signal when the second had this number of records."""
        sweep = multirun(tmp_path / "console", *TINY, "seed=0,1,2,3", *words)
        sweep.wait_for(lambda: any(path.read_text().count("\n") > least for path in records()))
        sweep.send_signal(number)
        return sweep

    sweep = struck(signal.SIGINT, 2)
    assert sweep.ended() == 130
    assert "Run the same command again to resume.\n" in sweep.output
    assert "4 jobs in " in sweep.output
    assert "1 finished before, 1 interrupted, 2 not started" in sweep.output
    done = [path.read_text().count("\n") for path in records()]
    assert struck(signal.SIGKILL, done[0] + 2).ended() == -signal.SIGKILL
    sweep = multirun(tmp_path / "console", *TINY, "seed=0,1", *words)
    assert sweep.ended() == 0, sweep.output
    states = [line for line in sweep.output.splitlines() if line.startswith("finished ")]
    assert [line.startswith("finished before ") for line in states] == [True, False]
    assert (first / "result.json").stat().st_mtime_ns == before
    *_, last = (tmp_path / "outputs" / "command.txt").read_text().splitlines()
    assert "seed=0,1" in last.split()
    run = next(tmp_path.glob("outputs/*-seed1-*"))
    assert (run / "console.log").read_text().count("continuing from") == 2
    straight, _ = fit("seed=1", *words, f"out={tmp_path / 'straight'}")
    assert contents(straight) == contents(run)

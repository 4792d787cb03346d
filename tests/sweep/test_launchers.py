"""Sweeps as a user starts them: `python train.py -m ...`."""

import atexit
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from dip.report.collect import collect
from dip.sweep.processes import ProcessesLauncher
from tests.conftest import ROOT, TINY, environment, python
from tests.disturbed import contents
from tests.sweep.stubs import until

Multirun = Callable[..., subprocess.CompletedProcess[str]]


def command(tmp_path: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "train.py"), "-m", *TINY, f"out={tmp_path / 'outputs'}", *arguments]


@pytest.fixture
def multirun(tmp_path):
    """`multirun("seed=0,1")` runs a sweep of a tiny problem, with its runs in `tmp_path / "outputs"`."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python(*command(tmp_path, *arguments)[1:], cwd=tmp_path, timeout=200)

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["skips=[2],[9]"], "error: job 2 of 2 (size=32 "),
        (["steps=10,0"], ": steps=0: must be an integer >= 1, for example steps=3000; no job was started"),
        (["seed=0,1", "image=none.png"], "image=none.png: there is no such file"),
        (["target=noisy,nosy"], "error: target=nosy: must be one of "),
        (["steps=10,many"], "error: steps=many: must be an integer"),
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


def test_a_refused_sweep_leaves_nothing(multirun, tmp_path):
    assert multirun("skips=[1],[9]").returncode == 1
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
def test_a_sweep_with_a_failing_job(multirun, tmp_path):
    done = multirun("seed=0,0", "lr=0.01,1e20", "steps=20", "record_every=4")
    assert done.returncode == 1
    good, bad = sorted(collect(tmp_path / "outputs"), key=lambda run: run.config["lr"])
    assert (good.status, bad.status) == ("finished", "failed")
    assert "is the same run as" in done.stderr
    lines = done.stdout.splitlines()
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
    assert typed[-4:] == ["seed=0,0", "lr=0.01,1e20", "steps=20", "record_every=4"]
    log = (bad.path / "console.log").read_text()
    assert "not finite" in log
    assert "\r" not in log


@pytest.mark.fault(24, 25)
def test_a_sweep_that_is_interrupted_and_then_killed_resumes(multirun, fit, tmp_path):
    words = ("steps=300", "record_every=10")
    first, _ = fit("seed=0", *words)
    before = (first / "result.json").stat().st_mtime_ns

    def struck(number: int, seed: int) -> tuple[int, str]:
        """Start the sweep of four jobs and send it a signal when the job of this seed is at work."""
        process = subprocess.Popen(
            command(tmp_path, "seed=0,1,2,3", *words),
            env=environment(), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        records = f"outputs/*-seed{seed}-*/metrics.csv"
        until(lambda: any(path.read_text().count("\n") > 5 for path in tmp_path.glob(records)), 300)
        process.send_signal(number)
        printed, _ = process.communicate()
        return process.returncode, printed

    status, printed = struck(signal.SIGINT, 1)
    assert status == 130
    assert "Run the same command again to resume.\n4 jobs in " in printed
    assert "1 finished before, 1 interrupted, 2 not started" in printed
    assert struck(signal.SIGKILL, 2)[0] == -signal.SIGKILL
    again = multirun("seed=0,1,2", *words)
    assert again.returncode == 0, again.stderr
    assert [line.startswith("finished before ") for line in again.stdout.splitlines()[1:4]] == [True, True, False]
    assert (first / "result.json").stat().st_mtime_ns == before
    *_, last = (tmp_path / "outputs" / "command.txt").read_text().splitlines()
    assert "seed=0,1,2" in last.split()
    for seed in (1, 2):
        run = next(tmp_path.glob(f"outputs/*-seed{seed}-*"))
        assert "continuing from" in (run / "console.log").read_text()
        straight, _ = fit(f"seed={seed}", *words, f"out={tmp_path / 'straight'}")
        assert contents(straight) == contents(run)

"""Jobs on a Ray cluster (real Ray on this machine) and on Slurm (submitit's local executor, and the batch script)."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from dip.errors import DipError, OptionError
from dip.sweep.cluster import RayLauncher, SlurmLauncher
from dip.sweep.jobs import Job
from tests.sweep.stubs import hydra, interrupted, jobs, sweep, times, until

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's and submitit's own


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def on_ray(deeds: dict[Job, str], retries: int = 2) -> Any:
    launcher = hydra(RayLauncher(retries=retries), deeds)
    launcher.prepare([])
    return launcher


def on_slurm(out: Path, deeds: dict[Job, str], cluster: str = "local", **parameters: Any) -> Any:
    pytest.importorskip("submitit")
    launcher = hydra(SlurmLauncher(cluster, parameters), deeds, out)
    launcher.prepare([])
    return launcher


@pytest.fixture(params=["ray", "slurm"])
def some(request, tmp_path):
    """`some(4, {0: "exit"})` returns 4 jobs and a launcher; job 0 does "exit"."""
    if request.param == "ray":
        request.getfixturevalue("ray")

    def make(count: int, deeds: dict[int, str]) -> tuple[list[Job], Any]:
        made = jobs(tmp_path, count)
        named = {made[number]: deed for number, deed in deeds.items()}
        return made, on_ray(named) if request.param == "ray" else on_slurm(tmp_path, named, timeout_min=5)

    return make


def test_one_job_fails_and_the_others_run(some):
    outcomes, _ = sweep(*some(4, {0: "exit", 2: "die"}))
    assert [outcome.status for outcome in outcomes] == ["failed", "finished", "failed", "finished"]
    assert outcomes[0].error == "exit status 3: no such thing"
    assert outcomes[2].error == "killed by SIGKILL (out of memory?)"


def test_ctrl_c_reaches_the_job(some):
    (job,), launcher = some(1, {0: "long"})
    with interrupted(job):
        outcomes, _ = sweep([job], launcher)
    assert outcomes[0].status == "interrupted"
    until(lambda: (job.folder / "result.json").exists())
    assert '"interrupted"' in (job.folder / "result.json").read_text()


@pytest.mark.parametrize(("retries", "status"), [(2, "finished"), (0, "failed")])
def test_a_job_whose_worker_is_killed_is_started_again(ray, tmp_path, retries, status):
    (job,) = jobs(tmp_path, 1)
    with interrupted(job, number=signal.SIGKILL, process=True):
        outcomes, _ = sweep([job], on_ray({job: "once"}, retries))
    assert outcomes[0].status == status
    assert times(job) == (status == "finished")
    assert job.console.read_text().count("at work") == (2 if retries else 1)


def test_what_slurm_is_asked_for(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("sbatch", f"cp $1 {tmp_path}/script; echo Submitted batch job 12"), ("srun", "")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    parameters = {"timeout_min": 240, "cpus_per_task": 4, "gpus_per_node": 1, "mem_gb": 16, "slurm_partition": "gpu"}
    on_slurm(tmp_path, {}, "slurm", **parameters).start(jobs(tmp_path / "runs", 1)[0])
    script = (tmp_path / "script").read_text()
    for line in ("--time=240", "--cpus-per-task=4", "--gpus-per-node=1", "--mem=16GB", "--partition=gpu"):
        assert f"#SBATCH {line}\n" in script


def test_an_unknown_parameter_is_one_line(tmp_path):
    with pytest.raises(DipError, match="hydra/launcher=slurm: ") as caught:
        on_slurm(tmp_path, {}, colour="red")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"cpus": 0}, {"gpus": 1.5}, {"gpus": -1}, {"gpus": "a"}, {"retries": -1}])
def test_illegal_options_of_ray(options):
    with pytest.raises(OptionError, match=rf"hydra\.launcher\.{next(iter(options))}=.*: must be "):
        RayLauncher(**options)

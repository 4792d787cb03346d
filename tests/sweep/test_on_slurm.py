"""Jobs on Slurm: all the way with submitit's local executor, and the script that Slurm would get."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from dip.errors import DipError
from tests.sweep.stubs import doing, jobs, sweep, until

pytest.importorskip("submitit")

from dip.sweep.on_slurm import SlurmWorkers

pytestmark = pytest.mark.filterwarnings("ignore")  # submitit's own

PARAMETERS = {
    "timeout_min": 240,
    "cpus_per_task": 4,
    "gpus_per_node": 1,
    "mem_gb": 16,
    "slurm_partition": "gpu",
}


def test_one_job_fails_and_the_others_run(tmp_path: Path):
    three = jobs(tmp_path / "runs", 3)
    workers = SlurmWorkers(
        tmp_path / ".slurm", "local", {"timeout_min": 5}, doing({three[1]: "exit", three[2]: "die"}), {}
    )
    outcomes, _ = sweep(three, workers)
    assert [outcome.status for outcome in outcomes] == ["finished", "failed", "failed"]
    assert outcomes[1].error == "exit status 3: no such thing"
    assert outcomes[2].error == "killed by SIGKILL (out of memory?)"


def test_ctrl_c_reaches_the_job(tmp_path: Path):
    one = jobs(tmp_path / "runs", 1)

    def strike() -> None:
        until(lambda: (one[0].folder / "begun").exists())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=strike)
    thread.start()
    outcomes, _ = sweep(
        one, SlurmWorkers(tmp_path / ".slurm", "local", {"timeout_min": 5}, doing({one[0]: "long"}), {})
    )
    thread.join()
    assert outcomes[0].status == "interrupted"
    until(lambda: (one[0].folder / "result.json").exists())


def test_what_slurm_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("sbatch", f"cp $1 {tmp_path}/script; echo Submitted batch job 12"), ("srun", "")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    one = jobs(tmp_path / "runs", 1)[0]
    one.folder.mkdir(parents=True)
    SlurmWorkers(tmp_path / ".slurm", "slurm", PARAMETERS, doing({}), {}).start(one, 1)
    script = (tmp_path / "script").read_text()
    for line in ("--time=240", "--cpus-per-task=4", "--gpus-per-node=1", "--mem=16GB", "--partition=gpu"):
        assert f"#SBATCH {line}\n" in script


def test_an_unknown_parameter_is_one_line(tmp_path: Path):
    with pytest.raises(DipError, match="hydra/launcher=slurm: ") as caught:
        SlurmWorkers(tmp_path, "local", {"colour": "red"}, doing({}), {})
    assert "\n" not in str(caught.value)

"""In a job of a cluster, one run is still one process: Lightning does not read the launcher's variables."""

import os

import numpy as np
import pytest
from lightning.pytorch.utilities import rank_zero_only

import dip

LAUNCHERS = {
    "sbatch": {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "fit", "SLURM_PROCID": "2",
               "SLURM_LOCALID": "2", "SLURM_NODEID": "0"},
    "torchrun": {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "4",
                 "TORCHELASTIC_RUN_ID": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
    "mpirun": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
    "jsrun": {"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2", "LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "/none",
              "JSM_NAMESPACE_LOCAL_RANK": "1"},
}  # fmt: skip


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_run_in_a_job_of_several_processes(launcher, fit, monkeypatch):
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # Lightning reads it when it is imported
    before = dict(os.environ)
    folder, result = fit("steps=2", "logger=tensorboard")
    assert result["status"] == "finished"
    assert any(path.stat().st_size > 100 for path in folder.glob("events.out.tfevents.*"))
    assert dict(os.environ) == before
    assert rank_zero_only.rank == 1


def test_from_python(monkeypatch):
    options = {"net": {"channels": 6, "depth": 2}, "skips": [1], "steps": 2, "progress": False}
    photo = np.random.default_rng(0).random((16, 16, 3))
    expected = dip.restore(photo, **options).image
    for variables in LAUNCHERS.values():
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    assert np.array_equal(dip.restore(photo, **options).image, expected)

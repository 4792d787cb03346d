"""Jobs on devices: one job per place, shared by all sweeps, with the threads divided (real processes of a stub)."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from dip.sweep import claims
from dip.sweep.jobs import Job
from tests.sweep.stubs import jobs, local, sweep, until
from tests.sweep.test_loop import start


def environment(job: Job) -> dict[str, str]:
    return json.loads((job.folder / "environment.json").read_text())


def test_each_gpu_gets_one_job_at_a_time(tmp_path: Path):
    six = jobs(tmp_path, 6)
    workers = local(dict.fromkeys(six, "environment"), ["gpu-a", "gpu-b"])
    most: list[Counter[str]] = []
    begin = workers.start

    def watched(job):
        process = begin(job)
        most.append(Counter(p.device for p in workers.running if p.poll() is None))
        return process

    workers.start = watched
    outcomes, _ = sweep(six, workers)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 6
    assert max(max(counts.values()) for counts in most) == 1
    used = Counter(environment(job)["CUDA_VISIBLE_DEVICES"] for job in six)
    assert used == {"gpu-a": 3, "gpu-b": 3}
    assert {environment(job)["OMP_NUM_THREADS"] for job in six} == {"4"}  # of 8, for two at a time


def test_jobs_per_gpu(tmp_path: Path):
    four = jobs(tmp_path, 4)
    workers = local(dict.fromkeys(four, "long"), ["gpu-a", "gpu-b"], share=2)
    running = [workers.start(job) for job in four]
    assert workers.start(jobs(tmp_path, 5)[4]) is None
    assert Counter(process.device for process in running) == {"gpu-a": 2, "gpu-b": 2}
    for process in running:
        process.kill()
        until(lambda process=process: process.poll() is not None)


def test_most_limits_the_jobs_over_all_gpus(tmp_path: Path):
    workers = local({}, ["gpu-a", "gpu-b", "gpu-c"], most=1)
    assert workers.most == 1
    assert workers.threads == {}  # one job has all threads, as without a sweep


def test_on_a_cpu_the_threads_are_divided(tmp_path: Path):
    four = jobs(tmp_path, 4)
    outcomes, _ = sweep(four, local(dict.fromkeys(four, "environment"), ["cpu"], share=3, threads=8))
    assert [outcome.status for outcome in outcomes] == ["finished"] * 4
    for job in four:
        assert environment(job)["OMP_NUM_THREADS"] == "2"
        assert environment(job).get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")


def test_a_second_sweep_waits_for_a_device(tmp_path: Path):
    theirs = jobs(tmp_path / "theirs", 1)
    other = start(tmp_path / "theirs", 1, "gpu-a", "environment")
    until(lambda: (theirs[0].folder / "environment.json").exists())
    mine = jobs(tmp_path / "mine", 1)
    outcomes, said = sweep(mine, local({}, ["gpu-a"]))
    other.communicate()
    assert "waiting: other sweeps use all devices" in said
    assert outcomes[0].status == "finished"
    assert (theirs[0].folder / "times").stat().st_mtime_ns <= (mine[0].folder / "times").stat().st_mtime_ns


def test_a_job_keeps_its_gpu_when_its_sweep_is_killed(tmp_path: Path):
    one = jobs(tmp_path, 1)
    other = start(tmp_path, 1, "gpu-a", "deaf")
    until(lambda: (one[0].folder / "begun").exists())
    other.kill()
    other.communicate()
    assert claims.take("gpu-a", 1) is None
    os.kill(int((one[0].folder / "pid").read_text()), 9)
    taken: list[list[int]] = []

    def free() -> bool:
        claim = claims.take("gpu-a", 1)
        taken.extend([] if claim is None else [claim])
        return claim is not None

    until(free)
    claims.release(taken[0])


def test_the_environment_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as the entry point does for itself
    one = jobs(tmp_path, 1)
    sweep(one, local({one[0]: "environment"}))
    assert environment(one[0])["TQDM_DISABLE"] == "1"
    assert environment(one[0])["HYDRA_FULL_ERROR"] == "0"

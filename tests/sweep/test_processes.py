"""Jobs on devices: one job per place, shared by all sweeps, with the threads divided (real processes of a stub)."""

import json
import os
from collections import Counter

import pytest

from dip.errors import OptionError
from dip.sweep import claims, gpus, processes
from dip.sweep.gpus import CPU
from dip.sweep.jobs import Job
from dip.sweep.launcher import refuse_numbered
from dip.sweep.processes import ProcessesLauncher
from tests.sweep.stubs import jobs, local, start, sweep, until


def environment(job: Job) -> dict[str, str]:
    return json.loads((job.folder / "environment.json").read_text())


@pytest.mark.parametrize(
    ("cards", "cores", "at_once", "jobs_per_gpu", "expected"),
    [
        (["a", "b"], 8, None, 1, (["a", "b"], 1, 2, "4")),
        (["a", "b"], 8, None, 2, (["a", "b"], 2, 4, "2")),
        (["a", "b"], 8, 1, 1, (["a", "b"], 1, 1, None)),  # the default launcher: one job, the first free GPU
        (["a", "b"], 8, 9, 1, (["a", "b"], 1, 2, "4")),
        ([], 8, None, 1, ([CPU], 4, 4, "2")),
        ([], 8, 3, 1, ([CPU], 3, 3, "2")),
        ([], 2, 4, 1, ([CPU], 4, 4, "1")),
        ([], 2, 1, 1, ([CPU], 1, 1, None)),
        ([], 1, None, 1, ([CPU], 1, 1, None)),
    ],
)
def test_where_jobs_run(monkeypatch, tmp_path, cards, cores, at_once, jobs_per_gpu, expected):
    monkeypatch.setattr(gpus, "gpus", lambda: cards)
    monkeypatch.setattr(gpus, "cores", lambda: cores)
    launcher = ProcessesLauncher(at_once, jobs_per_gpu)
    launcher.prepare(jobs(tmp_path, 3))
    assert (launcher.devices, launcher.share, launcher.most, launcher.threads.get("OMP_NUM_THREADS")) == expected


def test_the_device_option_of_the_jobs(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "gpus", lambda: ["a"])
    two, launcher = jobs(tmp_path, 2), ProcessesLauncher(1)
    for job in two:
        job.config.device = "cpu"
    launcher.prepare(two)
    assert launcher.devices == [CPU]  # they claim no GPU
    two[1].config.device = "cuda:1"
    with pytest.raises(OptionError, match="device=cuda:1: must be auto in a sweep"):
        refuse_numbered(two)


@pytest.mark.parametrize("jobs_per_gpu", [1, 2])
def test_each_gpu_gets_its_number_of_jobs_at_a_time(tmp_path, jobs_per_gpu):
    some = jobs(tmp_path, 2 * jobs_per_gpu + 1)
    launcher = local(dict.fromkeys(some, "long"), ["gpu-a", "gpu-b"], jobs_per_gpu, most=None)
    running = [launcher.start(job) for job in some[:-1]]
    assert launcher.start(some[-1]) is None
    assert Counter(process.device for process in running) == {"gpu-a": jobs_per_gpu, "gpu-b": jobs_per_gpu}
    running[0].kill()
    running[0].wait()
    running[0] = launcher.start(some[-1])
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("cards", "threads"), [(["gpu-a", "gpu-b"], "4"), ([], "2")])
def test_the_environment_of_a_job(tmp_path, monkeypatch, cards, threads):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as the entry point does for itself
    four = jobs(tmp_path, 4)
    outcomes, _ = sweep(four, local(dict.fromkeys(four, "environment"), cards, most=None))
    assert [outcome.status for outcome in outcomes] == ["finished"] * 4
    found = [environment(job) for job in four]
    for name, value in {"OMP_NUM_THREADS": threads, "TQDM_DISABLE": "1", "HYDRA_FULL_ERROR": "0"}.items():
        assert {job[name] for job in found} == {value}
    visible = Counter(job.get("CUDA_VISIBLE_DEVICES") for job in found)
    assert visible == ({"gpu-a": 2, "gpu-b": 2} if cards else {"": 4})


def test_a_second_sweep_waits_for_a_device(tmp_path, caplog):
    (theirs,), (mine,) = jobs(tmp_path / "theirs", 1), jobs(tmp_path / "mine", 1)
    other = start(tmp_path / "theirs", 1, "gpu-a", "environment")
    until(lambda: (theirs.folder / "environment.json").exists())
    outcomes, _ = sweep([mine], local(cards=["gpu-a"]))
    other.communicate()
    (line,) = [line for line in caplog.messages if "waiting: other sweeps or processes use all devices" in line]
    assert f"(process {other.pid}, {(tmp_path / 'theirs').absolute()}); wait=false starts beside them" in line
    assert outcomes[0].status == "finished"
    assert (theirs.folder / "times").stat().st_mtime_ns <= (mine.folder / "times").stat().st_mtime_ns


@pytest.mark.parametrize("alone", [True, False])
def test_without_waiting_a_job_starts_beside_another_sweep_but_not_beside_its_own(tmp_path, caplog, monkeypatch, alone):
    monkeypatch.setattr(gpus, "free_memory", lambda: {"GPU-a": 0.0, "GPU-b": 0.0})
    some = jobs(tmp_path, 3)
    for job in some:
        job.config.wait = False
    launcher, claim = local(dict.fromkeys(some, "long"), ["GPU-a", "GPU-b"], most=None), claims.take("GPU-a", 1)
    launcher.alone |= set(some) if alone else set()
    running = [launcher.start(job) for job in some[:2]]
    assert {process.device for process in running} == {"GPU-a", "GPU-b"}
    assert launcher.start(some[2]) is None, "the limit of its own sweep holds"
    for process in running:
        process.kill()
        process.wait()
    claims.release(claim)
    assert "waiting" not in caplog.text


def test_a_job_keeps_its_gpu_when_its_sweep_is_killed(tmp_path):
    (job,) = jobs(tmp_path, 1)
    other = start(tmp_path, 1, "gpu-a", "deaf")
    until(lambda: (job.folder / "begun").exists())
    other.kill()
    other.communicate()
    assert claims.take("gpu-a", 1) is None
    os.kill(int((job.folder / "pid").read_text()), 9)
    taken: list[list[int] | None] = [None]

    def free() -> bool:
        taken[0] = claims.take("gpu-a", 1)
        return taken[0] is not None

    until(free)
    claims.release(taken[0])


def test_jobs_go_where_memory_is_free_and_wait_where_there_is_none(tmp_path, monkeypatch, caplog):
    free = {"GPU-a": 0.5, "GPU-b": 1.0, "GPU-c": 0.05}
    monkeypatch.setattr(gpus, "free_memory", lambda: dict(free))
    monkeypatch.setattr(processes, "LOOK_AGAIN", 0.0)
    some = jobs(tmp_path, 3)
    launcher = local({}, ["GPU-a", "GPU-b", "GPU-c"], most=None)
    running = [launcher.start(job) for job in some[:2]]
    assert [process.device for process in running] == ["GPU-b", "GPU-a"]
    for process in running:
        process.wait()
    free.update(dict.fromkeys(free, 0.01))
    assert launcher.start(some[2]) is None
    assert "a job starts where 10% of a GPU's memory are free; wait=false" in launcher.others()
    free["GPU-c"] = 0.9
    process = launcher.start(some[2])
    assert process.device == "GPU-c"
    process.wait()


def test_a_gpu_that_is_lost_gets_no_more_jobs(tmp_path, monkeypatch, caplog):
    free = {"GPU-a": 1.0, "GPU-b": 1.0}
    monkeypatch.setattr(gpus, "free_memory", lambda: dict(free))
    monkeypatch.setattr(processes, "LOOK_AGAIN", 0.0)
    launcher = local({}, ["GPU-a", "GPU-b"])
    del free["GPU-a"]
    outcomes, _ = sweep(jobs(tmp_path, 2), launcher)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 2
    assert launcher.devices == ["GPU-b"]
    assert "lost: GPU-a; GPUs that are left: 1" in caplog.text
    free.clear()
    free["GPU-other"] = 1.0
    outcomes, _ = sweep(jobs(tmp_path / "later", 2), launcher)
    assert [outcome.status for outcome in outcomes] == ["failed"] * 2
    assert "no GPU is left" in str(outcomes[0].error)


def test_a_job_out_of_memory_runs_once_more_alone_on_its_gpu(tmp_path):
    three = jobs(tmp_path, 3)
    launcher = local({three[0]: "full once", three[1]: "full", three[2]: "environment"}, ["gpu-a"], 2, most=None)
    outcomes, said = sweep(three, launcher)
    assert [outcome.status for outcome in outcomes] == ["finished", "failed", "finished"]
    assert said.count("out of memory, runs again at the end, alone on its GPU") == 2
    assert outcomes[1].error == "out of memory on cuda at 8 x 8"
    began = [float(line) for line in (three[0].folder / "starts").read_text().split()]
    others = [(job.folder / "times").stat().st_mtime for job in three[2:]]
    assert began[1] >= max(others), "no other job is at work on this GPU"


@pytest.mark.parametrize("hold", [True, False])
def test_a_job_that_was_alone_runs_again_only_if_others_held_the_memory(tmp_path, hold):
    (job,) = jobs(tmp_path, 1)
    outcomes, said = sweep([job], local({job: "full beside others" if hold else "full"}, ["gpu-a"]))
    assert outcomes[0].status == "failed"
    assert said.count("runs again") == hold

"""A sweep survives failing jobs, counts them, and stops in order (real processes of a stub)."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from dip import runs
from dip.sweep.jobs import Job
from dip.sweep.progress import Progress
from tests.sweep.stubs import interrupted, jobs, local, sweep, times, until


@pytest.mark.fault(18, 23)
@pytest.mark.parametrize("position", [0, 2, 4])
@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("raise", "ValueError: broken"),
        ("exit", "exit status 3: no such thing"),
        ("die", "killed by SIGKILL (out of memory?)"),
        ("no-result", "exit status 0 but no result"),
    ],
)
def test_one_job_fails_and_the_others_run(tmp_path: Path, deed: str, error: str, position: int):
    five = jobs(tmp_path, 5)
    outcomes, said = sweep(five, local({five[position]: deed}))
    assert [outcome.job for outcome in outcomes] == five
    for number, outcome in enumerate(outcomes):
        assert outcome.status == ("failed" if number == position else "finished")
        assert times(outcome.job) == (number != position)
    assert outcomes[position].error == error
    assert f"[{position + 1}/5] failed: {five[position].name} (seed={position}), " in said
    assert f"{error}; log: {five[position].console}" in said
    assert five[position].console.read_text().startswith("at work\n")
    written = runs.read_result(five[position].folder)
    assert written is not None
    assert (written["status"], written["error"]) == ("failed", error)


def test_finished_jobs_start_no_process(tmp_path: Path):
    three = jobs(tmp_path, 3)
    sweep(three[:2], local({}))
    outcomes, said = sweep(three, local({three[0]: "raise", three[1]: "raise"}))
    assert [(outcome.status, outcome.before) for outcome in outcomes] == [
        ("finished", True),
        ("finished", True),
        ("finished", False),
    ]
    assert [times(job) for job in three] == [1, 1, 1]
    assert said.count("finished before") == 2


@pytest.mark.fault(24)
@pytest.mark.parametrize("content", ["", '{"status": "fini', '{"status": "finished"}'])
def test_a_job_whose_result_is_cut_runs_again(tmp_path: Path, content: str):
    one = jobs(tmp_path, 1)
    sweep(one, local({}))
    (one[0].folder / "result.json").write_text(content)
    outcomes, _ = sweep(one, local({}))
    assert (outcomes[0].status, outcomes[0].before, times(one[0])) == ("finished", False, 2)


def test_overwrite_runs_a_finished_job_again(tmp_path: Path):
    one = jobs(tmp_path, 1)
    sweep(one, local({}))
    one[0].config.overwrite = True
    outcomes, _ = sweep(one, local({}))
    assert (outcomes[0].status, outcomes[0].before, times(one[0])) == ("finished", False, 2)
    outcomes, _ = sweep(one, local({one[0]: "exit"}))
    assert outcomes[0].status == "failed"  # not judged by the old result


def test_a_job_that_fails_again_reports_its_last_attempt(tmp_path: Path):
    one = jobs(tmp_path, 1)
    sweep(one, local({one[0]: "raise"}))
    outcomes, _ = sweep(one, local({one[0]: "exit"}))
    assert outcomes[0].error == "exit status 3: no such thing"
    assert sweep(one, local({}))[0][0].status == "finished"


@pytest.mark.fault(25)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_what_runs_and_starts_nothing_more(tmp_path: Path, number: signal.Signals):
    three = jobs(tmp_path, 3)
    handler = signal.getsignal(number)
    with interrupted(three[1], number=number):
        outcomes, said = sweep(three, local({three[1]: "long"}))
    assert [outcome.status for outcome in outcomes] == ["finished", "interrupted", "not started"]
    assert "the running jobs write a checkpoint" in said
    assert runs.read_result(three[1].folder)["status"] == "interrupted"
    assert not three[2].folder.exists()
    assert signal.getsignal(number) == handler


def test_a_second_signal_kills_a_job_that_ignores_the_first(tmp_path: Path):
    one = jobs(tmp_path, 1)
    with interrupted(one[0], times=2):
        outcomes, _ = sweep(one, local({one[0]: "deaf"}))
    assert outcomes[0].status == "interrupted"
    assert runs.read_result(one[0].folder) is None  # this is not a failure of the run


SWEEP = """
import sys
from pathlib import Path
from tests.sweep.stubs import jobs, local, sweep
some = jobs(Path(sys.argv[1]), int(sys.argv[2]))
outcomes, said = sweep(some, local({job: deed for job, deed in zip(some, sys.argv[4:])}, sys.argv[3].split(",")))
print(said, [outcome.status for outcome in outcomes])
"""


def start(out: Path, count: int, devices: str, *deeds: str) -> subprocess.Popen[str]:
    """A sweep in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(out), str(count), devices, *deeds],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


@pytest.mark.fault(25)
def test_two_sweeps_over_the_same_jobs_share_them(tmp_path: Path):
    some = jobs(tmp_path, 6)
    both = [start(tmp_path, 6, device, *["environment"] * 6) for device in ("gpu-a", "gpu-b")]
    for said in [process.communicate(timeout=60)[0] for process in both]:
        assert said.count("'finished'") == 6
    assert [times(job) for job in some] == [1] * 6


@pytest.mark.fault(24)
def test_a_killed_sweep_takes_its_jobs_with_it_in_order(tmp_path: Path):
    if sys.platform != "linux":
        pytest.skip("the kernel tells a process of its parent's death on Linux only")
    three = jobs(tmp_path, 3)
    process = start(tmp_path, 3, "cpu", "finish", "long")
    until(lambda: (three[1].folder / "begun").exists())
    process.kill()
    process.communicate()
    outcomes, _ = sweep(three, local({}))  # waits for the job that is still saving
    assert [(outcome.status, outcome.before) for outcome in outcomes] == [
        ("finished", True),
        ("finished", False),
        ("finished", False),
    ]
    assert [times(job) for job in three] == [1, 1, 1]


def test_a_job_of_another_sweep_is_waited_for(tmp_path: Path):
    one = jobs(tmp_path, 1)
    other = start(tmp_path, 1, "gpu-a", "environment")
    until(lambda: (one[0].folder / "environment.json").exists())
    outcomes, said = sweep(one, local({}, ["gpu-b"]))
    other.communicate()
    assert "waiting for another sweep, which runs 1 of the jobs" in said
    assert (outcomes[0].before, times(one[0])) == (True, 1)


def test_a_run_folder_that_cannot_be_made_is_a_failure_of_that_job(tmp_path: Path):
    three = jobs(tmp_path, 3)
    three[1].folder.write_text("a file in the place of the folder")
    outcomes, _ = sweep(three, local({}))
    assert [outcome.status for outcome in outcomes] == ["finished", "failed", "finished"]
    folder = three[1].folder
    assert outcomes[1].error == f"{folder}: cannot be written (File exists); choose another folder with out=FOLDER"


def test_a_lock_that_cannot_be_opened_is_a_failure_of_that_job(tmp_path: Path):
    two = jobs(tmp_path, 2)
    (two[0].folder / ".lock").mkdir(parents=True)
    outcomes, _ = sweep(two, local({}))
    assert [outcome.status for outcome in outcomes] == ["failed", "finished"]


def test_any_error_at_the_start_of_a_job_is_a_failure_of_that_job(tmp_path: Path):
    three, calls = jobs(tmp_path, 3), iter([ZeroDivisionError("odd"), None, None])
    workers = local({})
    command = workers.command

    def sometimes(job):
        error = next(calls)
        if error is not None:
            raise error
        return command(job)

    workers.command = sometimes
    outcomes, _ = sweep(three, workers)
    assert [outcome.status for outcome in outcomes] == ["failed", "finished", "finished"]
    assert outcomes[0].error == "ZeroDivisionError: odd"


def test_a_job_that_another_process_runs_first_is_waited_for(tmp_path: Path):
    """Both sweeps have started the job's process before either locked the folder; the second process is refused."""
    one = jobs(tmp_path, 1)
    one[0].folder.mkdir(parents=True)
    workers = local({one[0]: "environment"})
    begin = workers.start

    def start(job):
        workers.start = begin
        lock = runs.Lock(job.folder).__enter__()
        threading.Timer(1.0, lock.__exit__, (None, None, None)).start()
        return begin(job)

    workers.start = start
    outcomes, said = sweep(one, workers)
    assert said.count("started: ") == 2
    assert (outcomes[0].status, times(one[0])) == ("finished", 1)


def test_more_jobs_in_a_queue_than_file_descriptors(tmp_path: Path):
    """A sweep that held a descriptor per submitted job would end itself."""
    many: list[Job] = jobs(tmp_path, 60)
    submitted: list[Job] = []

    class Queued(SimpleNamespace):
        def poll(self) -> int | None:
            if len(submitted) < len(many):
                return None
            runs.write_json(self.job.folder / "result.json", {"status": "finished", "config": {}})
            return 0

    def submit(job: Job) -> Queued:
        submitted.append(job)
        job.folder.mkdir()
        return Queued(job=job)

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, limits[1]))
    try:
        outcomes, _ = sweep(many, SimpleNamespace(start=submit))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 60


def test_an_error_of_the_sweep_itself_leaves_no_job_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = jobs(tmp_path, 1)

    def broken(self: Progress, running: int) -> None:
        if (one[0].folder / "begun").exists():
            raise ZeroDivisionError

    monkeypatch.setattr(Progress, "update", broken)
    with pytest.raises(ZeroDivisionError):
        sweep(one, local({one[0]: "long"}))
    assert runs.read_result(one[0].folder)["status"] == "interrupted"

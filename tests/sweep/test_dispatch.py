"""A sweep survives failing jobs, counts them, and stops in order (real processes of a stub)."""

import signal
import sys
import threading

import pytest

from dip import runs
from dip.sweep.progress import Progress
from tests.sweep.stubs import interrupted, jobs, local, start, sweep, times, until


@pytest.mark.fault(18, 23)
@pytest.mark.parametrize(
    ("deed", "error", "position"),
    [
        ("raise", "ValueError: broken", 0),
        ("exit", "exit status 3: no such thing", 2),
        ("die", "killed by SIGKILL (out of memory?)", 4),
        ("no-result", "exit status 0 but no result", 2),
    ],
)
def test_one_job_fails_and_the_others_run(tmp_path, deed, error, position):
    five = jobs(tmp_path, 5)
    outcomes, said = sweep(five, local({five[position]: deed}))
    assert [outcome.job for outcome in outcomes] == five
    for number, outcome in enumerate(outcomes):
        assert outcome.status == ("failed" if number == position else "finished")
        assert times(outcome.job) == (number != position)
    assert outcomes[position].error == error
    assert f"[{position + 1}/5] failed: seed={position}, " in said
    assert f"{error}; log: {five[position].console}" in said
    assert five[position].console.read_text().startswith("at work\n")
    written = runs.read_result(five[position].folder)
    assert written is not None
    assert (written["status"], written["error"]) == ("failed", error)


def test_finished_jobs_start_no_process(tmp_path):
    three = jobs(tmp_path, 3)
    sweep(three[:2], local())
    outcomes, said = sweep(three, local({three[0]: "raise", three[1]: "raise"}))
    assert [outcome.label for outcome in outcomes] == ["finished before", "finished before", "finished"]
    assert [times(job) for job in three] == [1, 1, 1]
    assert said.count("finished before") == 2


@pytest.mark.fault(24)
@pytest.mark.parametrize("content", ["", '{"status": "fini', '{"status": "finished"}', "overwrite"])
def test_a_job_whose_result_is_cut_or_overwritten_runs_again(tmp_path, content):
    (job,) = jobs(tmp_path, 1)
    sweep([job], local())
    if content == "overwrite":
        job.config.overwrite = True
    else:
        (job.folder / "result.json").write_text(content)
    (outcome,), _ = sweep([job], local())
    assert (outcome.label, times(job)) == ("finished", 2)


@pytest.mark.parametrize("earlier", ["finish", "raise"])
def test_a_job_is_not_judged_by_an_earlier_result(tmp_path, earlier):
    (job,) = jobs(tmp_path, 1)
    job.config.overwrite = True
    sweep([job], local({job: earlier}))
    (outcome,), _ = sweep([job], local({job: "exit"}))
    assert outcome.error == "exit status 3: no such thing"
    assert sweep([job], local())[0][0].status == "finished"


@pytest.mark.fault(25)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_what_runs_and_starts_nothing_more(tmp_path, number):
    three = jobs(tmp_path, 3)
    handler = signal.getsignal(number)
    with interrupted(three[1], number=number):
        outcomes, said = sweep(three, local({three[1]: "long"}))
    assert [outcome.status for outcome in outcomes] == ["finished", "interrupted", "not started"]
    assert "the running jobs write a checkpoint" in said
    assert runs.read_result(three[1].folder)["status"] == "interrupted"
    assert not three[2].folder.exists()
    assert signal.getsignal(number) == handler


def test_a_second_signal_kills_a_job_that_ignores_the_first(tmp_path):
    one = jobs(tmp_path, 1)
    with interrupted(one[0], times=2):
        outcomes, _ = sweep(one, local({one[0]: "deaf"}))
    assert outcomes[0].status == "interrupted"
    assert runs.read_result(one[0].folder) is None  # this is not a failure of the run


@pytest.mark.fault(25)
def test_two_sweeps_over_the_same_jobs_share_them(tmp_path):
    some = jobs(tmp_path, 6)
    both = [start(tmp_path, 6, device, *["environment"] * 6) for device in ("gpu-a", "gpu-b")]
    for said in [process.communicate(timeout=60)[0] for process in both]:
        assert said.count("'finished'") == 6
    assert [times(job) for job in some] == [1] * 6


@pytest.mark.fault(24)
def test_a_killed_sweep_takes_its_jobs_with_it_in_order(tmp_path):
    if sys.platform != "linux":
        pytest.skip("the kernel tells a process of its parent's death on Linux only")
    three = jobs(tmp_path, 3)
    process = start(tmp_path, 3, "", "finish", "long")
    until(lambda: (three[1].folder / "begun").exists())
    process.kill()
    process.communicate()
    outcomes, _ = sweep(three, local())  # waits for the job that is still saving
    assert [outcome.label for outcome in outcomes] == ["finished before", "finished", "finished"]
    assert [times(job) for job in three] == [1, 1, 1]


def test_a_job_of_another_sweep_is_waited_for(tmp_path, caplog):
    one = jobs(tmp_path, 1)
    other = start(tmp_path, 1, "gpu-a", "environment")
    until(lambda: (one[0].folder / "environment.json").exists())
    outcomes, _ = sweep(one, local(cards=["gpu-b"]))
    other.communicate()
    assert f"waiting: another process runs the jobs that are left (1, the first in {one[0].folder})" in caplog.text
    assert (outcomes[0].before, times(one[0])) == (True, 1)


def test_any_error_at_the_start_of_a_job_is_a_failure_of_that_job(tmp_path):
    four, launcher = jobs(tmp_path, 4), local()
    four[0].folder.write_text("a file in the place of the folder")
    (four[1].folder / ".lock").mkdir(parents=True)  # cannot be opened
    command = launcher.command
    launcher.command = lambda job: 1 / 0 if job is four[2] else command(job)
    outcomes, _ = sweep(four, launcher)
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "failed", "finished"]
    folder = four[0].folder
    assert outcomes[0].error == f"{folder}: cannot be written (File exists); choose another folder with out=FOLDER"
    assert outcomes[2].error == "ZeroDivisionError: division by zero"


def test_a_job_that_another_process_runs_first_is_waited_for(tmp_path):
    """Both sweeps have started the job's process before either locked the folder; the second process is refused."""
    one = jobs(tmp_path, 1)
    one[0].folder.mkdir(parents=True)
    launcher = local({one[0]: "environment"})
    begin = launcher.start

    def beaten(job):
        launcher.start = begin
        lock = runs.Lock(job.folder).__enter__()
        threading.Timer(1.0, lock.__exit__, (None, None, None)).start()
        return begin(job)

    launcher.start = beaten
    outcomes, said = sweep(one, launcher)
    assert said.count("started: ") == 2
    assert (outcomes[0].status, times(one[0])) == ("finished", 1)


def test_an_error_of_the_sweep_itself_leaves_no_job_behind(tmp_path, monkeypatch):
    one = jobs(tmp_path, 1)

    def broken(self: Progress, running: int) -> None:
        if (one[0].folder / "begun").exists():
            raise ZeroDivisionError

    monkeypatch.setattr(Progress, "update", broken)
    with pytest.raises(ZeroDivisionError):
        sweep(one, local({one[0]: "long"}))
    assert runs.read_result(one[0].folder)["status"] == "interrupted"

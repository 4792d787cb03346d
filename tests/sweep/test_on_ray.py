"""Jobs on a Ray cluster of this machine (real Ray, processes of a stub)."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.sweep.stubs import doing, jobs, sweep, times, until

ray = pytest.importorskip("ray")

from dip.sweep.on_ray import RayWorkers  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def workers(deeds, retries: int = 2) -> RayWorkers:
    return RayWorkers(None, 1, None, retries, doing(deeds), {})


def test_one_job_fails_and_the_others_run(tmp_path: Path):
    four = jobs(tmp_path, 4)
    outcomes, _ = sweep(four, workers({four[0]: "exit", four[2]: "die"}))
    assert [outcome.status for outcome in outcomes] == ["failed", "finished", "failed", "finished"]
    assert outcomes[0].error == "exit status 3: no such thing"
    assert outcomes[2].error == "killed by SIGKILL (out of memory?)"


@pytest.mark.parametrize(("retries", "status"), [(2, "finished"), (0, "failed")])
def test_a_job_whose_worker_is_killed_is_started_again(tmp_path: Path, retries: int, status: str):
    one = jobs(tmp_path, 1)

    def strike() -> None:
        until(lambda: (one[0].folder / "begun").exists())
        os.kill(int((one[0].folder / "begun").read_text()), signal.SIGKILL)

    thread = threading.Thread(target=strike)
    thread.start()
    outcomes, _ = sweep(one, workers({one[0]: "once"}, retries))
    thread.join()
    assert outcomes[0].status == status
    assert times(one[0]) == (status == "finished")
    assert one[0].console.read_text().count("at work") == (2 if retries else 1)


def test_ctrl_c_reaches_the_job(tmp_path: Path):
    one = jobs(tmp_path, 1)

    def strike() -> None:
        until(lambda: (one[0].folder / "begun").exists())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=strike)
    thread.start()
    outcomes, _ = sweep(one, workers({one[0]: "long"}))
    thread.join()
    assert outcomes[0].status == "interrupted"
    assert '"interrupted"' in (one[0].folder / "result.json").read_text()

"""One process at a time in a run folder, and a killed one never in the way of the next."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dip.errors import RunError
from dip.runs import locks
from dip.runs.locks import Lock

ROOT = Path(__file__).parents[2]


def python(code, *args):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


HOLD = """
    import sys, time
    from dip.runs.locks import Lock
    with Lock(sys.argv[1]):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = python(HOLD, tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_the_first_is(tmp_path, holder):
    who = rf"process {holder.pid} on {re.escape(socket.gethostname())} \(started \d{{4}}-\d\d-\d\dT[^)]+\)"
    with pytest.raises(RunError, match=rf"run: {who} is at work here"), Lock(tmp_path / "run"):
        pass
    assert holder.poll() is None
    assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == holder.pid


def test_the_lock_of_a_killed_process_is_taken_over_and_that_is_said(tmp_path, holder, caplog):
    (tmp_path / "run" / ".result.json.1-0123abcd.tmp").touch()
    holder.kill()
    holder.wait()
    with Lock(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()
    assert f"taking over from process {holder.pid} on" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert os.listdir(tmp_path / "run") == [], "lock and temporaries are gone"


def test_a_lock_is_released_without_a_trace_and_can_be_taken_again(tmp_path, caplog):
    for _ in range(3):
        with Lock(tmp_path / "deep" / "run") as lock:
            assert lock.path.exists()
            with pytest.raises(RunError, match=f"process {os.getpid()} on"), Lock(lock.folder):
                pass
        assert os.listdir(lock.folder) == []
    assert caplog.records == []


def test_a_lock_is_released_when_the_run_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), Lock(tmp_path):
        raise ZeroDivisionError
    with Lock(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_a_lock_file_removed_between_opening_and_locking_is_not_mistaken_for_the_lock(tmp_path, monkeypatch):
    real, tries = locks._flock, []

    def flock(descriptor):
        if not tries:
            os.unlink(tmp_path / ".lock")  # the previous holder leaves just now
        tries.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(locks, "_flock", flock)
    with Lock(tmp_path) as lock:
        assert os.path.samestat(os.fstat(lock._descriptor), os.stat(tmp_path / ".lock"))
    assert len(tries) == 2


def test_only_one_process_at_a_time_holds_a_lock(tmp_path):
    hammer = """
        import sys, time
        from pathlib import Path
        from dip.errors import RunError
        from dip.runs.locks import Lock
        count, done = Path(sys.argv[1]) / "count", 0
        while done < 50:
            try:
                with Lock(sys.argv[1]):
                    number = int(count.read_text())
                    time.sleep(0.0005)
                    count.write_text(str(number + 1))
                    done += 1
            except RunError:
                time.sleep(0.0005)
    """
    (tmp_path / "count").write_text("0")
    processes = [python(hammer, tmp_path) for _ in range(3)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "150"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file/run: cannot hold a run"), Lock(tmp_path / "file" / "run"):
        pass


def test_without_file_locks_a_run_goes_on_with_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(locks, "fcntl", None)
    with Lock(tmp_path):
        pass
    assert "no file locks here" in caplog.text

"""One process at a time in a run folder; a killed process never blocks the next one."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap

import pytest

from dip.errors import RunError
from dip.runs.locks import Lock
from tests.conftest import ROOT


def python(code, *args):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.fixture
def holder(tmp_path):
    hold = """
        import sys, time
        from dip.runs.locks import Lock
        with Lock(sys.argv[1]):
            print("held", flush=True)
            time.sleep(60)
    """
    process = python(hold, tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.fault(7)
def test_a_second_process_is_refused_and_the_first_is_named(tmp_path, holder):
    who = rf"process {holder.pid} on {re.escape(socket.gethostname())} \(started \d{{4}}-\d\d-\d\dT[^)]+\)"
    with pytest.raises(RunError, match=rf"run: in use by {who}; wait"), Lock(tmp_path / "run"):
        pass
    assert holder.poll() is None
    assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == holder.pid


@pytest.mark.fault(7)
def test_the_lock_of_a_killed_process_is_taken_over_with_a_warning(tmp_path, holder, caplog):
    (tmp_path / "run" / ".result.json.1-0123abcd.tmp").touch()
    holder.kill()
    holder.wait()
    with Lock(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()
    assert f"taking over the lock of process {holder.pid} on" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert os.listdir(tmp_path / "run") == [], "lock and temporary files are gone"


def test_a_lock_is_released_without_a_trace_and_can_be_taken_again(tmp_path, caplog):
    for _ in range(3):
        with Lock(tmp_path / "deep" / "run") as lock:
            assert lock.path.exists()
            with pytest.raises(RunError, match=f"process {os.getpid()} on"), Lock(lock.folder):
                pass
        assert os.listdir(lock.folder) == []
    with pytest.raises(ZeroDivisionError), Lock(tmp_path):
        raise ZeroDivisionError
    with Lock(tmp_path):
        assert (tmp_path / ".lock").exists()
    assert caplog.records == []


@pytest.mark.fault(7)
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


@pytest.mark.fault(16)
def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file/run: cannot be used as a run folder"), Lock(tmp_path / "file" / "run"):
        pass

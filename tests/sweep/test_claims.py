"""A place on a device is claimed by one process, and free again when that process ends."""

import errno
import os
import subprocess
import sys
import tempfile

import pytest

from dip.errors import RunError
from dip.sweep import claims

HOLD = """
import sys
from dip.sweep import claims
print(claims.take(sys.argv[1], int(sys.argv[2])) is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other():
    """`other(device, share)` claims a place in another process, which keeps it until the test ends."""
    processes = []

    def take(device: str, share: int) -> tuple[bool, subprocess.Popen]:
        command = [sys.executable, "-c", HOLD, device, str(share)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process.stdout.readline() == "True\n", process

    yield take
    for process in processes:
        process.kill()
        process.communicate()


def test_a_device_is_for_one_process_until_it_is_killed(other):
    held, process = other("gpu-a", 1)
    assert held
    assert claims.take("gpu-a", 1) is None
    process.kill()
    process.wait()
    for device in ("gpu-a", "gpu-b"):
        claim = claims.take(device, 1)
        assert claim is not None
        claims.release(claim)


def test_shared_places_are_counted(other):
    mine = [claims.take("gpu-a", 2), claims.take("gpu-a", 2)]
    assert None not in mine
    assert claims.take("gpu-a", 2) is None
    assert not other("gpu-a", 2)[0]
    claims.release(mine[0])
    assert other("gpu-a", 2)[0]
    claims.release(mine[1])


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 2), (2, 1)])
def test_a_refused_claim_leaves_nothing_open(other, first, second):
    """Exclusive and shared claims exclude each other."""
    assert other("gpu-a", first)[0]
    before = os.listdir("/proc/self/fd")
    assert claims.take("gpu-a", second) is None
    assert os.listdir("/proc/self/fd") == before


def test_refuses_a_folder_that_another_user_could_have_created(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"dip-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is not your own folder; set TMPDIR"):
        claims.take("gpu-a", 1)


def test_a_full_disk_loses_the_label_and_not_the_claim(monkeypatch):
    def full(descriptor: int, text: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    tempfile.gettempdir()  # tries to write where it was not called before
    monkeypatch.setattr(os, "write", full)
    claim = claims.take("gpu-a", 1, "mine")
    assert claim is not None
    assert claims.take("gpu-a", 1) is None
    claims.release(claim)
    claims.release(claims.take("gpu-a", 1))


def test_labels_are_those_of_this_device():
    """The numbers of devices may begin alike, and shared devices have a file per place."""
    held = [claims.take("1", 2, "one"), claims.take("1", 2, "two"), claims.take("10", 1, "ten")]
    assert claims.labels("1") == ["one", "two"]
    assert claims.labels("10") == ["ten"]
    for claim in held:
        claims.release(claim)

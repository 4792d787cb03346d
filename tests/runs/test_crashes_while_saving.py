"""A kill at any instant, or a full disk, leaves the old checkpoint or the new one, whole."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dip.errors import RunError
from dip.runs.checkpoints import latest, write
from dip.runs.generations import path_of, store, stored, verified

ROOT = Path(__file__).parents[2]
NEW = b"new " * 1000  # what kill_at_every_call.py writes


def put(folder, *steps, data=None, keep=2):
    for step in steps:
        store(path_of(folder, step), data or b"step %d" % step, "me", {}, keep)


def state(value=1.0):
    return {"state_dict": {"w": torch.full((8, 4), float(value))}, "step": 7}


def value_of(found):
    return found["state_dict"]["w"][0, 0].item()


def kill_at_every_call(kind, start, step, out):
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "runs" / "kill_at_every_call.py", kind, start, str(step), out],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("before", "step"),
    [([], 10), ([10], 20), ([10, 20], 30), ([10, 20], 20), ([10], 10), ([10, 20], 15), ([10, 20], 5)],
    ids=["first", "second", "third", "same step", "only step again", "back between", "back to the start"],
)
def test_a_kill_at_any_instant_leaves_the_old_or_the_new_and_nothing_partial(tmp_path, before, step):
    start, out = tmp_path / "start", tmp_path / "out"
    start.mkdir()
    put(start, *before)
    old = {path.name: path.read_bytes() for path in stored(start)}
    operations = kill_at_every_call("generations", start, step, out)
    # The data, the manifest and its folder are on the disk when the checkpoint gets its name.
    put_down, sync_folder = ["open", "write", "fsync", "close"], ["open", "fsync", "close"]
    expected = [*put_down, *put_down, "replace", *sync_folder, "replace", *sync_folder]
    assert operations[: len(expected)] == expected
    assert set(operations[len(expected) :]) <= {"unlink"}
    for number in range(len(operations)):
        folder = out / str(number)
        found = {path.name: verified(path)[0] for path in stored(folder)}  # raises for anything partial
        name = path_of(folder, step).name
        if found.get(name) == NEW:
            assert set(found) <= set(old) | {name}
        else:
            assert found == old
        assert found or not before, "a valid one existed, so one does"
        put(folder, 40, 50)
        assert sorted(os.listdir(folder)) == [
            f"step-0000000{n}.{kind}" for n in (40, 50) for kind in ("ckpt", "json")
        ]


def test_a_kill_at_any_instant_leaves_the_old_state_or_the_new(tmp_path):
    start, out = tmp_path / "start", tmp_path / "out"
    for step in (10, 20):
        write(start, state(step), step, "me")
    operations = kill_at_every_call("checkpoints", start, 30, out)
    seen = []
    for number in range(len(operations)):
        step, found = latest(out / str(number), "me")
        assert value_of(found) == (-1 if step == 30 else step)
        assert not list((out / str(number)).glob(".*"))
        seen.append(step)
    assert seen == sorted(seen), "from some instant on it is the new one"
    assert set(seen) == {20, 30}


def test_a_rename_that_fails_after_the_manifest_leaves_the_same_steps_old_file_valid(tmp_path, monkeypatch):
    put(tmp_path, 10, data=b"old")
    real = os.replace

    def replace(source, target):
        if str(target).endswith(".ckpt"):
            raise OSError(5, "broken disk")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    for _ in range(2):  # twice: the record of the old file is carried on
        with pytest.raises(OSError, match="broken disk"):
            put(tmp_path, 10, data=b"new")
        assert verified(path_of(tmp_path, 10))[0] == b"old"
    monkeypatch.setattr(os, "replace", real)
    put(tmp_path, 10, data=b"new")
    assert verified(path_of(tmp_path, 10))[0] == b"new"


@pytest.mark.parametrize("limit", [10, 2000])
def test_a_full_disk_leaves_the_older_files_and_no_litter(tmp_path, limit):
    put(tmp_path, 10, 20)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(RunError, match=r"step-000000030.ckpt: cannot be written, 50000 bytes needed"):
            put(tmp_path, 30, data=bytes(50_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_older_checkpoints_and_says_what_was_needed(tmp_path):
    for step in (10, 20):
        write(tmp_path, state(step), step, "me")
    before = sorted(os.listdir(tmp_path))
    size = path_of(tmp_path, 20).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, hard))
    try:
        with pytest.raises(
            RunError, match=rf"step-000000030.ckpt: cannot be written, {size} bytes needed, \d+ bytes free"
        ):
            write(tmp_path, state(30), 30, "me")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(os.listdir(tmp_path)) == before
    assert value_of(latest(tmp_path, "me")[1]) == 20

"""Damaged, foreign and malicious checkpoints are refused, and nothing in a file is executed."""

import contextlib
import io
import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from dip.errors import RunError
from dip.runs import checkpoint_files
from dip.runs.checkpoint_files import DamagedError, DipCheckpointIO, latest, path_of, store, stored, verified, write
from tests.conftest import ROOT
from tests.runs.states import DAMAGES, put, state, usable

# Crashes while saving


class Killed(BaseException):
    pass


def write_until(fatal: int, folder: Path, step: int) -> list[str]:
    """Write a checkpoint of weights -1 in a process that dies before file operation `fatal`; returns those done.

    Before `fsync`, half of the data is on the disk. After the process's death no operation has an effect.
    """
    done: list[str] = []

    def wrapped(name: str):
        real = getattr(os, name)

        def call(*args, **kwargs):
            if len(done) >= fatal:
                if len(done) == fatal and name == "fsync" and "replace" not in done:
                    os.truncate(args[0], os.fstat(args[0]).st_size // 2)
                done.append("killed")
                raise Killed
            done.append(name)
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        for name in ("fsync", "replace", "open", "close", "rename", "unlink", "mkdir"):
            patch.setattr(os, name, wrapped(name))
        write(folder, state(-1), step, "me")
    return done


@pytest.mark.fault(2, 14)
@pytest.mark.parametrize(
    ("before", "step"),
    [([], 10), ([10, 20], 30), ([10, 20], 20), ([10], 10), ([10, 20], 15), ([10, 20], 5)],
    ids=["first", "third", "same step", "only step again", "back between", "back to the start"],
)
def test_a_kill_at_any_instant_leaves_the_old_or_the_new_and_nothing_partial(tmp_path, before, step):
    start = tmp_path / "start"
    start.mkdir()
    put(start, *before)
    old = {path.name: path.read_bytes() for path in stored(start)}
    operations = write_until(99, Path(shutil.copytree(start, tmp_path / "whole")), step)
    operations.remove("mkdir")
    # The data are on the disk when the checkpoint gets its name.
    expected = ["fsync", "replace", "open", "fsync", "close"]
    assert operations[: len(expected)] == expected
    assert set(operations[len(expected) :]) <= {"unlink"}
    seen = []
    for number in range(len(operations) + 1):
        folder = Path(shutil.copytree(start, tmp_path / str(number)))
        assert "killed" in write_until(number, folder, step)
        found = {path.name: verified(path)[0] for path in stored(folder)}  # raises for anything partial
        name = path_of(folder, step).name
        seen.append(name in found and found[name] != old.get(name))
        assert seen[-1] or found == old
        assert found or not before, "a valid one existed, so one does"
        put(folder, 40, 50)
        assert sorted(os.listdir(folder)) == ["step-000000040.ckpt", "step-000000050.ckpt"]
    assert seen == sorted(seen), "from some instant on it is the new one"


# Damage


@pytest.mark.fault(11)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_skipped_with_a_warning(tmp_path, caplog, damage):
    put(tmp_path, 10, 20)
    damage(path_of(tmp_path, 20))
    assert usable(tmp_path) == 10
    assert re.search(r"WARNING .*step-000000020.ckpt: .*; trying the previous checkpoint", caplog.text)
    put(tmp_path, 20)  # the run resumes and reaches this step again
    assert usable(tmp_path) == 20


@pytest.mark.fault(11)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_before_unpickling_and_named_if_none_is_left(tmp_path, monkeypatch, damage):
    for step in (10, 20):
        put(tmp_path, step)
        damage(path_of(tmp_path, step))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(RunError, match=rf"{tmp_path}: no checkpoint can be used \({tmp_path}/step-000000020.ckpt: "):
        latest(tmp_path, "me")


@pytest.mark.fault(11)
def test_a_flipped_bit_in_any_byte_and_a_cut_anywhere_are_found(tmp_path):
    path = path_of(tmp_path, 10)
    store(path, io.BytesIO(bytes(range(64))), "me")
    whole = path.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        for content in (flipped, whole[:place]):
            path.write_bytes(content)
            with pytest.raises(DamagedError):
                verified(path)
    path.write_bytes(whole)
    assert verified(path)[0] == whole


@pytest.mark.fault(11)
def test_a_pipe_and_a_file_under_the_name_of_another_step_are_found(tmp_path):
    put(tmp_path, 10)
    shutil.copy(path_of(tmp_path, 10), path_of(tmp_path, 99))
    with pytest.raises(DamagedError, match="was written as step 10"):
        verified(path_of(tmp_path, 99))
    path_of(tmp_path, 10).unlink()
    os.mkfifo(path_of(tmp_path, 10))
    with pytest.raises(DamagedError, match="is not a file"):
        verified(path_of(tmp_path, 10))


# Foreign and malicious content


def forge(folder, step, content):
    """A file with a valid footer, as someone who knows this program could write it."""
    store(path_of(folder, step), io.BytesIO(content), "me")


def pickled(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


class RunsCode:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.mark.fault(13)
def test_a_pickle_that_would_run_code_is_blocked(tmp_path, monkeypatch, caplog):
    canary, folder = tmp_path / "canary", tmp_path / "checkpoints"
    folder.mkdir()
    put(folder, 10)
    forge(folder, 20, pickled({**state(20), "callbacks": RunsCode(canary)}))
    real, asked = torch.load, []

    def watched(*args, **kwargs):
        asked.append(kwargs["weights_only"])
        return real(*args, **kwargs)

    monkeypatch.setattr(torch, "load", watched)
    assert usable(folder) == 10
    assert "holds more than tensors and plain values" in caplog.text
    with pytest.raises(DamagedError, match="holds more than tensors"):
        DipCheckpointIO("me").load_checkpoint(path_of(folder, 20), weights_only=False)
    assert set(asked) == {True}, "never repeated with weights_only=False"
    assert not canary.exists()
    real(path_of(folder, 20), weights_only=False)
    assert canary.exists(), "the pickle does run code without protection"


@pytest.mark.parametrize("content", [b"", b"no pickle"])
def test_content_that_is_not_a_state_is_refused(tmp_path, content):
    forge(tmp_path, 10, content)
    with pytest.raises(RunError, match="step-000000010.ckpt: holds"):
        latest(tmp_path, "me")


@pytest.mark.fault(13)
def test_the_program_never_unpickles_unsafely():
    unsafe = re.compile(r"weights_only\s*=\s*(False|None)|pickle\.load|load_from_checkpoint|allow_pickle=True")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "dip").rglob("*.py")}
    assert [str(path) for path, text in sources.items() if unsafe.search(text)] == []
    loads = [call for text in sources.values() for call in re.findall(r"torch\.load\(.*", text)]
    assert loads
    assert all("weights_only=True" in call for call in loads)


@pytest.mark.fault(12)
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused_on_loading(tmp_path, caplog, number):
    put(tmp_path, 10)
    forge(tmp_path, 20, pickled(state(number)))
    assert usable(tmp_path) == 10
    assert "step-000000020.ckpt: state_dict.w is not finite" in caplog.text


@pytest.mark.fault(6)
def test_another_configuration_is_refused_with_the_differing_options(tmp_path):
    theirs = {"net": {"channels": 8}, "skips": [3, 4], "lr": 0.01}
    write(tmp_path, state(), 10, "a" * 64, options=theirs)
    with pytest.raises(RunError, match="belongs to configuration aaaaaaaa, not to bbbbbbbb; restart with overwrite"):
        latest(tmp_path, "b" * 64)
    changes = re.escape("(net.channels is 8 there and 16 here; skips is [3, 4] there and [3] here)")
    ours = {"net": {"channels": 16}, "skips": (3,), "lr": 0.01}
    with pytest.raises(RunError, match=changes):
        latest(tmp_path, "b" * 64, ours)
    with pytest.raises(RunError, match=changes):
        DipCheckpointIO("b" * 64, options=ours).load_checkpoint(path_of(tmp_path, 10))


@pytest.mark.fault(12)
def test_a_newer_format_is_refused_by_its_version_although_an_older_file_exists(tmp_path, monkeypatch):
    put(tmp_path, 10)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_files, "FORMAT", 99)
        put(tmp_path, 20)
    with pytest.raises(RunError, match="step-000000020.ckpt: has format 99, this program reads up to 2") as caught:
        checkpoint_files.latest(tmp_path, "me")
    assert not isinstance(caught.value, DamagedError)

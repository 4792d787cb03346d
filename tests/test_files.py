"""Files are written atomically, without leftovers, and damaged ones are recognised."""

import errno
import json
import math
import os
import resource
from pathlib import Path

import pytest

from dip import files
from dip.errors import RunError


@pytest.mark.fault(3)
def test_the_order_is_write_sync_rename_sync_of_the_folder(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        calls.append((path := Path(os.readlink(f"/proc/self/fd/{descriptor}")), path.is_file() and path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda source, target: calls.append((source, target)) or replace(source, target))
    files.write_bytes(tmp_path / "file", b"data")
    temporary = calls[0][0]
    assert temporary.parent == tmp_path, "another folder can be another file system"
    assert calls == [(temporary, b"data"), (temporary, tmp_path / "file"), (tmp_path, False)]


@pytest.mark.fault(3)
@pytest.mark.parametrize("place", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "broken disk"), ValueError("no")])
def test_an_exception_inside_surfaces_unchanged_and_keeps_the_old_content(tmp_path, monkeypatch, place, error):
    (tmp_path / "file").write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, place, fail)
    with pytest.raises(type(error)) as caught:
        files.write_bytes(tmp_path / "file", b"new")
    assert caught.value is error
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.fault(15)
def test_a_full_disk_is_reported_with_the_bytes_needed(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RunError, match=r"/file: .*123456 bytes needed, \d+ bytes free"):
            files.write_bytes(tmp_path / "file", bytes(123456))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(RunError, match=f"{tmp_path}/file: cannot be written"):
        files.write_bytes(tmp_path / "file", b"data")


def test_a_missing_folder_or_a_folder_in_the_files_place_is_named(tmp_path):
    with pytest.raises(RunError, match="gone/file: cannot be written"):
        files.write_bytes(tmp_path / "gone" / "file", b"data")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").mkdir()
    with pytest.raises(RunError, match="/file: cannot be written"):
        files.write_bytes(tmp_path / "file", b"data")
    assert os.listdir(tmp_path) == ["file"]


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    files.write_bytes(tmp_path / "file", b"data")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_json_is_strict_and_nan_becomes_null(tmp_path):
    name = os.fsdecode(b"new\nline \xff \xc3\xa9")
    data = {
        "image": name, "a": math.nan, "b": [math.inf, (1, -math.inf)], "c": {"d": 1 / 30}, "e": True, "f": None, "g": 7,
    }  # fmt: skip
    files.write_json(tmp_path / "file", data)

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads((tmp_path / "file").read_text(encoding="ascii"), parse_constant=refuse)
    assert found == {"image": name, "a": None, "b": [None, [1, None]], "c": {"d": 1 / 30}, "e": True, "f": None, "g": 7}
    assert files.read_json(tmp_path / "file") == found


def test_anything_but_a_complete_json_object_is_none(tmp_path):
    path = tmp_path / "file"
    files.write_json(path, {"a": [1, {"b": "c"}], "d": 0.5})
    whole = path.read_bytes().rstrip()
    cut = [whole[:length] for length in range(len(whole))]
    for content in (*cut, b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        assert files.read_json(path) is None
    path.unlink()
    os.mkfifo(tmp_path / "pipe")
    assert files.read_json(tmp_path) is files.read_json(tmp_path / "none") is None
    assert files.read_json(tmp_path / "pipe") is None


@pytest.mark.fault(2)
def test_only_our_own_temporary_files_are_removed(tmp_path):
    (tmp_path / "deep").mkdir()
    ours = [".a.json.12-0123abcd.tmp", "deep/.step-000000001.ckpt.7-ffffffff.tmp"]
    others = [".hidden.tmp", "a.12-0123abcd.tmp", "deep/.a.12-0123abcg.tmp"]
    for name in ours + others:
        (tmp_path / name).touch()
    files.remove_temporaries(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(others)

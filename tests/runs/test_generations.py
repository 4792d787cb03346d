"""Numbered files survive crashes at every instant, and are trusted only when every bit is right."""

import os
import shutil

import pytest

from dip.errors import RunError
from dip.runs import generations
from dip.runs.generations import Damaged, path_of, store, stored, verified


def put(folder, *steps, data=None, keep=2, identity="me"):
    for step in steps:
        store(path_of(folder, step), data or b"step %d" % step, identity, {}, keep)


def steps_in(folder):
    return [generations.step_of(path) for path in stored(folder)]


def damage(path, content):
    """Changes a file and nothing else, least of all its manifest."""
    path.write_bytes(content)


def test_what_is_stored_is_read_back_with_its_manifest(tmp_path):
    store(path_of(tmp_path, 123), b"data", "me", {"torch": "2"}, keep=1)
    data, manifest = verified(tmp_path / "step-000000123.ckpt")
    assert data == b"data"
    assert manifest == {
        "format": generations.FORMAT,
        "step": 123,
        "identity": "me",
        "bytes": 4,
        "sha256": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7",
        "torch": "2",
        "was": None,
    }
    assert sorted(os.listdir(tmp_path)) == ["step-000000123.ckpt", "step-000000123.json"]


def test_files_are_ordered_by_step_beyond_nine_digits_and_strangers_ignored(tmp_path):
    put(tmp_path, 0, 999_999_999, 1_000_000_000, 12_345_678_901, keep=9)
    for stranger in (
        "step-5.ckpt",
        "step-0000000005.ckpt",
        "step-notes.json",
        "last.ckpt",
        "step-00000000a.ckpt",
    ):
        (tmp_path / stranger).touch()
    put(tmp_path, 12_345_678_902, keep=9)
    assert steps_in(tmp_path) == [12_345_678_902, 12_345_678_901, 1_000_000_000, 999_999_999, 0]
    assert (tmp_path / "step-notes.json").exists()
    assert stored(tmp_path / "none") == []


# Damage


@pytest.mark.parametrize("percent", [0, 1, 50, 99])
def test_a_truncated_file_is_found_by_its_length(tmp_path, percent):
    put(tmp_path, 10, data=bytes(1000))
    damage(path_of(tmp_path, 10), bytes(10 * percent))
    with pytest.raises(Damaged, match=f"step-000000010.ckpt: has {10 * percent} bytes instead of 1000"):
        verified(path_of(tmp_path, 10))


def test_a_flipped_bit_in_any_byte_of_file_and_manifest_is_found(tmp_path):
    put(tmp_path, 10, data=bytes(range(64)))
    for path in (path_of(tmp_path, 10), tmp_path / "step-000000010.json"):
        whole = path.read_bytes()
        for place in range(len(whole)):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            damage(path, flipped)
            with pytest.raises(Damaged):
                verified(path_of(tmp_path, 10))
        damage(path, whole)
    assert verified(path_of(tmp_path, 10))[0] == bytes(range(64))


def test_a_manifest_cut_anywhere_is_found(tmp_path):
    put(tmp_path, 10)
    manifest = tmp_path / "step-000000010.json"
    whole = manifest.read_bytes().rstrip()
    for length in range(len(whole)):
        damage(manifest, whole[:length])
        with pytest.raises(Damaged, match=r"manifest step-000000010.json is missing or damaged"):
            verified(path_of(tmp_path, 10))
    manifest.unlink()
    with pytest.raises(Damaged, match=r"manifest step-000000010.json is missing or damaged"):
        verified(path_of(tmp_path, 10))


def test_a_folder_or_a_pipe_in_a_files_place_is_found(tmp_path):
    put(tmp_path, 10)
    path_of(tmp_path, 10).unlink()
    os.mkfifo(path_of(tmp_path, 10))
    with pytest.raises(Damaged, match="is not a file"):
        verified(path_of(tmp_path, 10))
    path_of(tmp_path, 10).unlink()
    path_of(tmp_path, 10).mkdir()
    with pytest.raises(Damaged, match="is not a file"):
        verified(path_of(tmp_path, 10))


def test_a_file_under_another_steps_name_is_found(tmp_path):
    put(tmp_path, 10)
    for kind in (".ckpt", ".json"):
        shutil.copy(path_of(tmp_path, 10).with_suffix(kind), path_of(tmp_path, 99).with_suffix(kind))
    with pytest.raises(Damaged, match="was written as step 10"):
        verified(path_of(tmp_path, 99))


def test_a_newer_format_is_refused_by_its_version_and_not_as_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(generations, "FORMAT", 7)
    put(tmp_path, 10)
    monkeypatch.setattr(generations, "FORMAT", 1)
    with pytest.raises(RunError, match="has format 7, this program reads up to 1") as caught:
        verified(path_of(tmp_path, 10))
    assert not isinstance(caught.value, Damaged)


def test_another_owners_file_of_the_same_step_is_never_taken_for_ours(tmp_path):
    put(tmp_path, 10, data=b"theirs", identity="them")
    put(tmp_path, 10, data=b"ours", identity="us")
    damage(path_of(tmp_path, 10), b"theirs")
    with pytest.raises(Damaged):
        verified(path_of(tmp_path, 10))


# Retention


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_intact_ones_are_kept(tmp_path, keep):
    put(tmp_path, 10, 20, 30, 40, keep=keep)
    assert steps_in(tmp_path) == [40, 30, 20, 10][:keep]
    assert len(os.listdir(tmp_path)) == 2 * keep


def test_a_damaged_one_does_not_count_and_is_deleted(tmp_path):
    put(tmp_path, 10, 20)
    damage(path_of(tmp_path, 20), b"step 21")
    put(tmp_path, 30)
    assert steps_in(tmp_path) == [30, 10]


def test_later_steps_are_another_future_once_an_earlier_one_is_written(tmp_path):
    put(tmp_path, 10, 20, 30, keep=3)
    put(tmp_path, 15, keep=3)
    assert steps_in(tmp_path) == [15, 10]


def test_a_manifest_without_its_file_is_litter_and_goes(tmp_path):
    put(tmp_path, 10)
    path_of(tmp_path, 10).unlink()
    put(tmp_path, 20)
    assert sorted(os.listdir(tmp_path)) == ["step-000000020.ckpt", "step-000000020.json"]


def test_a_failing_delete_warns_and_goes_on(tmp_path, monkeypatch, caplog):
    put(tmp_path, 10, 20)
    real = os.unlink

    def unlink(path, *args, **kwargs):
        if str(path).endswith("10.ckpt"):
            raise PermissionError(13, "Permission denied")
        real(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    put(tmp_path, 30)
    assert "step-000000010.ckpt: cannot be deleted (Permission denied)" in caplog.text
    assert steps_in(tmp_path) == [30, 20, 10]
    assert all(verified(path) for path in stored(tmp_path))


def test_a_folder_in_the_way_is_moved_aside_with_its_content(tmp_path, caplog):
    path_of(tmp_path, 10).mkdir()
    (path_of(tmp_path, 10) / "precious").write_text("kept")
    put(tmp_path, 10)
    assert verified(path_of(tmp_path, 10))[0] == b"step 10"
    (aside,) = tmp_path.glob("*.aside-*")
    assert (aside / "precious").read_text() == "kept"
    assert aside.name in caplog.text

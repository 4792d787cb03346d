"""Run folders: names that tell experiments apart, results that can be read back."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from dip import runs
from dip.errors import RunError

ROOT = Path(__file__).parents[2]
RESULT = {"status": "finished", "config": {"net": {"name": "hourglass"}, "skips": [3, 4]}, "psnr": 31.5}


def run_folder(folder, **changes):
    folder.mkdir(parents=True)
    runs.write_json(folder / "result.json", {**RESULT, **changes})
    return folder


# Names


def test_importing_needs_no_torch():
    code = "import dip.runs, sys; print('torch' in sys.modules or 'lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_a_name_is_the_readable_part_and_eight_digits_of_the_hash():
    identity = {"b": [1, None, True, "x"], "a": 1 / 30}
    text = '{"a":0.03333333333333333,"b":[1,null,true,"x"]}'
    expected = runs.digest(text.encode())
    assert runs.fingerprint(identity) == expected
    assert runs.name("noisy-skips3+4", identity) == f"noisy-skips3+4-{expected[:8]}"


def test_the_order_of_keys_does_not_matter_and_lists_equal_tuples():
    assert runs.name("x", {"a": 1, "b": (2, 3)}) == runs.name("x", {"b": [2, 3], "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": [1]}, {"b": 1}, {}])
def test_every_change_of_an_option_is_another_name(other):
    assert runs.name("x", {"a": 1}) != runs.name("x", other)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_option_that_is_no_number_has_no_hash(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        runs.fingerprint({"a": value})


@pytest.mark.parametrize(
    ("readable", "part"),
    [
        ("my photo/é\n[3,4]", "my-photo-3-4"),
        ("../../etc", "etc"),
        ("-rf .", "rf"),
        ("", "run"),
        ("...", "run"),
        ("a" * 500, "a" * 80),
    ],
)
def test_the_readable_part_is_safe_as_a_file_name(readable, part):
    assert runs.name(readable, {}) == f"{part}-{runs.fingerprint({})[:8]}"


# Results


def test_a_result_is_read_back(tmp_path):
    assert runs.read_result(run_folder(tmp_path / "run")) == RESULT


@pytest.mark.parametrize(
    ("status", "expected"), [("finished", True), ("stopped", True), ("failed", False), ("interrupted", False)]
)
def test_a_run_is_finished_when_it_came_to_its_end(tmp_path, status, expected):
    assert runs.finished(run_folder(tmp_path / "run", status=status)) is expected


def test_a_result_that_is_missing_cut_or_something_else_is_none(tmp_path):
    path = run_folder(tmp_path / "run") / "result.json"
    whole = path.read_bytes().rstrip()
    for content in (b"", whole[:-1], whole[: len(whole) // 2], b"{}", b'{"status": "finished"}', b"[]"):
        path.write_bytes(content)
        assert runs.read_result(tmp_path / "run") is None
        assert not runs.finished(tmp_path / "run")
    assert runs.read_result(tmp_path / "none") is None


def test_reading_gives_one_flat_row_per_run(tmp_path):
    run_folder(tmp_path / "b" / "run", status="failed", psnr=None)
    run_folder(tmp_path / "a")
    assert runs.read(tmp_path) == [
        {
            "folder": str(tmp_path / "a"),
            "status": "finished",
            "config.net.name": "hourglass",
            "config.skips": (3, 4),
            "psnr": 31.5,
        },
        {
            "folder": str(tmp_path / "b" / "run"),
            "status": "failed",
            "config.net.name": "hourglass",
            "config.skips": (3, 4),
            "psnr": None,
        },
    ]


def test_every_value_of_a_row_can_be_grouped_by(tmp_path):
    run_folder(tmp_path / "a", config={"z": {"shape": [[1, 2], [3]]}, "none": {}})
    (row,) = runs.read(tmp_path)
    assert row["config.z.shape"] == ((1, 2), (3,))
    assert len({hash(value) for value in row.values()}) > 1


def test_an_unfinished_run_is_skipped_with_one_word(tmp_path, caplog):
    run_folder(tmp_path / "whole")
    (run_folder(tmp_path / "cut") / "result.json").write_text('{"status": "fin')
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / ".lock").touch()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "metrics.csv").touch()
    (tmp_path / "notes").mkdir()
    assert [row["folder"] for row in runs.read(tmp_path)] == [str(tmp_path / "whole")]
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"{tmp_path / name}: unfinished" for name in ("begun", "cut", "locked")]


def test_symbolic_links_are_not_followed(tmp_path, caplog):
    run_folder(tmp_path / "elsewhere" / "run")
    (tmp_path / "out" / "linked").mkdir(parents=True)
    (tmp_path / "out" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "linked" / "result.json").symlink_to(tmp_path / "elsewhere" / "run" / "result.json")
    assert runs.read(tmp_path / "out") == []


def test_reading_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match="none: is not a folder"):
        runs.read(tmp_path / "none")


def test_history_gives_columns_and_nan_where_a_cell_is_empty(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,loss,psnr\n10,0.5,\n20,1e-3,31.25\n")
    found = runs.history(tmp_path)
    assert found["step"] == [10.0, 20.0]
    assert found["loss"] == [0.5, 0.001]
    assert math.isnan(found["psnr"][0])
    assert found["psnr"][1] == 31.25


@pytest.mark.parametrize("cut", ["30,0.1,2", "30,", "3"])
def test_history_leaves_out_a_last_line_that_is_still_being_written(tmp_path, cut):
    (tmp_path / "metrics.csv").write_text("step,loss,psnr\n10,0.5,30\n" + cut)
    assert runs.history(tmp_path) == {"step": [10.0], "loss": [0.5], "psnr": [30.0]}


def test_history_before_the_first_record_is_empty(tmp_path):
    assert runs.history(tmp_path) == {}
    (tmp_path / "metrics.csv").touch()
    assert runs.history(tmp_path) == {}
    (tmp_path / "metrics.csv").write_text("step,loss\n")
    assert runs.history(tmp_path) == {"step": [], "loss": []}


@pytest.mark.parametrize("line", ["20,abc", "20", "20,1,2"])
def test_history_names_a_damaged_line(tmp_path, line):
    (tmp_path / "metrics.csv").write_text(f"step,loss\n10,0.5\n{line}\n30,0.4\n")
    with pytest.raises(RunError, match=f"metrics.csv: line 3 is damaged: {line}"):
        runs.history(tmp_path)


def test_differing_options_are_those_not_the_same_in_all_runs():
    rows = [
        {"folder": "a", "config.x": 1, "config.y": (3, 4), "config.z": None, "psnr": 1.0},
        {"folder": "b", "config.x": 1, "config.y": (3,), "config.z": None, "psnr": 2.0},
        {"folder": "c", "config.x": 1, "config.y": (3, 4), "psnr": 3.0},
    ]
    assert runs.differing(rows) == ["config.y", "config.z"]
    assert runs.differing(rows[:1]) == runs.differing([]) == []

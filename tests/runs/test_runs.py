"""Run folders: one name per experiment, and results that can be read back."""

import hashlib
import math

import pytest

from dip import runs
from dip.configuration.schema import Config
from dip.errors import RunError
from dip.methods import Guided
from dip.methods.denoisers import BM3D
from dip.nets import NETS
from dip.runs import naming

RESULT = {"status": "finished", "config": {"net": {"name": "hourglass"}, "skips": [3, 4]}, "psnr": 31.5}


def run_folder(folder, **changes):
    folder.mkdir(parents=True)
    runs.write_json(folder / "result.json", {**RESULT, **changes})
    return folder


# Names


def test_a_name_is_the_readable_part_and_eight_digits_of_the_hash():
    text = '{"a":0.03333333333333333,"b":[1,null,true,"x"]}'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert naming.fingerprint({"b": [1, None, True, "x"], "a": 1 / 30}) == expected
    config = Config(skips=[4, 3], size=[32, 64], steps=7)
    name = f"noisy-skips3.4-size32x64-steps7-seed0-{naming.fingerprint({})[:8]}"
    assert naming.name(config, {}) == name


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"image": "photos/my photo (1).jpg"}, "my-photo-1-noisy-skips3.4-steps10000-seed0-"),
        ({"image": "a/" + 30 * "x" + ".nii.gz", "name": "mine"}, f"mine-{24 * 'x'}-noisy-"),
        ({"image": "scan.npz:group/y"}, "scan-group-y-noisy-"),
        ({"image": "coffee", "method": Guided()}, "coffee-guided-noisy-"),
        ({"image": "array"}, "noisy-skips3.4-"),
        ({"image": "noisy.png", "net": NETS["unet"]()}, "noisy-unet-noisy-steps10000-seed0-"),
        ({"image": "dip.png", "method": BM3D()}, "dip-bm3d-noisy-seed0-"),
        ({"name": "bm3d", "method": BM3D()}, "bm3d-noisy-seed0-"),
        ({"image": "../...png"}, "noisy-"),
    ],
)
def test_a_name_tells_images_methods_and_networks_apart(options, name):
    assert naming.name(Config(**options), {}).startswith(name)


def test_any_other_value_is_another_hash_but_the_order_of_keys_does_not_matter():
    assert naming.fingerprint({"a": 1, "b": (2, 3)}) == naming.fingerprint({"b": [2, 3], "a": 1})
    others = [{"a": 1}, {"a": 2}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": [1]}, {"b": 1}, {}]
    assert len(set(map(naming.fingerprint, others))) == len(others)
    with pytest.raises(ValueError, match="not JSON compliant"):
        naming.fingerprint({"a": math.nan})


# Results


@pytest.mark.parametrize(
    ("status", "expected"), [("finished", True), ("stopped", True), ("failed", False), ("interrupted", False)]
)
def test_a_run_is_finished_after_its_last_step_or_an_early_stop(tmp_path, status, expected):
    folder = run_folder(tmp_path / "run", status=status)
    assert runs.read_result(folder) == {**RESULT, "status": status}
    assert runs.finished(folder) is expected


def test_a_missing_or_damaged_result_is_none(tmp_path):
    path = run_folder(tmp_path / "run") / "result.json"
    whole = path.read_bytes().rstrip()
    for content in (b"", whole[:-1], whole[: len(whole) // 2], b"{}", b'{"status": "finished"}', b"[]"):
        path.write_bytes(content)
        assert runs.read_result(tmp_path / "run") is None
        assert not runs.finished(tmp_path / "run")
    assert runs.read_result(tmp_path / "none") is None


def test_flat_values_are_hashable():
    nested = {"psnr": 31.5, "config": {"net": {"name": "hourglass"}, "shape": [[1, 2], [3]]}, "none": {}}
    assert runs.flat(nested) == {"psnr": 31.5, "config.net.name": "hourglass", "config.shape": ((1, 2), (3,))}


def test_differences_name_each_value_that_is_not_the_same():
    found = runs.differences({"a": 1, "b": (2,), "c": None}, {"a": 1, "b": (3, 4), "d": "x"})
    assert found == {"b": "b is [2] there and [3, 4] here", "d": "d is None there and x here"}


def test_snapshots_are_sorted_by_step_beyond_six_digits(tmp_path):
    steps = [1, 999_999, 200_000, 1_000_000, 2_000_000, 10_000_000]
    (tmp_path / "images").mkdir()
    for step in steps:
        (tmp_path / "images" / f"step-{step:06d}.png").touch()
    for other in ("step-5.png", "step-000010 (copy).png", "restored.png"):
        (tmp_path / "images" / other).touch()
    assert [step for step, _ in runs.snapshots(tmp_path)] == sorted(steps)
    assert runs.snapshots(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "step,loss,psnr\n10,0.5,\n20,1e-3,31.25\n",
            {"step": [10.0, 20.0], "loss": [0.5, 0.001], "psnr": [math.nan, 31.25]},
        ),
        ("step,loss\n10,0.5\n30,0.", {"step": [10.0], "loss": [0.5]}),
        ("step,loss\n10,0.5\n30", {"step": [10.0], "loss": [0.5]}),
        ("step,loss\n", {"step": [], "loss": []}),
        ("step,lo", {}),
        ("", {}),
    ],
)
def test_history_gives_columns_without_a_last_line_that_is_still_being_written(tmp_path, text, expected):
    assert runs.history(tmp_path) == {}
    (tmp_path / "metrics.csv").write_text(text)
    assert str(runs.history(tmp_path)) == str(expected)  # NaN is not equal to itself


@pytest.mark.parametrize("line", ["20,abc", "20", "20,1,2"])
def test_history_names_a_damaged_line(tmp_path, line):
    (tmp_path / "metrics.csv").write_text(f"step,loss\n10,0.5\n{line}\n30,0.4\n")
    with pytest.raises(RunError, match=f"metrics.csv: line 3 is damaged: {line}"):
        runs.history(tmp_path)

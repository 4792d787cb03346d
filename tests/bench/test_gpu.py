"""The measurements on a GPU: their commands, and what happens to one that fails or takes too long."""

import json
import shlex

import pytest

from dip.bench import __main__ as bench
from dip.bench import gpu
from tests.conftest import composed


def test_every_command_is_legal():
    for name, (_, line) in gpu.MEASUREMENTS.items():
        words = shlex.split(line)
        if words[:2] == ["-m", "dip.bench"]:
            bench.configured(bench.parser().parse_args(words[2:]).options)
        elif words[0] == "train.py":
            flags = ("-m", "-cd", "sweeps", "-cn", "figure3")
            options = [word for word in words[1:] if word not in flags and not word.startswith("hydra")]
            composed(*(option for option in options if "," not in option or "=[" in option))
            assert f"out=outputs/gpu/{name}" in words


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "OUT", tmp_path)
    monkeypatch.chdir(tmp_path)  # `main` changes the working folder
    return tmp_path


def test_each_result_is_written_and_one_that_fails_or_hangs_does_not_end_the_others(out, monkeypatch):
    made = {
        "fails": (60, "-c 'raise SystemExit(3)'"),
        "hangs": (1, "-c 'import time; time.sleep(600)'"),
        "works": (60, "-c 'print(1)'"),
    }
    monkeypatch.setattr(gpu, "MEASUREMENTS", made)
    assert gpu.main() == 1
    found = json.loads((out / "gpu.json").read_text())
    assert [found[name]["status"] for name in made] == ["failed", "out of time", "done"]
    assert (out / "works.log").read_text() == "1\n"
    monkeypatch.setattr(gpu, "MINUTES", 0)
    assert gpu.main() == 0
    assert json.loads((out / "gpu.json").read_text())["works"]["status"] == "out of time"


def test_the_same_bits_twice(out):
    assert gpu.same() is None
    for name, losses in (("first", b"1"), ("second", b"2")):
        (out / name / "run").mkdir(parents=True)
        (out / name / "run" / "losses.npy").write_bytes(losses)
    assert gpu.same() is False
    (out / "second" / "run" / "losses.npy").write_bytes(b"1")
    assert gpu.same() is True

"""The measurements on a GPU: their commands, and what happens to one that fails or takes too long."""

import json
import shlex

from dip.bench import __main__ as bench
from dip.bench import gpu
from dip.bench.gpu import Measurement
from tests.conftest import composed


def test_every_command_is_legal(tmp_path):
    for one in gpu.measurements():
        words = gpu.command(one, tmp_path)[1:]
        if words[:2] == ["-m", "dip.bench"]:
            bench.configured(bench.parser().parse_args(words[2:]).options)
        elif words[0] == "train.py":
            flags = ("-m", "-cd", "sweeps", "-cn", "figure3")
            options = [word for word in words[1:] if word not in flags and not word.startswith("hydra")]
            composed(*(option for option in options if "," not in option or "=[" in option))
            assert f"out={tmp_path}/{one.folder}" in words


def test_a_dry_run_prints_the_commands_and_writes_nothing(tmp_path, capsys):
    assert gpu.main(["--dry-run", "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(gpu.measurements())
    assert all(shlex.split(line)[0] == "python" for line in lines[1::2])
    assert not (tmp_path / "out").exists()


def test_each_result_is_written_and_one_that_fails_or_hangs_does_not_end_the_others(tmp_path, monkeypatch):
    made = [
        Measurement("fails", "-c 'raise SystemExit(3)'", 60),
        Measurement("hangs", "-c 'import time; time.sleep(600)'", 1),
        Measurement("works", "-c 'print(1)'", 60),
    ]
    monkeypatch.setattr(gpu, "measurements", lambda: made)
    assert gpu.main(["--out", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert [found[one.name]["status"] for one in made] == ["failed", "out of time", "done"]
    assert (tmp_path / "works.log").read_text() == "1\n"
    assert gpu.main(["--out", str(tmp_path), "--minutes", "0", "--only", "works"]) == 0
    assert json.loads((tmp_path / "gpu.json").read_text())["works"]["status"] == "out of time"


def test_the_same_bits_twice(tmp_path):
    assert gpu.same(tmp_path) is None
    for name, losses in (("first", b"1"), ("second", b"2")):
        (tmp_path / name / "run").mkdir(parents=True)
        (tmp_path / name / "run" / "losses.npy").write_bytes(losses)
    assert gpu.same(tmp_path) is False
    (tmp_path / "second" / "run" / "losses.npy").write_bytes(b"1")
    assert gpu.same(tmp_path) is True

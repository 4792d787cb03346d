"""Run folders are read in any state: finished, running, truncated or damaged."""

import json
import os
import socket
import subprocess
import sys

import pytest

from dip.errors import RunError
from dip.report.collect import collect, shared, shown
from dip.report.page import write
from tests.fake_runs import make


def test_the_options_that_differ_are_found(sweep):
    found = collect(sweep)
    assert [run.status for run in found] == ["finished"] * 8 + ["failed", "interrupted", "unfinished"]
    # target.noise.sigma follows from the target and is no column of its own.
    assert {tuple(run.options) for run in found} == {("target", "skips")}
    assert found[0].label == "target=clean skips=[]"
    assert found[-1].label == "target=noisy skips=[5]"
    assert shared(found)["size"] == 64
    assert "out" not in shared(found)
    assert "skips" not in shared(found)


def test_runs_are_in_natural_order(tmp_path):
    for number in (10, 9, 1):
        make(tmp_path / f"seed{number}", seed=number)
    assert [run.seed for run in collect(tmp_path)] == [1, 9, 10]


def test_a_live_process_makes_a_run_running_and_a_dead_one_does_not(tmp_path):
    folder = make(tmp_path / "run", status="interrupted")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, host, status in (
        (os.getpid(), socket.gethostname(), "running"),
        (ended.pid, socket.gethostname(), "interrupted"),
        (1, "elsewhere.example", "running"),
    ):
        (folder / ".lock").write_text(json.dumps({"pid": pid, "host": host, "started": ""}))
        assert collect(tmp_path)[0].status == status
    (folder / ".lock").write_text("")
    assert collect(tmp_path)[0].status == "interrupted"


def test_a_damaged_file_does_not_affect_other_runs(tmp_path):
    folder = make(tmp_path / "damaged")
    make(tmp_path / "whole", seed=1)
    (folder / "losses.npy").write_bytes(b"\x93NUMPY half")
    (folder / "metrics.csv").write_text("step,loss\n1,oops\n2,0.1\n")
    (folder / "images" / "restored.png").write_bytes((folder / "images" / "restored.png").read_bytes()[:300])
    (folder / "images" / "step-000010.png").write_bytes(b"")
    (folder / "result.json").write_text('{"status": "finis')
    (folder / ".hydra" / "config.yaml").write_text("!!python/object/apply:os.system ['echo']")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "metrics.csv").write_text("step,loss,psnr\n")
    found = collect(tmp_path)
    assert [run.status for run in found] == ["unfinished", "unfinished", "finished"]
    assert len(found[0].problems) == 3
    write(tmp_path)
    assert "line 2 is damaged" in (tmp_path / "report.html").read_text()


def test_a_folder_without_runs_is_refused_in_one_line(tmp_path):
    for folder, what in ((tmp_path, "holds no run"), (tmp_path / "absent", "there is no such folder")):
        with pytest.raises(RunError, match=f"{what}; give a folder of runs; python train.py makes them in outputs"):
            write(folder)


def test_a_sweep_that_ended_before_its_first_run_names_its_command(tmp_path):
    (tmp_path / "planned.txt").write_text("noisy-1\nnoisy-2\n")
    (tmp_path / "command.txt").write_text("python train.py\npython train.py -cn grid\n")
    told = "2 runs are planned and none has a result yet; repeat the command of the sweep: python train.py -cn grid$"
    with pytest.raises(RunError, match=told):
        write(tmp_path)
    (tmp_path / "command.txt").unlink()
    with pytest.raises(RunError, match="repeat the command of the sweep$"):
        write(tmp_path)


def test_shown_values_are_short():
    assert [shown(value) for value in (1 / 30, None, True, [3, 4], (), "a b", 10_000)] == [
        "0.03333", "null", "true", "[3,4]", "[]", "a b", "10000"
    ]  # fmt: skip
    assert [shown(path) for path in ("/a/b.png", "~/b.png", "b/c.png")] == ["b.png", "b.png", "b/c.png"]

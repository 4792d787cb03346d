"""The benchmark's table, and that its baseline and ours are one function."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dip.bench import __main__ as bench
from dip.bench import measure, variants
from dip.bench.plain import plain_network
from dip.nets import Hourglass
from tests.conftest import ROOT, environment

TINY = {"size": 32, "channels": 4, "depth": 3, "skips": (1, 2, 3)}


def test_ratios_are_those_to_the_plain_network():
    found = {
        "plain fp32": [{"seconds": 4.0, "memory": 100}, {"seconds": 2.0, "memory": 100}, {"seconds": 3.0, "memory": 100}],
        "ours bf16": [{"seconds": 0.5, "memory": 50}] * 3, "floor bf16": [{"seconds": 1.0, "memory": 10}] * 3,
    }  # fmt: skip
    plain, ours, floor = bench.table(10, found)
    assert (plain["seconds"], plain["speed"], plain["memory_ratio"]) == (3, 1, 1)
    assert (ours["speed"], ours["memory_ratio"], ours["bytes_per_pixel"]) == (6, 0.5, 0.5)
    assert floor["memory_ratio"] is None, "the floor keeps nothing for the way back"


def test_the_baseline_has_the_papers_parameters():
    net = plain_network(32, 128, 5, [1, 2, 3, 4, 5])
    assert sum(p.numel() for p in net.parameters()) == 2_217_831
    ours = Hourglass().build(32, 3, [1, 2, 3, 4, 5], (64, 64))
    z = torch.rand(1, 32, 64, 64)
    assert net(z).shape == ours(z).shape == (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("row", "precision"),
    [("plain", "fp32"), ("ours", "fp32"), ("ours", "bf16"), ("run", "bf16"), ("floor", "bf16")],
)
def test_each_row_is_measured(row: str, precision: str):
    found = measure.measure(row, precision, TINY, steps=1, warm_up=1)
    assert found["seconds"] > 0
    assert found["memory"] >= 0


def test_every_rule_is_timed():
    found = measure.rules(TINY, "fp32", steps=2)
    assert set(found) == {"step", "wmv", "emv", "heldout", "discrepancy", "combined"}
    assert all(seconds > 0 for seconds in found.values())


def test_the_floor_is_the_convolutions_of_the_plain_network(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, ...]] = []
    real = torch.nn.functional.conv2d
    monkeypatch.setattr(
        variants.functional,
        "conv2d",
        lambda x, w, *a, **k: seen.append(tuple(w.shape)) or real(x, w, *a, **k),
    )
    step = variants.floor(variants.Problem(**TINY), "fp32")
    seen.clear()
    step()
    net = plain_network(32, 4, 3, (1, 2, 3))
    assert sorted(seen) == sorted(
        tuple(m.weight.shape) for m in net.modules() if isinstance(m, torch.nn.Conv2d)
    )


def test_the_floor_spares_the_gradient_of_z_alone(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    real = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda out, inputs, grad: asked.append(len(inputs)) or real(out, inputs, grad)
    )
    variants.floor(variants.Problem(size=64, channels=32, depth=3, skips=(1, 2)), "fp32")()
    convolutions = 3 * 4 + 2 + 1  # two down and two up in each level, two skips, one to the image
    assert len(asked) == convolutions
    assert sum(asked) == 2 * convolutions - 2, "all but z, in the first convolution and the first skip"


def test_the_command_prints_and_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(bench, "in_a_process", lambda function, *arguments: function(*arguments))
    file = tmp_path / "bench.json"
    options = "--sizes 64 --channels 4 --steps 1 --repeats 1 --device cpu --rows"
    monkeypatch.setattr(
        sys, "argv", ["bench", *options.split(), "plain fp32", "ours fp32", "--json", str(file)]
    )
    bench.main()
    assert [row["row"] for row in json.loads(file.read_text())["rows"]] == ["plain fp32", "ours fp32"]
    assert "ours fp32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--device cuda:99", "device=cuda:99: "),
        ("--skips 9", "skips=[9]: must be"),
        ("--device cpu --rows 'ours tf32'", "precision=tf32: "),
        ("--sizes 48", "argument --sizes: 48 is padded to 64"),
        ("--json {file}/bench.json --rows 'ours fp32'", "--json {file}/bench.json: cannot be written"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path: Path, given: str, message: str):
    file = tmp_path / "file"
    file.touch()
    command = [sys.executable, "-m", "dip.bench", *shlex.split(given.format(file=file))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode in (1, 2)
    assert message.format(file=file) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_told_to_end_it_takes_its_measuring_process_along(tmp_path: Path):
    options = [
        "--sizes",
        "64",
        "--channels",
        "8",
        "--steps",
        "1000000",
        "--rows",
        "ours fp32",
        "--json",
        str(tmp_path / "b"),
    ]
    command = [sys.executable, "-m", "dip.bench", *options]
    bench = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
    if not children.exists():
        bench.kill()
        bench.wait()
        pytest.skip("needs /proc")
    deadline, found = time.monotonic() + 60, []
    while len(found) < 2 and time.monotonic() < deadline:  # what watches over semaphores, and what measures
        found = children.read_text().split()
        time.sleep(0.05)
    time.sleep(1)
    bench.send_signal(signal.SIGTERM)
    assert bench.wait(60) == 143
    while any(Path(f"/proc/{pid}").exists() for pid in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(found) >= 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)

"""The benchmark: its table, its rows, its command line."""

from __future__ import annotations

import dataclasses
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
from dip.bench import measure
from dip.configuration.loggers import CSV
from dip.configuration.schema import Config
from dip.hardware.precision import Precision
from dip.nets import Hourglass
from tests.conftest import ROOT, environment

TINY = Config(
    size=32,
    net=Hourglass(depth=3, channels=4),
    skips=[1, 2, 3],
    device="cpu",
    precision=Precision("fp32"),
    logger=CSV(),
)


def test_ratios_are_those_to_the_plain_network():
    found = {
        "plain fp32": [{"seconds": 4.0, "memory": 100}, {"seconds": 2.0, "memory": 100}, {"seconds": 3.0, "memory": 100}],
        "ours bf16": [{"seconds": 0.5, "memory": 50}] * 3, "floor bf16": [{"seconds": 1.0, "memory": 10}] * 3,
    }  # fmt: skip
    plain, ours, floor = bench.table(10, found)
    assert (plain["seconds"], plain["speed"], plain["memory_ratio"]) == (3, 1, 1)
    assert (ours["speed"], ours["memory_ratio"], ours["bytes_per_pixel"]) == (6, 0.5, 0.5)
    assert floor["memory_ratio"] is None, "the floor saves no activations"


@pytest.mark.parametrize("name", ["plain fp32", "ours fp32", "ours bf16", "run bf16", "floor bf16"])
def test_each_row_is_measured(name: str):
    row, precision = name.split()
    config = dataclasses.replace(TINY, precision=Precision(precision))
    found = measure.measure(row, config, steps=1)
    assert found["seconds"] > 0
    assert found["memory"] >= 0


def test_every_rule_is_timed():
    found = measure.rules(TINY, steps=2)
    assert set(found) == {"step", "wmv", "emv", "heldout", "discrepancy", "covariance", "combined", "consistent"}
    assert all(seconds > 0 for seconds in found.values())


def test_the_floor_is_the_convolutions_of_the_plain_network(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, ...]] = []
    real = torch.nn.functional.conv2d
    counted = lambda x, w, *a, **k: seen.append(tuple(w.shape)) or real(x, w, *a, **k)  # noqa: E731
    monkeypatch.setattr(measure.functional, "conv2d", counted)
    step = measure.floor(TINY)
    seen.clear()
    step()
    modules = measure.plain_network(TINY).modules()
    assert sorted(seen) == sorted(tuple(m.weight.shape) for m in modules if isinstance(m, torch.nn.Conv2d))


def test_the_floor_computes_every_gradient_except_that_of_z(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    real = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda out, inputs, grad: asked.append(len(inputs)) or real(out, inputs, grad)
    )
    measure.floor(dataclasses.replace(TINY, skips=[1, 2]))()
    convolutions = 3 * 4 + 2 + 1  # encoder 2 and decoder 2 per level, two skips, the head
    assert len(asked) == convolutions
    assert sum(asked) == 2 * convolutions - 2, "without z, in the first convolution and the first skip"


def test_the_command_prints_and_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(bench, "in_a_process", lambda name, *arguments: getattr(measure, name)(*arguments))
    file = tmp_path / "bench.json"
    options = "--sizes 64 --channels 4 --steps 1 --repeats 1 --device cpu --rows"
    monkeypatch.setattr(sys, "argv", ["bench", *options.split(), "plain fp32", "ours fp32", "--json", str(file)])
    bench.main()
    assert [row["row"] for row in json.loads(file.read_text())["rows"]] == ["plain fp32", "ours fp32"]
    assert "ours fp32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--device cuda:99", "device=cuda:99: "),
        ("--skips 9", "skips=[9]: must be"),
        ("--device cpu --rows 'ours tf32'", "precision=tf32: "),
        ("--sizes 48", "argument --sizes: 48 would be padded to 64"),
        ("--json {file}/bench.json --rows 'ours fp32'", "--json {file}/bench.json: cannot be written"),
    ],
)
def test_illegal_options_are_refused_before_anything_is_measured(tmp_path: Path, given: str, message: str):
    file = tmp_path / "file"
    file.touch()
    command = [sys.executable, "-m", "dip.bench", *shlex.split(given.format(file=file))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode in (1, 2)
    assert message.format(file=file) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_sigterm_ends_the_measuring_process_too(tmp_path: Path):
    options = ["--sizes", "64", "--channels", "8", "--steps", "1000000", "--rows", "ours fp32"]
    command = [sys.executable, "-m", "dip.bench", *options, "--json", str(tmp_path / "b")]
    bench = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
    if not children.exists():
        bench.kill()
        bench.wait()
        pytest.skip("needs /proc")
    deadline, found = time.monotonic() + 60, []
    while len(found) < 2 and time.monotonic() < deadline:  # the resource tracker and the measuring process
        found = children.read_text().split()
        time.sleep(0.05)
    time.sleep(1)
    bench.send_signal(signal.SIGTERM)
    assert bench.wait(60) == 143
    while any(Path(f"/proc/{pid}").exists() for pid in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(found) >= 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


def test_a_volume_is_measured_per_voxel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from dip.bench import volumes

    monkeypatch.setattr(bench, "in_a_process", lambda name, *given, module: getattr(volumes, name)(*given))
    path = tmp_path / "bench.json"
    words = ["--volumes", "--sizes", "32", "--channels", "4", "--repeats", "1", "--device", "cpu", "--json", str(path)]
    monkeypatch.setattr("sys.argv", ["dip.bench", *words])
    bench.main()
    (row,) = json.loads(path.read_text())["volumes"]
    assert row["bytes_per_voxel"] * 32**3 == row["memory"]
    assert row["microseconds_per_voxel"] * 32**3 == pytest.approx(1e6 * row["seconds"])
    assert row["bytes_per_voxel"] > 2 * 3 * 32, "z, the perturbation and their sum have 32 numbers per voxel"
    assert "B per voxel" in capsys.readouterr().out

"""The benchmark: its table, its rows, its command line."""

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
from dip.errors import DipError
from dip.hardware.precision import Precision
from dip.nets import Hourglass
from tests.conftest import ROOT

TINY = Config(
    size=32, net=Hourglass(depth=3, channels=4), skips=[1, 2, 3], device="cpu", precision=Precision("fp32"),
    logger=CSV(),
)  # fmt: skip


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
def test_each_row_is_measured(name):
    row, precision = name.split()
    config = dataclasses.replace(TINY, precision=Precision(precision))
    found = measure.measure(row, config, steps=1)
    assert found["seconds"] > 0
    assert found["memory"] >= 0


def test_the_floor_is_the_convolutions_of_the_plain_network(monkeypatch):
    seen: list[tuple[int, ...]] = []
    real = torch.nn.functional.conv2d
    counted = lambda x, w, *a, **k: seen.append(tuple(w.shape)) or real(x, w, *a, **k)  # noqa: E731
    monkeypatch.setattr(measure.functional, "conv2d", counted)
    step = measure.floor(TINY)
    seen.clear()
    step()
    modules = measure.plain_network(TINY).modules()
    assert sorted(seen) == sorted(tuple(m.weight.shape) for m in modules if isinstance(m, torch.nn.Conv2d))


def test_the_floor_computes_every_gradient_except_that_of_z(monkeypatch):
    asked: list[int] = []
    real = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda out, inputs, grad: asked.append(len(inputs)) or real(out, inputs, grad)
    )
    measure.floor(dataclasses.replace(TINY, skips=[1, 2]))()
    convolutions = 3 * 4 + 2 + 1  # encoder 2 and decoder 2 per level, two skips, the head
    assert len(asked) == convolutions
    assert sum(asked) == 2 * convolutions - 2, "without z, in the first convolution and the first skip"


def test_the_command_prints_and_writes(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "in_a_process", lambda name, *arguments: getattr(measure, name)(*arguments))
    file = tmp_path / "bench.json"
    typed = f"--sizes 64 --steps 1 --repeats 1 --rows 'plain fp32' 'ours fp32' --json {file} --options net.channels=4 device=cpu"
    monkeypatch.setattr(sys, "argv", ["bench", *shlex.split(typed)])
    bench.main()
    assert [row["row"] for row in json.loads(file.read_text())["rows"]] == ["plain fp32", "ours fp32"]
    assert "ours fp32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--options device=cuda:99", "device=cuda:99: "),
        ("--options 'skips=[9]'", "skips=[9]: must be"),
        ("--options net=unet", "net=unet: must be hourglass"),
        ("--options device=cpu --rows 'ours tf32'", "precision=tf32: "),
        ("--sizes 48", "argument --sizes: 48 would be padded to 64"),
        ("--json {file}/bench.json --rows 'ours fp32'", "--json {file}/bench.json: cannot be written"),
    ],
)
def test_illegal_options_are_refused_before_anything_is_measured(tmp_path, monkeypatch, capsys, given, message):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(sys, "argv", ["bench", *shlex.split(given.format(file=file))])
    with pytest.raises((DipError, SystemExit)) as caught:
        bench.main()
    assert message.format(file=file) in f"{caught.value} {capsys.readouterr().err}"


@pytest.mark.slow
@pytest.mark.fault(9)
def test_sigterm_ends_the_measuring_process_too(tmp_path):
    typed = f"--sizes 64 --steps 1000000 --rows 'ours fp32' --json {tmp_path / 'b'} --options net.channels=8"
    command = [sys.executable, "-m", "dip.bench", *shlex.split(typed)]
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

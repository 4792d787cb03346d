"""Every command of the README works as it stands, with smaller numbers; and the target that CONTRIBUTING shows."""

import itertools
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

import dip
from dip.configuration import aliases, cli, composition, schema
from dip.fitting import experiment
from tests.conftest import ROOT, composed, python

README, GUIDE = ((ROOT / name).read_text() for name in ("README.md", ".github/CONTRIBUTING.md"))
BLOCKS, RECIPE = (re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for text in (README, GUIDE))
LINES = [line.split("  #")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
LINES += re.findall(r"`(python train\.py [^`]+)`", README)
RUNS = [line for line in LINES if line.startswith("python train.py") and " -m " not in line and "-cn" not in line]
SWEEPS = [line for line in LINES if " -m " in line or "-cn" in line]
CALLS = [text for kind, text in BLOCKS if kind == "python" and "def operator" not in text]
CALLS += [call for call in re.findall(r"`(dip\.restore\([^`]+\))`", README) if "..." not in call and "cube" not in call]
OPERATOR = next(text for kind, text in BLOCKS if "def operator" in text)
MAKE = [line.split()[1] for line in LINES if line.startswith("make ")]
SMALL = (
    "size=32", "steps=2", "net.depth=3", "net.channels=8", "skips=[2]", "device=cpu", "logger=csv", "baselines=false",
)  # fmt: skip


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The files that the README's user has: photographs of 48 x 40 pixels and a mask."""
    monkeypatch.chdir(tmp_path)
    photo = Image.radial_gradient("L").convert("RGB")
    photo.paste("red", (0, 0, 90, 90))  # torn there
    for name in re.findall(r"[\w-]+\.(?:png|jpg|tif)", " ".join([*RUNS, *CALLS])):
        photo.resize((48, 40)).save(name)
    Image.radial_gradient("L").resize((5, 5)).save("kernel.png")
    Image.radial_gradient("L").resize((48, 40)).point(lambda v: 255 * (v > 90)).save("mask.png")
    np.save("volume.npy", np.random.default_rng(0).random((6, 20, 16), np.float32))
    Path("my_operator.py").write_text(OPERATOR)
    np.save("measurements.npy", measured()["y"])


def measured() -> dict[str, Any]:
    """The operator of the README, and what it measures of an image."""
    made: dict[str, Any] = {}
    exec(OPERATOR, made)
    return {"operator": made["operator"], "y": made["operator"](torch.rand(1, 1, 64, 64)).numpy()}


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("call", CALLS)
def test_call(call, monkeypatch):
    small = {"size": 32, "steps": 2, "net": {"channels": 8, "depth": 3}, "skips": [2], "progress": False}
    restore = dip.restore
    monkeypatch.setattr(dip, "restore", lambda *given, **options: restore(*given, **{**options, **small}))
    exec(call, {"dip": dip, **measured()})


def test_there_are_commands_of_every_kind():
    assert len(CALLS) >= 8
    assert len(RUNS) >= 6
    assert SWEEPS
    assert {"run", "test"} <= set(MAKE)


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("line", RUNS)
def test_run(fit, line):
    given = cli.adapted(aliases.replaced(shlex.split(line)[2:]))  # as the program does
    if "--help" in given:
        assert python("train.py", *given).returncode == 0
        return
    options = [option for option in given if not option.startswith(("size=", "skips=", "net.", "steps="))]
    small = SMALL if "target.mask" not in line and "npy" not in line else SMALL[1:]
    few = ("method.steps=2",) if "method=zs_n2n" in line else ()
    _, result = fit(*options, *small, *few, tiny=False)
    assert result["status"] == "finished"
    composed(*given)  # as it stands, too


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("line", SWEEPS)
def test_sweep(line):
    given = shlex.split(line)[2:]
    if "-cn" in given:
        assert (ROOT / "sweeps" / f"{given[given.index('-cn') + 1]}.yaml").exists()
    options = OverridesParser.create().parse_overrides([option for option in given if "=" in option])
    launcher = {str(o.key_or_group).rpartition("/")[2]: o.value() for o in options if "hydra" in str(o.key_or_group)}
    if launcher:
        file = ROOT / "conf" / "hydra" / "launcher" / f"{launcher.pop('launcher')}.yaml"
        known = yaml.safe_load(file.read_text())
        assert {key.removeprefix("hydra.launcher.") for key in launcher} <= known.keys()
    each = [
        [f"{o.key_or_group}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line]
        for o in options
        if "hydra" not in str(o.key_or_group)
    ]
    for combination in itertools.product(*each):
        composed(*combination)


@pytest.mark.parametrize("target", sorted(set(MAKE)))
def test_make_knows_the_target(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_make_tells_the_size_of_the_installation_before_it_is_silent(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    program = tmp_path / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho python $*\n")
    program.chmod(0o755)
    told = subprocess.run(["make", "install"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    first, *others = [line for line in told.splitlines() if line.startswith(("installing", "python"))]
    assert first.startswith("installing PyTorch and the project into .venv: ")
    assert first.partition(": ")[2] in README
    assert others == ["python -m pip install --quiet --editable .[test]"]


def test_the_recipe_of_another_target(monkeypatch, tmp_path):
    code, recipe = (next(text for _, text in RECIPE if word in text) for word in ("class Dimmed", "target=dimmed"))
    made: dict[str, Any] = {"__name__": "dimmed"}
    monkeypatch.setitem(sys.modules, "dimmed", types.SimpleNamespace(__dict__=made))
    exec(compile(code, "dimmed.py", "exec"), made)
    monkeypatch.setitem(schema.TARGETS, "dimmed", made["Dimmed"])
    composition.register()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "dimmed.yaml").write_text(recipe)
    overrides = [f"hydra.searchpath=[file://{tmp_path}]", "target=dimmed", "size=32", "steps=2", *SMALL[2:]]
    options = composed(*overrides, f"out={tmp_path / 'outputs'}")
    result = experiment.run(options, [], progress=False)
    seen = Image.open(Path(result["folder"]) / "images" / "target.png")
    assert max(high for _, high in seen.getextrema()) in (127, 128)

"""A run on a full disk, and in a folder that is moved away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.faults import injecting, invariants
from tests.faults.children import Child

OPTIONS = (
    *TINY,
    "steps=60",
    "record_every=10",
    "checkpoint_every=0",
    "keep_checkpoint=true",
    "baselines=false",
)


def run(tmp_path: Path, out: str, prepare: Callable[[], None] | None = None) -> Child:
    return Child([*OPTIONS, f"out={tmp_path / out}"], tmp_path / "console", prepare)


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


@pytest.mark.fault(15)
def test_no_space_for_a_checkpoint(tmp_path: Path):
    """The run fails with the bytes needed. With space, it ends like an undisturbed run."""
    assert run(tmp_path, "whole").wait(100) == 0
    whole = only(tmp_path / "whole")
    (checkpoint,) = (whole / "checkpoints").glob("step-000000060.ckpt")
    child = run(tmp_path, "full", injecting.limited(checkpoint.stat().st_size // 2))
    assert child.wait(100) == 1
    assert "cannot be written" in child.text
    assert " bytes needed" in child.text
    assert "Traceback" not in child.text
    folder = only(tmp_path / "full")
    assert invariants.complaints(folder, 1, child.text) == []
    assert run(tmp_path, "full").wait(100) == 0
    assert invariants.differences(invariants.evidence(folder), invariants.evidence(whole)) == []


@pytest.mark.fault(16)
def test_a_folder_that_is_moved_away(tmp_path: Path):
    options = [*OPTIONS, "steps=100000", "checkpoint_every=0.2", f"out={tmp_path / 'out'}"]
    child = Child(options, tmp_path / "console")
    child.wait_for(lambda: list(tmp_path.glob("out/*/checkpoints/step-*.ckpt")))
    folder = only(tmp_path / "out")
    aside = folder.rename(folder.with_name("aside"))
    assert child.wait(60) == 1
    assert f"{folder}" in child.text
    assert "error: " in child.text
    assert "Traceback" not in child.text
    assert not folder.exists(), "it is not created again"
    assert invariants.usable(aside)

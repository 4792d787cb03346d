"""A run on a full disk, and in a folder that is moved away."""

import resource
from functools import partial

import pytest

from dip.runs.checkpoint_files import stored, verified
from tests.conftest import TINY
from tests.disturbed import Child, differences, litter, only

OPTIONS = (*TINY, "steps=60", "record_every=10", "checkpoint_every=0", "keep_checkpoint=true")


@pytest.mark.fault(15)
def test_no_space_for_a_checkpoint(fit, tmp_path):
    """The run fails with the bytes needed. With space, it ends like an undisturbed run."""
    whole, _ = fit(*OPTIONS, f"out={tmp_path / 'whole'}")
    size = (whole / "checkpoints" / "step-000000060.ckpt").stat().st_size

    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    child = Child([*OPTIONS, f"out={tmp_path / 'full'}"], tmp_path / "console", limit)
    assert child.ended() == 1
    assert "cannot be written" in child.output
    assert " bytes needed" in child.output
    assert "Traceback" not in child.output
    folder = only(tmp_path / "full")
    assert litter(folder) == []
    fit(*OPTIONS, f"out={tmp_path / 'full'}")
    assert differences(folder, whole) == []


@pytest.mark.fault(16)
def test_a_folder_that_is_moved_away(tmp_path):
    options = [*OPTIONS, "steps=100000", "checkpoint_every=0.2", f"out={tmp_path / 'out'}"]
    child = Child(options, tmp_path / "console")
    child.wait_for(lambda: list(tmp_path.glob("out/*/checkpoints/step-*.ckpt")))
    folder = only(tmp_path / "out")
    aside = folder.rename(folder.with_name("aside"))
    assert child.ended(60) == 1
    assert f"{folder}" in child.output
    assert "error: " in child.output
    assert "Traceback" not in child.output
    assert not folder.exists(), "it is not created again"
    assert all(map(verified, stored(aside / "checkpoints")))

"""A longer run starts where a shorter one ended, and ends as if it had been the longer one from the start."""

import json
from pathlib import Path

import pytest

from dip import runs
from tests.disturbed import contents

KEPT = ("record_every=10", "keep_checkpoint=true")


def extended_from(folder: Path) -> str | None:
    """The step that a run continued from, according to its log."""
    lines = [line for line in (folder / "run.log").read_text().splitlines() if "continuing from its step" in line]
    return lines[-1].rpartition(" ")[2] if lines else None


@pytest.mark.fault(5)
@pytest.mark.parametrize("stop", ["never", "combined"])
def test_more_steps_continue_from_the_end(fit, tmp_path, stop):
    whole, expected = fit("steps=60", f"stop={stop}", *KEPT, f"out={tmp_path / 'whole'}")
    shorter, _ = fit("steps=30", f"stop={stop}", *KEPT)
    before = contents(shorter)
    longer, result = fit("steps=60", f"stop={stop}", *KEPT)
    assert extended_from(longer) == "30"
    assert extended_from(whole) is None
    assert contents(longer) == contents(whole)
    assert result["psnr"] == expected["psnr"]
    assert contents(shorter) == before
    assert runs.finished(shorter)


def test_the_furthest_of_several_runs_is_used(fit, tmp_path):
    for steps in (10, 20, 40):
        fit(f"steps={steps}", *KEPT)
    assert extended_from(fit("steps=30", *KEPT)[0]) == "20", "not that of 40 steps"


def test_runs_that_are_not_used(fit):
    fit("steps=30", "seed=1", *KEPT)  # another run
    fit("steps=20", "record_every=10")  # no checkpoint
    fit("steps=25", *KEPT)  # a longer run has no record at step 25
    _, result = fit("steps=30", "stop=heldout", "stop.patience=1", *KEPT)
    assert result["status"] == "stopped"
    assert extended_from(fit("steps=40", *KEPT)[0]) is None
    assert extended_from(fit("steps=40", "stop=heldout", "stop.patience=1", *KEPT)[0]) is None
    assert extended_from(fit("steps=50", "ensemble=2", *KEPT)[0]) is None
    assert extended_from(fit("steps=60", "overwrite=true", *KEPT)[0]) is None, "it restarts"


def test_a_damaged_checkpoint_is_not_used(fit):
    shorter, _ = fit("steps=20", *KEPT)
    (checkpoint,) = (shorter / "checkpoints").glob("*.ckpt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    longer, result = fit("steps=40", *KEPT)
    assert extended_from(longer) is None
    assert result["steps"] == 40


def test_the_events_of_the_shorter_run_stay(fit):
    """They record an end that the longer run does not have."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit("steps=20", *KEPT, "logger=tensorboard")
    longer, _ = fit("steps=40", *KEPT, "logger=tensorboard")
    assert extended_from(longer) == "20"
    events = EventAccumulator(str(longer)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [30, 40]
    assert len(events.Scalars("restored/psnr")) == 1
    assert json.loads((longer / "result.json").read_text())["steps"] == 40


def test_a_snapshot_that_cannot_be_copied_is_left_out(fit):
    shorter, _ = fit("steps=20", *KEPT)
    images = shorter / "images"
    (images / "step-000010 (copy).png").write_bytes(b"")
    (images / "step-000005.png").unlink()
    (images / "step-000005.png").mkdir()
    (images / "step-000099.png").write_bytes(b"of a later step")
    longer, result = fit("steps=40", *KEPT)
    assert extended_from(longer) == "20"
    assert result["steps"] == 40
    copied = {path.name for path in (longer / "images").glob("step-*")}
    assert {"step-000010.png", "step-000020.png"} <= copied
    assert not {"step-000010 (copy).png", "step-000005.png", "step-000099.png"} & copied

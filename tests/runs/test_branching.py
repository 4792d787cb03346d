"""A longer run takes up where a shorter one ended, and ends as if it had always been the longer one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Fit
from tests.fitting.test_experiment import contents

KEPT = ("record_every=10", "keep_checkpoint=true")


def taken_up(folder: Path) -> str | None:
    """The step that a run says it went on from."""
    lines = [
        line for line in (folder / "run.log").read_text().splitlines() if "going on from its step" in line
    ]
    return lines[-1].rpartition(" ")[2] if lines else None


@pytest.mark.parametrize("stop", ["never", "combined"])
def test_more_steps_go_on_from_the_end(fit: Fit, tmp_path: Path, stop: str):
    whole, expected = fit("steps=60", f"stop={stop}", *KEPT, f"out={tmp_path / 'whole'}")
    shorter, _ = fit("steps=30", f"stop={stop}", *KEPT)
    before = contents(shorter)
    longer, result = fit("steps=60", f"stop={stop}", *KEPT)
    assert taken_up(longer) == "30"
    assert taken_up(whole) is None
    assert contents(longer) == contents(whole)
    assert {**result, "seconds": 0}["psnr"] == expected["psnr"]
    assert contents(shorter) == before
    assert (shorter / "result.json").exists()


def test_of_several_the_furthest_is_taken(fit: Fit, tmp_path: Path):
    for steps in (20, 40, 80):
        fit(f"steps={steps}", *KEPT)
    longer, _ = fit("steps=60", *KEPT)
    assert taken_up(longer) == "40", "not the one that is ahead already"


def test_who_is_left_aside(fit: Fit, tmp_path: Path):
    fit("steps=30", "seed=1", *KEPT)  # another run
    fit("steps=20", "record_every=10")  # no checkpoint
    fit("steps=25", *KEPT)  # its last record is none of a longer run's
    _, result = fit("steps=30", "stop=heldout", "stop.patience=1", *KEPT)
    assert result["status"] == "stopped"
    assert taken_up(fit("steps=40", *KEPT)[0]) is None
    assert taken_up(fit("steps=40", "stop=heldout", "stop.patience=1", *KEPT)[0]) is None
    assert taken_up(fit("steps=50", "ensemble=2", *KEPT)[0]) is None


def test_starting_anew_means_from_the_start(fit: Fit):
    fit("steps=20", *KEPT)
    longer, _ = fit("steps=40", "overwrite=true", *KEPT)
    assert taken_up(longer) is None


def test_a_damaged_neighbour_is_no_neighbour(fit: Fit):
    shorter, _ = fit("steps=20", *KEPT)
    (checkpoint,) = (shorter / "checkpoints").glob("*.ckpt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    longer, result = fit("steps=40", *KEPT)
    assert taken_up(longer) is None
    assert result["steps"] == 40


def test_the_events_of_the_shorter_run_stay(fit: Fit):
    """They tell of an end, which the longer run has not come to."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit("steps=20", *KEPT, "logger=tensorboard")
    longer, _ = fit("steps=40", *KEPT, "logger=tensorboard")
    assert taken_up(longer) == "20"
    events = EventAccumulator(str(longer)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [30, 40]
    assert len(events.Scalars("final/psnr")) == 1
    assert json.loads((longer / "result.json").read_text())["steps"] == 40


def test_a_picture_that_cannot_be_brought_along_is_left(fit: Fit, caplog: pytest.LogCaptureFixture):
    shorter, _ = fit("steps=20", *KEPT)
    (shorter / "images" / "step-000010 (copy).png").write_bytes(b"")
    (shorter / "images" / "step-000005.png").unlink()
    (shorter / "images" / "step-000005.png").mkdir()
    (shorter / "images" / "step-000099.png").write_bytes(b"of another future")
    longer, result = fit("steps=40", *KEPT)
    assert taken_up(longer) == "20"
    assert result["steps"] == 40
    brought = {path.name for path in (longer / "images").glob("step-*")}
    assert {"step-000010.png", "step-000020.png"} <= brought
    assert not {"step-000010 (copy).png", "step-000005.png", "step-000099.png"} & brought


def test_strangers_are_not_read(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    from dip.runs import branching

    for seed in (1, 2):
        fit("steps=20", f"seed={seed}", *KEPT)
    monkeypatch.setattr(branching, "verified", lambda path: pytest.fail(f"reads {path}"))
    assert fit("steps=40", *KEPT)[1]["steps"] == 40

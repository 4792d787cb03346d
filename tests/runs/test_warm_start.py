"""Runs that start from the weights of another run (`init`)."""

import logging
from typing import Any

import numpy as np
import pytest
import torch

import dip
from dip.errors import OptionError, RunError
from dip.fitting.fit import Fit
from dip.runs.checkpoint_files import load
from dip.runs.checkpoint_names import stored
from dip.runs.warm_start import start, weights
from tests.conftest import TINY, composed
from tests.disturbed import ends_the_same
from tests.runs.states import flip_a_bit

KEPT = ("steps=10", "record_every=1", "keep_checkpoint=true")


@pytest.fixture
def before(fit):
    """A finished run with its checkpoint."""
    return fit(*KEPT)[0]


def test_the_weights_are_those_of_the_other_run_and_nothing_else_is(before, fit, tmp_path):
    config = composed(*TINY, f"init={before}")
    work = Fit(config, tmp_path, "")
    module, _ = work.build()
    state = load(stored(before / "checkpoints")[0], None)
    assert all(torch.equal(value, state["state_dict"][name]) for name, value in module.state_dict().items())
    assert (module.step, module.average) == (0, None)


def test_its_loss_starts_where_the_other_ended(before, fit):
    folder, _ = fit(*KEPT, f"init={before}")
    first, last = (np.load(place / "losses.npy") for place in (before, folder))
    assert last[0] < 1.2 * first[-1] < first[0]


@pytest.mark.fault(1)
def test_killed_at_a_step_it_ends_the_same(before, fit, monkeypatch, tmp_path):
    options = (*KEPT, "checkpoint_every=0", "lr=0.005", f"init={before}")
    ends_the_same(monkeypatch, fit, tmp_path / "whole", Fit, "_finish", 1, *options)


def test_the_run_is_named_by_the_content_of_the_checkpoint(before, fit, tmp_path):
    cold, _ = fit(*KEPT, "seed=1")
    moved = tmp_path / "moved"
    before.rename(moved)
    one, _ = fit(*KEPT, f"init={moved}")
    again, result = fit(*KEPT, f"init={moved}/../moved")
    assert one == again
    assert result["status"] == "finished"
    other, _ = fit(*KEPT, f"init={cold}")
    assert len({one, other, cold}) == 3


def test_another_network_is_refused_with_what_differs(before, fit, tmp_path):
    for changed, message in (
        ("net.channels=4", "net.channels is 8 there and 4 here"),
        ("net.upsampling=nearest", "net.upsampling is bilinear there and nearest here"),
        ("skips=[1]", r"skips is \[2\] there and \[1\] here"),
        ("z.channels=4", "z.channels is 32 there and 4 here"),
        ("ensemble=2", "ensemble is 1 there and 2 here"),
        ("image=camera", "image.channels is 3 there and 1 here"),
        ("net=pixels", r"\(net.name is hourglass there and pixels here\)"),
    ):
        given = ("size=32", "logger=csv", "precision=fp32", f"out={tmp_path / 'outputs'}")
        given += () if changed == "net=pixels" else TINY[1:4]
        with pytest.raises(OptionError, match=f"init=.*: must be a run of the same network .*{message}"):
            fit(*given, *KEPT, f"init={before}", changed, tiny=False)
    assert len(list((tmp_path / "outputs").iterdir())) == 1, "nothing is made"
    fit(*KEPT, f"init={before}", "net.checkpoint_activations=true")  # the same network


def test_another_input_is_told(before, fit, caplog):
    with caplog.at_level(logging.WARNING):
        fit(*KEPT, f"init={before}", "seed=1")
    assert "z is another input than in that run, so its weights help less (seed is 0 there and 1 here)" in caplog.text


def test_a_folder_without_a_run_or_a_checkpoint(fit, tmp_path):
    with pytest.raises(OptionError, match="init=.*nowhere: must be the folder of a finished run with a checkpoint"):
        fit(*KEPT, f"init={tmp_path / 'nowhere'}")
    bare, _ = fit(*KEPT, "keep_checkpoint=false")
    with pytest.raises(OptionError, match="repeat that run with keep_checkpoint=true overwrite=true"):
        fit(*KEPT, "seed=1", f"init={bare}")


def test_a_damaged_checkpoint(before, fit):
    flip_a_bit(stored(before / "checkpoints")[0])
    with pytest.raises(RunError, match="its content has changed"):
        fit(*KEPT, "seed=1", f"init={before}")


def test_networks_of_a_users_own_class_are_compared_by_their_weights(before):
    state: dict[str, Any] = {"nets.0.a": torch.zeros(2), "nets.0.b": torch.zeros(3)}
    module = torch.nn.ModuleDict({"nets": torch.nn.Linear(1, 1)})
    with pytest.raises(OptionError, match=r"nets.0.a is \[2\] there and None here; .* and 1 more"):
        start(module, state, "outputs/RUN")


@pytest.mark.usefixtures("undrawn")
def test_a_stack_slice_by_slice(tmp_path):
    """The loop of the documentation."""
    rng = np.random.default_rng(0)
    stack = np.clip(np.linspace(0.3, 0.7, 32) + 0.05 * rng.standard_normal((3, 32, 32)), 0, 1)
    options = {"net": {"channels": 8, "depth": 3}, "skips": [2], "out": tmp_path, "progress": False}
    restored, previous = [], None
    for image in stack:
        steps = 30 if previous is None else 10
        result = dip.restore(image, steps=steps, init=previous, keep_checkpoint=True, **options)
        restored.append(result.image)
        previous = result.folder
    assert np.stack(restored).shape == stack.shape
    assert result.metrics["steps"] == 10
    assert result.history["loss"][0] < 0.02, "without its start it would be above"
    config = composed("size=32", "net.depth=3", "net.channels=8", "skips=[2]", f"init={previous}")
    assert weights(config, (1, 32, 32))

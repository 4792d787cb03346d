"""Special cases of resuming: at the last step, in double precision, on another device."""

import functools

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dip import runs
from dip.errors import RunError
from dip.fitting.fit import Fit
from dip.model.module import DeepImagePrior
from dip.runs.checkpoint_files import footer_of, load, write
from dip.stopping import Never
from tests.conftest import TINY, composed
from tests.disturbed import ends_the_same, evidence, killed, only

NETS = (
    "unet net.channels=[4,8]", "resnet net.channels=8 net.blocks=2", "decoder net.channels=8 net.layers=3",
    "convdecoder net.channels=8 net.layers=3", "mlp", "mlp net.encoding=siren", "swin net.channels=16 net.blocks=2",
)  # fmt: skip


@pytest.mark.fault(1, 5, 8)
@pytest.mark.parametrize(
    ("owner", "method", "at", "given"),
    [
        (DeepImagePrior, "training_step", 1, ()),
        (DeepImagePrior, "training_step", 2, ("stop=wmv",)),
        (DeepImagePrior, "training_step", 11, ("precision=fp64", "optimizer=muon")),
        (DeepImagePrior, "training_step", 20, ()),
        (Fit, "_finish", 1, ("stop=never",)),
        (Fit, "_finish", 1, ("steps=60", "stop=heldout", "stop.patience=1")),
    ],
)
def test_killed_at_any_step_or_while_it_saves_its_images_it_ends_the_same(
    fit, monkeypatch, tmp_path, owner, method, at, given
):
    options = ("steps=20", "record_every=7", "checkpoint_every=0", *given)
    _, result = ends_the_same(monkeypatch, fit, tmp_path / "whole", owner, method, at, *options)
    assert result["status"] == ("stopped" if "stop=heldout" in given else "finished")


@pytest.mark.fault(1)
@pytest.mark.parametrize("net", NETS)
def test_each_network_resumes_exactly(fit, monkeypatch, tmp_path, net):
    words = f"net={net} image=astronaut size=[9,16] steps=6 record_every=2 checkpoint_every=0 ensemble=2 precision=bf16"
    whole_network, options = functools.partial(fit, tiny=False), (*words.split(), "logger=csv")
    ends_the_same(monkeypatch, whole_network, tmp_path / "whole", DeepImagePrior, "training_step", 4, *options)


def test_records_that_were_lost_after_the_last_step_are_written_again(fit, monkeypatch, tmp_path):
    options = ("steps=20", "record_every=5", "checkpoint_every=0", "precision=fp64", "keep_checkpoint=true")
    whole, _ = fit(*options, f"out={tmp_path / 'whole'}")
    killed(monkeypatch, fit, Fit, "_finish", 1, *options)
    folder = only(tmp_path / "outputs")
    metrics = folder / "metrics.csv"
    metrics.write_bytes(metrics.read_bytes()[:90])
    fit(*options)
    assert evidence(folder) == evidence(whole)


def test_checkpoints_stay_until_the_result_is_written(fit, monkeypatch):
    """Otherwise a full disk, or a kill at this instant, would cost the whole fit."""
    options, steps = ("steps=20", "checkpoint_every=0"), []
    real = DeepImagePrior.training_step
    monkeypatch.setattr(
        DeepImagePrior, "training_step", lambda self, *given: steps.append(self.step) or real(self, *given)
    )
    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_json", lambda path, data: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(*options, "seed=1")
    assert len(steps) == 20
    _, result = fit(*options, "seed=1")
    assert result["status"] == "finished"
    assert len(steps) == 20, "no step is repeated"


@pytest.mark.fault(1)
def test_a_run_does_not_resume_in_another_precision(fit, monkeypatch):
    """`precision=auto` selects bf16 on one machine and float32 on another."""
    options = ("steps=20", "record_every=7", "checkpoint_every=0", "precision=auto")
    monkeypatch.setattr("dip.hardware.devices._native_bf16", lambda device: False)
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 11, *options)
    monkeypatch.setattr("dip.hardware.devices._native_bf16", lambda device: True)
    with pytest.raises(RunError, match="precision.name is fp32 there and bf16 here"):
        fit(*options)


@pytest.mark.fault(12)
def test_the_weights_of_another_network_are_refused_with_their_keys(fit, tmp_path):
    options = ("steps=20", "record_every=10", "keep_checkpoint=true")
    folder, _ = fit(*options)
    (path,) = (folder / "checkpoints").iterdir()
    footer = footer_of(path)
    state = load(path, footer["identity"])
    state["state_dict"]["nets.0.strange"] = state["state_dict"].popitem()[1]
    write(path.parent, state, 20, footer["identity"], options=footer["options"])
    (folder / "result.json").unlink()
    with pytest.raises(RunError, match="belongs to another network; restart .*Missing key.*Unexpected key.*strange"):
        fit(*options)


def test_the_average_moves_to_the_device_of_the_output():
    module = DeepImagePrior([torch.nn.Conv2d(1, 1, 1)], (2, 2))
    module.average, module.step = torch.zeros(1, 1, 2, 2), 5  # as loaded from a checkpoint, on the host
    module.average = module._averaged(module.average, torch.ones(1, 1, 2, 2, device="meta"))
    assert module.average.device.type == "meta"


def test_a_stopping_rule_gets_its_tensors_on_the_device_of_the_run(tmp_path):
    class Noting(Never):
        def start(self, target: torch.Tensor, seed: int, known: torch.Tensor | None = None, warm_up: int = 0) -> None:
            assert known is not None
            assert target.device == known.device == torch.device("meta")

    config = composed(*TINY, "target=inpaint", "target.missing=0.5")
    fit = Fit(config, tmp_path, "")
    fit.config.stop, fit.device = Noting(), torch.device("meta")
    fit.build()


def test_building_changes_no_random_state(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeds the GPUs"))
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("seeds the GPUs"))
    before = torch.get_rng_state()
    Fit(composed(*TINY), tmp_path, "").build()
    assert torch.equal(torch.get_rng_state(), before)


def test_events_after_the_last_checkpoint_are_dropped_on_resume(fit, monkeypatch):
    options = ("steps=20", "record_every=1", "logger=tensorboard", "checkpoint_every=1000")
    killed(monkeypatch, fit, DeepImagePrior, "training_step", 11, *options)
    folder, _ = fit(*options)
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 21))


def test_a_failed_run_records_its_precision_flags(tmp_path):
    failed = Fit(composed(*TINY), tmp_path, "").result("failed", error="why")
    assert failed["precision"]["name"] == "fp32"
    assert failed["precision"]["cudnn_allow_tf32"] is False

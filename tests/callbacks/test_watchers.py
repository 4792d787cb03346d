"""Callbacks: nothing is read from the device between records, and a full disk does not end a run."""

import errno
import logging

import pytest
import torch

from dip import images
from dip.callbacks import recorder
from dip.errors import RunError
from dip.fitting import fit as fit_module


class Reads:
    """The step of every call that waits for a device: `item`, `tolist`, `cpu`, `numpy`, `bool`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: list[int] = []
        self.step = 0
        for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
            monkeypatch.setattr(torch.Tensor, name, self._counted(getattr(torch.Tensor, name)))
        start = fit_module.DeepImagePrior.training_step

        def training_step(module, *args):  # reads of the step itself count too
            self.step = module.step + 1
            start(module, *args)

        monkeypatch.setattr(fit_module.DeepImagePrior, "training_step", training_step)

    def _counted(self, method):
        def call(tensor, *args, **kwargs):
            self.at.append(self.step)
            return method(tensor, *args, **kwargs)

        return call


@pytest.mark.parametrize("stop", ["never", "heldout"])
def test_nothing_reads_the_device_between_records(fit, monkeypatch, stop):
    reads = Reads(monkeypatch)
    # Adam with `capturable=False` reads its own step counter, which is on the host.
    options = ("steps=40", "record_every=20", "snapshot_every=20", "checkpoint_every=1000", f"stop={stop}")
    fit(*options)
    during = {step for step in reads.at if 1 < step < 40}
    assert during <= {2, 5, 10, 20}, during
    assert {1, 20} <= set(reads.at)


@pytest.mark.fault(15)
def test_a_full_disk_costs_metrics_but_not_the_run(fit, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder.Recorder, "_append", full)
    with caplog.at_level(logging.WARNING, logger="dip"):
        folder, result = fit("steps=20", "record_every=5")
    assert result["status"] == "finished"
    assert len([line for line in caplog.messages if "No space left" in line]) == 1
    assert (folder / "images" / "restored.png").exists()


@pytest.mark.fault(18)
def test_out_of_memory_says_what_to_lower(fit, monkeypatch, tmp_path):
    def starve(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(fit_module.DeepImagePrior, "training_step", starve)
    with pytest.raises(RunError, match="out of memory .* at 32 x 32: use tile=512, lower size, net.channels"):
        fit("steps=3")


def test_snapshots_show_the_output_of_their_step(fit):
    folder, _ = fit("steps=5", "snapshot_every=5")
    last = images.load(folder / "images" / "step-000005.png").pixels
    assert torch.equal(last, images.load(folder / "images" / "output.png").pixels)

"""Lightning saves and resumes through our checkpoints, to the bit."""

import itertools
import os

import lightning
import pytest
import torch

from dip.errors import RunError
from dip.runs.checkpoints import DipCheckpointIO, load, newest
from dip.runs.generations import Damaged, path_of, stored


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


class Tiny(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.automatic_optimization = False
        self.net = torch.nn.Linear(3, 3)
        self.save_hyperparameters({"_instantiator": "os.mkdir"})

    def training_step(self, batch, index):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward((self.net(batch) ** 2).mean())
        optimizer.step()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.1)


class SaveAt(lightning.Callback):
    def __init__(self, folder, steps):
        self.folder, self.steps = folder, steps

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step in self.steps:
            trainer.save_checkpoint(self.folder / f"step-{trainer.global_step:09d}.ckpt")


def fit(folder, steps, save_at=(), resume=None):
    module = Tiny()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        max_steps=steps,
        plugins=[DipCheckpointIO("me")],
        callbacks=[SaveAt(folder, save_at)],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, itertools.repeat(torch.ones(1, 3)), ckpt_path=resume)
    return trainer, module


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended")
def test_lightning_saves_and_resumes_to_the_bit_with_tensors_and_plain_values_only(tmp_path, monkeypatch):
    _, whole = fit(tmp_path, 9)
    fit(tmp_path, 5, save_at=(2, 3, 5))
    assert [path.name for path in stored(tmp_path)] == ["step-000000005.ckpt", "step-000000003.ckpt"]
    flip_a_bit(path_of(tmp_path, 5))
    asked, real = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.append(k["weights_only"]) or real(*a, **k))
    trainer, resumed = fit(tmp_path, 9, resume=str(newest(tmp_path, "me")))
    assert asked == [True, True]
    assert trainer.global_step == 9
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    moments = resumed.optimizers().optimizer.state_dict()["state"]
    torch.testing.assert_close(moments, whole.optimizers().optimizer.state_dict()["state"], rtol=0, atol=0)


def test_lightning_gets_no_hyper_parameters_from_a_checkpoint(tmp_path):
    fit(tmp_path, 1, save_at=(1,))
    assert load(path_of(tmp_path, 1), "me")["hyper_parameters"] == {"_instantiator": "os.mkdir"}
    found = DipCheckpointIO("me").load_checkpoint(path_of(tmp_path, 1))
    assert "state_dict" in found
    assert not [key for key in found if "hyper" in key or "hparams" in key]


def test_lightning_is_refused_a_damaged_or_foreign_checkpoint(tmp_path):
    fit(tmp_path, 2, save_at=(1, 2))
    flip_a_bit(path_of(tmp_path, 2))
    with pytest.raises(Damaged, match="content has changed"):
        fit(tmp_path, 3, resume=str(path_of(tmp_path, 2)))
    with pytest.raises(RunError, match="belongs to configuration me, not to you"):
        DipCheckpointIO("you").load_checkpoint(path_of(tmp_path, 1))


def test_lightning_removes_a_checkpoint_with_its_manifest(tmp_path):
    fit(tmp_path, 2, save_at=(1, 2))
    DipCheckpointIO("me").remove_checkpoint(path_of(tmp_path, 2))
    assert sorted(os.listdir(tmp_path)) == ["step-000000001.ckpt", "step-000000001.json"]


def test_a_path_of_another_form_is_our_own_mistake(tmp_path):
    with pytest.raises(AssertionError, match="the name must be step-"):
        DipCheckpointIO("me").save_checkpoint({}, tmp_path / "last.ckpt")
    assert newest(tmp_path, "me") is None

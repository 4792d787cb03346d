"""Checkpoints: a state is restored exactly, and the right ones are kept."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from dip.errors import NotFiniteError, RunError
from dip.runs.checkpoint_files import DipCheckpointIO, latest, load, path_of, step_of, stored, verified, write
from tests.runs.states import flip_a_bit, put, state, usable


def identical(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def steps_in(folder):
    return [step_of(path) for path in stored(folder)]


def test_a_state_is_restored_exactly(tmp_path):
    weights = OrderedDict(w=torch.full((8, 4), 1.0), n=torch.tensor(3))
    plain = {"losses": [0.5, None], "done": False, "name": "x", "pair": (1, 2.5), "bytes": b"x", 3: None}
    kinds = {str(kind): torch.arange(6).reshape(2, 3).to(kind) for kind in (torch.bfloat16, torch.int64)}
    odd = {"size": torch.Size([1]), "kind": torch.bfloat16, "place": torch.device("cpu")}
    views = {"view": torch.arange(12.0).reshape(3, 4).t(), "empty": torch.empty(0, 3)}
    saved = {"state_dict": weights, **plain, **kinds, **odd, **views}
    path = write(tmp_path / "checkpoints", saved, 12, "me")
    assert path == tmp_path / "checkpoints" / "step-000000012.ckpt"
    assert latest(tmp_path / "checkpoints", "me") == path
    assert identical(load(path, "me"), saved)
    assert identical(torch.load(path, weights_only=True), saved), "torch reads the file without this program"


def test_before_the_first_checkpoint_there_is_none(tmp_path):
    assert latest(tmp_path / "checkpoints", "me") is None
    (tmp_path / ".step-000000010.ckpt.1-0123abcd.tmp").touch()  # a kill during the first write leaves this
    assert latest(tmp_path, "me") is None
    assert os.listdir(tmp_path) == [], "temporary files are removed"


@pytest.mark.parametrize(
    ("value", "kind"), [(np.float64(1), "numpy"), (Path("x"), "PosixPath"), (print, "builtins.print")]
)
def test_only_tensors_and_plain_values_are_written(tmp_path, value, kind):
    with pytest.raises(TypeError, match=f"a checkpoint holds tensors and plain values, not .*{kind}"):
        write(tmp_path, {"a": [{"b": value}]}, 10, "me")
    assert os.listdir(tmp_path) == []


@pytest.mark.fault(17)
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_never_replace_finite_ones(tmp_path, number):
    put(tmp_path, 10)
    with pytest.raises(NotFiniteError, match="step-000000020.ckpt: not written, state_dict.w is not finite"):
        write(tmp_path, state(number), 20, "me")
    assert usable(tmp_path) == 10
    path = write(tmp_path, {**state(), "best": torch.tensor(number)}, 20, "me")
    assert not load(path, "me")["best"].isfinite(), "other values may be infinite"


@pytest.mark.fault(16)
def test_a_deleted_run_folder_is_named_and_not_created_again(tmp_path):
    with pytest.raises(RunError, match="run/checkpoints/step-000000010.ckpt: cannot be written"):
        write(tmp_path / "run" / "checkpoints", state(), 10, "me")
    assert os.listdir(tmp_path) == []


def test_checkpoints_are_sorted_by_step_and_other_files_are_ignored(tmp_path):
    steps = [12_345_678_901, 1_000_000_000, 999_999_999, 0]
    others = ("step-5.ckpt", "step-0000000005.ckpt", "last.ckpt", "step-00000000a.ckpt")
    for path in (*(path_of(tmp_path, step) for step in steps), *(tmp_path / name for name in others)):
        path.touch()
    assert steps_in(tmp_path) == steps
    put(tmp_path, 12_345_678_902)
    assert all((tmp_path / name).exists() for name in others)
    assert stored(tmp_path / "none") == []


@pytest.mark.fault(14)
def test_the_newest_two_intact_ones_are_kept(tmp_path):
    put(tmp_path, 1, 2, 3, 10, 20)
    assert sorted(os.listdir(tmp_path)) == ["step-000000010.ckpt", "step-000000020.ckpt"]
    flip_a_bit(path_of(tmp_path, 20))
    put(tmp_path, 30)
    assert steps_in(tmp_path) == [30, 10]
    put(tmp_path, 20)  # the run went back
    assert steps_in(tmp_path) == [20, 10]


@pytest.mark.fault(14)
def test_a_failing_delete_warns_and_continues(tmp_path, monkeypatch, caplog):
    put(tmp_path, 10, 20)
    real = os.unlink

    def unlink(path, *args, **kwargs):
        if str(path).endswith("10.ckpt"):
            raise PermissionError(13, "Permission denied")
        real(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    put(tmp_path, 30)
    assert "step-000000010.ckpt: cannot be deleted (Permission denied)" in caplog.text
    assert steps_in(tmp_path) == [30, 20, 10]
    assert all(verified(path) for path in stored(tmp_path))


def test_a_folder_in_the_way_is_moved_aside_with_its_content(tmp_path, caplog):
    path_of(tmp_path, 10).mkdir()
    (path_of(tmp_path, 10) / "precious").write_text("kept")
    put(tmp_path, 10)
    assert usable(tmp_path) == 10
    (aside,) = tmp_path.glob("*.aside-*")
    assert (aside / "precious").read_text() == "kept"
    assert aside.name in caplog.text


# Lightning; whole runs that resume through it are in tests/fitting


@pytest.mark.fault(13)
def test_lightning_gets_no_hyper_parameters_and_always_weights_only(tmp_path, monkeypatch):
    access, asked, real = DipCheckpointIO("me"), [], torch.load
    access.save_checkpoint({**state(), "hyper_parameters": {"_instantiator": "os.mkdir"}}, path_of(tmp_path, 1))
    assert load(path_of(tmp_path, 1), "me")["hyper_parameters"] == {"_instantiator": "os.mkdir"}
    monkeypatch.setattr(torch, "load", lambda *a, **k: asked.append(k["weights_only"]) or real(*a, **k))
    assert access.load_checkpoint(path_of(tmp_path, 1), weights_only=False).keys() == state().keys()
    assert asked == [True]

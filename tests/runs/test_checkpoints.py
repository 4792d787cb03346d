"""Checkpoints: what was saved comes back to the bit, and only what can come back is saved."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from dip.errors import RunError
from dip.runs.checkpoints import check_weights, latest, newest, write


def state(value=1.0):
    weights = OrderedDict(w=torch.full((8, 4), value), n=torch.tensor(3))
    return {
        "state_dict": weights,
        "step": 7,
        "losses": [0.5, None],
        "done": False,
        "name": "x",
        "pair": (1, 2.5),
    }


def identical(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def value_of(found):
    return found["state_dict"]["w"][0, 0].item()


def test_a_state_comes_back_as_it_was(tmp_path):
    kinds = {str(kind): torch.arange(6).reshape(2, 3).to(kind) for kind in (torch.bfloat16, torch.int64)}
    saved = {**state(), **kinds, "view": torch.arange(12.0).reshape(3, 4).t(), "empty": torch.empty(0, 3)}
    path = write(tmp_path / "checkpoints", saved, 12, "me")
    assert path == tmp_path / "checkpoints" / "step-000000012.ckpt"
    step, found = latest(tmp_path / "checkpoints", "me")
    assert step == 12
    assert identical(found, saved)
    assert newest(tmp_path / "checkpoints", "me") == path


def test_the_same_state_is_the_same_file(tmp_path):
    first = write(tmp_path / "a", state(), 10, "me").read_bytes()
    assert write(tmp_path / "b", state(), 20, "me").read_bytes() == first


def test_before_the_first_checkpoint_there_is_none(tmp_path):
    assert latest(tmp_path / "checkpoints", "me") is newest(tmp_path / "checkpoints", "me") is None
    (tmp_path / ".step-000000010.ckpt.1-0123abcd.tmp").touch()
    (tmp_path / "step-000000010.json").touch()  # a kill in the first write leaves no more than these
    assert latest(tmp_path, "me") is None
    assert os.listdir(tmp_path) == ["step-000000010.json"], "temporaries are cleaned on reading"


def test_states_go_where_they_are_asked_to(tmp_path):
    write(tmp_path, state(), 10, "me")
    assert latest(tmp_path, "me")[1]["state_dict"]["w"].device.type == "cpu"
    found = latest(tmp_path, "me", map_location="meta", finite=())[1]
    assert found["state_dict"]["w"].device.type == "meta"


@pytest.mark.parametrize(
    ("value", "kind"),
    [(np.float64(1), "numpy.float64"), (Path("x"), "Posix"), ({1, 2}, "set"), (print, "builtin")],
)
def test_only_tensors_and_plain_values_are_written(tmp_path, value, kind):
    with pytest.raises(
        TypeError, match=rf"a\.0\.b: a checkpoint holds tensors and plain values, not .*{kind}"
    ):
        write(tmp_path, {"a": [{"b": value}]}, 10, "me")
    assert os.listdir(tmp_path) == []


def test_whatever_is_accepted_can_be_loaded(tmp_path):
    odd = {
        "size": torch.Size([1]),
        "kind": torch.bfloat16,
        "place": torch.device("cpu"),
        "bytes": b"x",
        3: None,
    }
    write(tmp_path, {**state(), "odd": odd, "weight": torch.nn.Parameter(torch.ones(1))}, 10, "me")
    found = latest(tmp_path, "me")[1]
    assert found["odd"] == odd
    assert found["weight"].item() == 1


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_never_replace_finite_ones(tmp_path, number):
    write(tmp_path, state(10), 10, "me", keep=1)
    with pytest.raises(RunError, match="step-000000020.ckpt: not written, state_dict.w is not finite"):
        write(tmp_path, state(number), 20, "me", keep=1)
    assert value_of(latest(tmp_path, "me")[1]) == 10


def test_numbers_elsewhere_may_be_anything(tmp_path):
    extra = {"best": torch.tensor(torch.inf), "state_dict_like": torch.tensor(torch.nan)}
    write(tmp_path, {**state(), **extra}, 10, "me")
    assert torch.isnan(latest(tmp_path, "me")[1]["state_dict_like"])


def test_another_networks_weights_are_refused_with_their_keys():
    ours = {"a": torch.ones(2), "b": torch.ones(2), "c": torch.ones(2)}
    check_weights("file", dict(ours), ours)
    theirs = {"a": torch.ones(3), "c": torch.ones(2), "d": torch.ones(2)}
    with pytest.raises(RunError, match="another network; missing: b; unexpected: d; of another shape: a$"):
        check_weights("file", theirs, ours)


def test_a_run_folder_that_vanished_is_named_and_not_made_again(tmp_path):
    with pytest.raises(RunError, match="run/checkpoints: cannot be made"):
        write(tmp_path / "run" / "checkpoints", state(), 10, "me")
    assert os.listdir(tmp_path) == []

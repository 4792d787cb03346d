"""Checkpoints that lie are refused, whatever the lie, and nothing in a file is executed."""

import io
import os
import re
from pathlib import Path

import pytest
import torch

from dip.errors import RunError
from dip.runs import generations
from dip.runs.checkpoints import DipCheckpointIO, latest, newest, write
from dip.runs.generations import Damaged, path_of

ROOT = Path(__file__).parents[2]


def state(value=1.0):
    return {"state_dict": {"w": torch.full((8, 4), float(value))}, "step": 7}


def value_of(found):
    return found["state_dict"]["w"][0, 0].item()


def forge(folder, step, content, identity="me"):
    """A file whose manifest is right in everything: what someone could make who knows this program."""
    generations.store(path_of(folder, step), content, identity, {"options": None, "torch": "2"}, keep=9)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def damage_truncated(path, percent):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * percent // 100])


def damage_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "zero bytes": lambda path: path.write_bytes(b""),
    "1 %": lambda path: damage_truncated(path, 1),
    "50 %": lambda path: damage_truncated(path, 50),
    "99 %": lambda path: damage_truncated(path, 99),
    "one bit": flip_a_bit,
    "one bit of the manifest": lambda path: flip_a_bit(path.with_suffix(".json")),
    "no manifest": lambda path: path.with_suffix(".json").unlink(),
    "a folder": damage_folder,
}


@pytest.fixture
def no_unpickling(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    return lambda: monkeypatch.setattr(torch, "load", refuse)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_passed_over_with_a_warning(tmp_path, caplog, damage):
    for step in (10, 20):
        write(tmp_path, state(step), step, "me")
    damage(path_of(tmp_path, 20))
    step, found = latest(tmp_path, "me")
    assert (step, value_of(found)) == (10, 10)
    assert re.search(r"WARNING .*step-000000020.ckpt: .*; trying the checkpoint before it", caplog.text)
    assert newest(tmp_path, "me") == path_of(tmp_path, 10)
    write(tmp_path, state(21), 20, "me")  # the run goes on and comes by here again
    assert value_of(latest(tmp_path, "me")[1]) == 21


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_before_anything_is_unpickled_and_named_when_none_is_left(
    tmp_path, no_unpickling, damage
):
    for step in (10, 20):
        write(tmp_path, state(step), step, "me")
        damage(path_of(tmp_path, step))
    no_unpickling()
    with pytest.raises(
        RunError, match=rf"{tmp_path}: no checkpoint can be used \({tmp_path}/step-000000020.ckpt: "
    ):
        newest(tmp_path, "me")


class RunsCode:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def pickled(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_a_pickle_that_would_run_code_is_blocked(tmp_path, monkeypatch, caplog):
    canary, folder = tmp_path / "canary", tmp_path / "checkpoints"
    write(folder, state(10), 10, "me")
    forge(folder, 20, pickled({**state(20), "callbacks": RunsCode(canary)}))
    real, asked = torch.load, []

    def watched(*args, **kwargs):
        asked.append(kwargs["weights_only"])
        return real(*args, **kwargs)

    monkeypatch.setattr(torch, "load", watched)
    assert latest(folder, "me")[0] == 10
    assert "holds more than tensors and plain values" in caplog.text
    with pytest.raises(Damaged, match="holds more than tensors"):
        DipCheckpointIO("me").load_checkpoint(path_of(folder, 20), weights_only=False)
    assert asked == [True, True, True], "never tried again with less care"
    assert not canary.exists()
    real(path_of(folder, 20), weights_only=False)
    assert canary.exists(), "it would have"


@pytest.mark.parametrize("content", [b"", b"no pickle", pickled([1, 2]), pickled(torch.ones(1))])
def test_what_is_no_state_is_refused(tmp_path, content):
    forge(tmp_path, 10, content)
    with pytest.raises(RunError, match="step-000000010.ckpt: holds"):
        latest(tmp_path, "me")


def test_nothing_in_the_program_unpickles_without_care():
    careless = re.compile(
        r"weights_only\s*=\s*(False|None)|pickle\.load|load_from_checkpoint|allow_pickle=True"
    )
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "dip").rglob("*.py")}
    assert [str(path) for path, text in sources.items() if careless.search(text)] == []
    loads = [call for text in sources.values() for call in re.findall(r"torch\.load\(.*", text)]
    assert loads
    assert all("weights_only=True" in call for call in loads)


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused_on_loading(tmp_path, caplog, number):
    write(tmp_path, state(10), 10, "me")
    write(tmp_path, state(number), 20, "me", finite=())
    assert latest(tmp_path, "me")[0] == 10
    assert "step-000000020.ckpt: state_dict.w is not finite" in caplog.text
    assert latest(tmp_path, "me", finite=())[0] == 20


def test_another_configuration_is_refused_with_the_differing_options(tmp_path):
    theirs = {"net": {"channels": 8}, "skips": [3, 4], "lr": 0.01}
    write(tmp_path, state(), 10, "a" * 64, options=theirs)
    with pytest.raises(
        RunError, match="belongs to configuration aaaaaaaa, not to bbbbbbbb; start anew with overwrite"
    ):
        latest(tmp_path, "b" * 64)
    changes = re.escape("(net.channels is 8 there and 16 here; skips is (3, 4) there and (3,) here)")
    ours = {"net": {"channels": 16}, "skips": (3,), "lr": 0.01}
    for ask in (latest, newest):
        with pytest.raises(RunError, match=changes):
            ask(tmp_path, "b" * 64, options=ours)
    with pytest.raises(RunError, match=changes):
        DipCheckpointIO("b" * 64, options=ours).load_checkpoint(path_of(tmp_path, 10))


def test_a_newer_format_is_refused_by_its_version_although_an_older_file_is_there(tmp_path, monkeypatch):
    write(tmp_path, state(), 10, "me")
    with monkeypatch.context() as patch:
        patch.setattr(generations, "FORMAT", 2)
        write(tmp_path, state(), 20, "me")
    with pytest.raises(RunError, match="step-000000020.ckpt: has format 2, this program reads up to 1"):
        newest(tmp_path, "me")

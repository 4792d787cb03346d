"""Experiments are read without Hydra, with the result of its composition."""

import sys

import pytest

from dip.api.assemble import assemble
from dip.configuration import shipped
from tests.conftest import composed


@pytest.mark.parametrize("name", shipped.names("conf/experiment"))
def test_as_hydra_composes_it(name: str, monkeypatch: pytest.MonkeyPatch):
    expected = composed(f"experiment={name}")
    monkeypatch.setitem(sys.modules, "hydra", None)  # importing it is an error
    assert assemble({"experiment": name})[0] == expected


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({"stop": {"patience": 7}}, ["stop.patience=7"]),
        ({"net": {"depth": 5}, "z": {"channels": 3}}, ["net.depth=5", "z.channels=3"]),
        ({"target": {"name": "noisy", "noise": {"sigma": 0.2}}}, ["target.noise.sigma=0.2"]),
        ({"optimizer": "adam", "precision": {"name": "fp32"}}, ["optimizer=adam", "precision=fp32"]),
    ],
)
def test_options_beside_an_experiment(given: dict, typed: list[str]):
    assert assemble({"experiment": "fast", **given})[0] == composed("experiment=fast", *typed)

"""Options: composed by Hydra, checked by dataclasses, hashed into the name of the run folder."""

from typing import Any

import pytest

from dip.configuration import schema
from dip.configuration.schema import Config
from dip.hardware.precision import Precision
from dip.nets import Hourglass
from dip.runs import naming
from dip.targets import Degraded, Noisy, Shuffled
from tests.conftest import composed


def test_the_default_is_the_reports_best_model():
    assert composed() == Config()
    assert schema.plain(composed()) == schema.defaults()


def test_groups_become_their_own_classes():
    found = composed(
        "target=noisy", "target.sigma=0.2", "net.channels=[8,16]", "net.depth=2", "skips=[]", "precision=fp64"
    )
    assert found.target == composed("target.sigma=0.2").target == Noisy(sigma=0.2)
    assert found.net == Hourglass(depth=2, channels=[8, 16])
    assert found.precision == Precision(name="fp64")
    assert composed("target=degraded").target == Degraded()
    shuffled = composed("target=shuffled", "skips=[4,3]")
    assert (shuffled.target, shuffled.skips) == (Shuffled(), [3, 4])


@pytest.mark.parametrize("rule", ["wmv", "emv", "combined", "heldout"])
def test_a_rule_that_needs_a_constant_perturbation_warns(caplog: pytest.LogCaptureFixture, rule: str):
    composed(f"stop={rule}")
    assert not caplog.records
    composed(f"stop={rule}", "perturbation_half_life=300")
    warned = f"stop={rule}: outputs vary less as perturbation_half_life shrinks the perturbation"
    assert [line[: len(warned)] for line in caplog.messages] == ([] if rule == "heldout" else [warned])


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ((), {"name": "never", "patience": 1000}),
        (("target=degraded", "stop.patience=7"), {"name": "adaptive", "patience": 7, "white": "combined"}),
        (("target=degraded", "perturbation_half_life=300"), {"name": "adaptive", "patience": 1000, "white": "heldout"}),
        (
            ("target=degraded", "perturbation_half_life=300", "perturbation=0"),
            {"name": "adaptive", "white": "combined"},
        ),
    ],
)
def test_what_auto_takes(typed: tuple[str, ...], chosen: dict[str, Any]):
    stop = vars(composed(*typed).stop)
    assert {name: stop[name] for name in chosen} == chosen


def name(*overrides: str) -> str:
    found = composed(*overrides)
    return naming.name(found, naming.identity(found, "image", None))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), "noisy-skips3.4-steps10000-seed0-51672874"),
        (("experiment=fast",), "guided-noisy-skips2.3.4.5-steps2000-seed0-cbb6ef06"),
        (("target=degraded", "stop=covariance"), "degraded-skips3.4-steps10000-seed0-bce5c5bb"),
    ],
)
def test_ordinary_runs_keep_their_folders_when_options_are_added(overrides: tuple[str, ...], expected: str):
    assert name(*overrides) == expected


def test_exactly_the_options_that_change_the_result_change_the_folder():
    base = name()
    assert (
        name("out=elsewhere", "device=cpu", "logger=csv", "snapshot_every=7", "overwrite=true", "skips=[4,3]") == base
    )
    changes = ("target=clean", "target.sigma=0.2", "net.channels=64", "z.scale=0.2", "stop=wmv", "precision=fp32")
    assert len({base, *map(name, changes)}) == 1 + len(changes)
    assert len({name("experiment=fast", *known) for known in ((), ("stop.noise=white",), ("stop.sigma=0.1",))}) == 3
    found = composed()
    others = [naming.identity(found, *pair) for pair in (("a", None), ("b", None), ("a", "c"))]
    assert len({naming.fingerprint(identity) for identity in others}) == 3
    assert set(Config.__dataclass_fields__) >= naming.WITHOUT_EFFECT

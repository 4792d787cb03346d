"""Whatever is typed as an option: a valid configuration, or one line that says what is legal."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hydra.errors import HydraException
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from dip.configuration import cli, explain, schema
from dip.configuration.schema import GROUPS, Config
from dip.errors import DipError, OptionError
from dip.runs import naming
from tests.conftest import composed

FIELDS = sorted(
    {f"{prefix}{f.name}" for prefix, cls in explain.classes() for f in dataclasses.fields(cls)}
    - {*GROUPS, "z"}
)

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=True).map(repr),
    st.sampled_from(["1e400", "-0", "0x10", "1_000", ".5", "5.", "nan", "inf", "-inf", "1e-320"]),
)
WORDS = st.one_of(
    st.sampled_from(["null", "true", "False", "", "''", "[]", "{}", "auto", "gaussian", "${seed}", "???", "[[1]]", "[1,[2]]", "{a:1}",
                     "${oc.env:HOME}", "${nowhere}", "[null]", "[true]", "[3,3]", "[1.5]", "\\\\", "a b", "é", "choice(1,2)"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x00"), max_size=12),
)  # fmt: skip
VALUES = st.one_of(NUMBERS, WORDS, st.lists(NUMBERS, max_size=4).map(lambda words: f"[{','.join(words)}]"))


def read(override: str) -> Config | str:
    """The configuration, or the line that a terminal would show."""
    try:
        return composed(override)
    except (DipError, HydraException, OmegaConfBaseException) as error:
        return explain.in_one_line(error)
    except (ValueError, TypeError) as error:
        if not cli._raised_in_hydra(error):
            raise
        return explain.hydras(str(error))


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(FIELDS), VALUES)
@example("skips", "[1e400]")
@example("target.sigma", "nan")
@example("size", "[0]")
def test_any_value_of_any_option(name: str, value: str):
    found = read(f"{name}={value}")
    if isinstance(found, Config):
        assert type(found)(**{f.name: getattr(found, f.name) for f in dataclasses.fields(found)}) == found
        naming.identity(found, "0", None)
        assert len(naming.readable(found)) > 0
    else:
        assert found.strip()
        assert "\n" not in found


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(GROUPS)), VALUES)
def test_any_value_of_any_group(name: str, value: str):
    found = read(f"{name}={value}")
    if isinstance(found, Config):
        member = getattr(found, name)
        assert member.name in GROUPS[name]
    else:
        assert found.strip()
        assert "\n" not in found


OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "steps": st.integers(-3, 10**9),
    "lr": st.floats(),
    "seed": st.one_of(st.integers(), st.booleans(), st.none()),
    "ema": st.floats(-1, 2),
    "skips": st.lists(st.integers(-1, 7), max_size=7),
    "size": st.one_of(
        st.none(), st.integers(-1, 9), st.lists(st.integers(-1, 9), max_size=3), st.text(max_size=2)
    ),
    "perturbation": st.floats(),
    "record_every": st.integers(-1, 5),
    "snapshot_every": st.one_of(st.none(), st.integers(-1, 5)),
}


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional=OPTIONS))
def test_any_python_value(given: dict[str, Any]):
    """In Python too an illegal value is an `OptionError` that names its option."""
    try:
        made = Config(**given)
    except OptionError as refused:
        error = refused
    else:
        assert made.steps >= 1
        assert made.lr > 0
        assert 0 <= made.ema < 1
        assert made.skips == sorted(set(made.skips))
        assert all(1 <= level <= made.net.depth for level in made.skips)
        return
    assert error.option.partition(".")[0] in given
    assert re.fullmatch(r"[a-z_.]+=.*: must be .+, for example .+", str(error), re.DOTALL)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional=OPTIONS), st.fixed_dictionaries({}, optional=OPTIONS))
def test_other_options_are_another_run(one: dict[str, Any], other: dict[str, Any]):
    """And the same options the same one: what has no effect on the result has none on the name."""
    try:
        first, second = Config(**one), Config(**other)
    except OptionError:
        return
    same = {f.name for f in dataclasses.fields(Config) if getattr(first, f.name) == getattr(second, f.name)}
    differs = {f.name for f in dataclasses.fields(Config)} - same - naming.WITHOUT_EFFECT
    names = [config_name(options) for options in (first, second)]
    assert (names[0] != names[1]) == bool(differs)


def config_name(options: Config) -> str:
    from dip import runs

    return runs.name(naming.readable(options), naming.identity(options, "0", None))


def test_every_option_is_tried():
    assert {"steps", "z.scale", "target.sigma", "net.channels", "stop.patience", "precision.graph"} <= set(
        FIELDS
    )
    assert schema.defaults()["steps"] == 10_000


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

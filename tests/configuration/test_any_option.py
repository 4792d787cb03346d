"""Any text as the value of any option gives a valid configuration, or one line that says what is legal."""

import dataclasses
import re
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dip.configuration import cli, explain, listing
from dip.configuration.schema import GROUPS, Config
from dip.errors import OptionError
from dip.runs import naming
from tests.conftest import composed

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

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


@given(st.sampled_from(sorted(listing.option_names())), VALUES)
@example("skips", "[1e400]")
@example("target.sigma", "nan")
@example("size", "[0]")
@example("target", "[1]")
@example("experiment", "3")
@example("target.noise", "${seed}")
@example("z", "${seed}")
def any_value(name: str, value: str) -> None:
    try:
        found = composed(f"{name}={value}")
    except Exception as error:
        if not cli.caused_by_user(error):
            raise
        line = explain.in_one_line(error)
        assert line.strip()
        assert "\n" not in line
    else:
        assert all(getattr(found, group).name in choices for group, choices in GROUPS.items())
        assert type(found)(**vars(found)) == found
        naming.identity(found, "0", None)
        assert len(naming.name(found, {})) > 0


@pytest.mark.parametrize("examples", [20, pytest.param(500, marks=pytest.mark.slow)])
def test_any_value_of_any_option(examples):
    settings(max_examples=examples, deadline=None)(any_value)()


CHECKED = [
    (f"{prefix}{field.name}", field.metadata)
    for prefix, kind in listing.classes()
    for field in dataclasses.fields(kind)
    if field.metadata.get("convert")
]


def outside(words: str) -> Any:
    """A value that is not legal, by the words that follow "must be"."""
    if found := re.search(r"(number|integer) (>=?) (\S+)$", words):
        return float(found[3]) - (found[2] == ">=")
    found = re.search(r"(number|integer) (in .|from )(\S+?),? (to )?([-\d.]+)", words)
    return float(found[5]) + 1 if found else object()


@pytest.mark.parametrize(("name", "option"), CHECKED, ids=[name for name, _ in CHECKED])
def test_the_example_of_an_option_is_legal_and_what_its_words_exclude_is_not(name: str, option: dict[str, Any]):
    option["convert"](OverridesParser.create().parse_override(f"{name}={option['example']}").value())
    for wrong in (outside(option["legal"]), object()):
        with pytest.raises(ValueError, match="^$"):
            option["convert"](wrong)


OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "steps": st.integers(-3, 10**9),
    "lr": st.floats(),
    "seed": st.one_of(st.integers(), st.booleans(), st.none()),
    "ema": st.floats(-1, 2),
    "skips": st.lists(st.integers(-1, 7), max_size=7),
    "size": st.one_of(st.none(), st.integers(-1, 9), st.lists(st.integers(-1, 9), max_size=3), st.text(max_size=2)),
    "perturbation": st.floats(),
    "record_every": st.integers(-1, 5),
    "snapshot_every": st.one_of(st.none(), st.integers(-1, 5)),
}


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({}, optional=OPTIONS), st.fixed_dictionaries({}, optional=OPTIONS))
def test_runs_share_a_folder_exactly_if_their_options_give_one_result(one: dict[str, Any], other: dict[str, Any]):
    """In Python too an illegal value is an `OptionError` that names its option."""
    refused = None
    try:
        first, second = Config(**one), Config(**other)
    except OptionError as error:
        refused = error
    if refused is not None:
        assert refused.option.partition(".")[0] in one | other
        assert re.fullmatch(r"[a-z_.]+=.*: must be .+, for example .+", str(refused), re.DOTALL)
        return
    assert first.skips == sorted(set(first.skips))
    same = {f.name for f in dataclasses.fields(Config) if getattr(first, f.name) == getattr(second, f.name)}
    differs = {f.name for f in dataclasses.fields(Config)} - same - naming.WITHOUT_EFFECT
    folders = [naming.name(c, naming.identity(c, "0", None)) for c in (first, second)]
    assert (folders[0] != folders[1]) == bool(differs)

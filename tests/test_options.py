"""Options check their own values, and the words of an error say exactly what is legal."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dip.errors import OptionError
from dip.options import Legal, Options, choice, flag, integer, interval, number, option, sides, text


def test_an_object_is_named_by_its_type() -> None:
    assert str(OptionError("stop", object(), "a rule", "stop=wmv")).startswith("stop=<object object>: must be a rule")


@pytest.mark.parametrize(
    ("legal", "words"),
    [
        (number(">= 0"), "a number >= 0"), (number("(0, 0.5]"), "a number in (0, 0.5]"),
        (number("> 0", none=True), "null or a number > 0"), (integer(1), "an integer >= 1"),
        (integer(2, 16), "an integer from 2 to 16"), (choice(("a", "b")), "a or b"),
        (choice(("a", "b", "c"), none=True), "null or one of a, b, c"), (flag(), "true or false"),
    ],
)  # fmt: skip
def test_the_words_say_what_is_legal(legal: Legal, words: str) -> None:
    assert legal.words == words


def accepted(legal: Legal, value: Any) -> bool:
    try:
        legal.convert(value)
    except ValueError:
        return False
    return True


@given(st.floats())
def test_a_number_is_accepted_inside_its_interval_only(value: float) -> None:
    finite = math.isfinite(value)
    assert accepted(number("(0, 1]"), value) == (0 < value <= 1)
    assert accepted(number("[0, 1)"), value) == (0 <= value < 1)
    assert accepted(number("> 0"), value) == (finite and value > 0)
    assert accepted(number(">= 0"), value) == (finite and value >= 0)


@given(st.integers())
def test_an_integer_is_accepted_from_its_lower_to_its_upper_limit(value: int) -> None:
    assert accepted(integer(1), value) == (value >= 1)
    assert accepted(integer(1, 5), value) == (1 <= value <= 5)


@pytest.mark.parametrize(
    ("legal", "value"),
    [
        (integer(1), True), (integer(1), "1"), (integer(1), 1.5), (integer(1), None), (number(">= 0"), True),
        (number(">= 0"), "0.1"), (flag(), 1), (flag(), None), (choice("ab"), "c"), (text("a path"), ""), (text("a path"), None),
        (interval(), [1, 1]), (interval(), [2, 1]), (interval(), [0]), (interval(), [0, 1, 2]), (interval(), [0, math.inf]),
        (sides(), 0), (sides(), [1, 2, 3]), (sides(), [1, 0]), (sides(), True),
    ],
)  # fmt: skip
def test_values_of_another_type_or_outside_are_refused(legal: Legal, value: Any) -> None:
    assert not accepted(legal, value)


def test_values_get_their_canonical_type() -> None:
    assert repr(integer(1).convert(1e4)) == "10000"
    assert repr(number(">= 0").convert(1)) == "1.0"
    assert repr(interval().convert((0, 4095))) == "[0.0, 4095.0]"


def test_a_class_of_options_names_the_option_that_is_wrong() -> None:
    @dataclasses.dataclass
    class Blur(Options):
        prefix = "blur."
        sigma: float = option(1.0, "standard deviation", number("> 0"), "2")

    assert Blur(sigma=3).sigma == 3.0
    with pytest.raises(OptionError, match=r"^blur\.sigma=-1: must be a number > 0, for example blur\.sigma=2$"):
        Blur(sigma=-1)

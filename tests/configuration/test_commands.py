"""The printed command gives the same options again, when a shell and Hydra parse it."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dip.configuration.commands import command, joined, text, words
from tests.conftest import composed
from tests.fake_runs import config


def parsed(line):
    """The options in a command, as a shell and Hydra parse it."""
    words = shlex.split(line)
    assert words[:2] == ["python", "train.py"]
    overrides = OverridesParser.create().parse_overrides(words[2:])
    return {override.key_or_group: override.value() for override in overrides}


def test_the_command_has_exactly_the_options_that_are_not_default():
    assert parsed(command(config(size=None, steps=10_000))) == {}
    changed = config("shuffled", skips=[], lr=1e-05, perturbation=0.0, seed=3, overwrite=True)
    assert command(changed) == (
        "python train.py size=64 target=shuffled 'skips=[]' steps=2000 lr=1e-05 perturbation=0.0 seed=3"
    )


def test_a_group_is_named_with_the_options_that_differ_from_its_own_defaults():
    chosen = config()
    chosen["stop"] = {"name": "wmv", "window": 7}
    assert parsed(command(chosen))["stop"] == "wmv"
    assert parsed(command(chosen))["stop.window"] == 7
    chosen["target"] = {"name": "noisy", "sigma": 0.2}
    assert "target=noisy" not in command(chosen)
    assert parsed(command(chosen))["target.sigma"] == 0.2
    chosen["net"] = {"name": "of-another-version", "width": 3}
    assert parsed(command(chosen))["net.width"] == 3


@pytest.mark.parametrize(
    "given",
    [
        ("experiment=fast",),
        ("stop=never",),
        ("stop=adaptive", "stop.noise=white"),
        ("stop.patience=7",),
        ("target.noise.kind=null",),
    ],
)
def test_the_command_repeats_the_rule_that_the_target_would_select_and_others(given):
    """For target=degraded, stop=auto selects adaptive, whose options exist only where adaptive is named."""
    chosen = composed(*given, "target=degraded")
    assert composed(*words(chosen)) == chosen


@given(st.lists(st.text("ab '\"$`\\!#(", min_size=1)))
def test_the_shell_reads_the_words_as_they_were(words):
    assert shlex.split(joined(words)) == words
    assert joined(["target.mask='#ff0000'"]) == "\"target.mask='#ff0000'\""
    assert joined(["a='$b'"]).startswith("'a='")  # double quotes would replace $b


def test_options_that_the_given_defaults_lack_are_written_out():
    assert command({"a": 1, "b": [1, 2]}, {"a": 1}) == "python train.py 'b=[1,2]'"
    assert command({"a": 1}, {}) == "python train.py a=1"


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
        st.text("'\"\\${}[],=: ~#abc.1e"),
        st.sampled_from(["null", "True", "1e3", "0x1", "007", "-", "nan", "a'b\\", "\\", "x\\'", "${oc.env:HOME}", "my photo.png"]),
    )
)  # fmt: skip
def test_any_text_survives_the_shell_and_hydra(value):
    found = parsed(f"python train.py {shlex.quote('image=' + text(value))}")["image"]
    assert isinstance(found, str)
    assert OmegaConf.create({"image": found}).image == value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False), st.lists, max_leaves=6))
def test_any_plain_value_survives_the_shell_and_hydra(value):
    assert parsed(f"python train.py {shlex.quote('x=' + text(value))}")["x"] == value

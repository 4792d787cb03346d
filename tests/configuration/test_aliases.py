"""Short words of the command line, and code that only the command line names."""

import types

import pytest

from dip.configuration.aliases import ALIASES, refuse_unnamed_code, replaced
from dip.configuration.help import help_text
from dip.errors import DipError, OptionError


def test_short_words_are_replaced() -> None:
    words = ["operator=a.py,b.py", "y=y.npy", "shape=[1,8,8]", "steps=3", "-m", "z=guide.png"]
    assert replaced(words) == [
        "target=measured", "target.operator=a.py,b.py", "image=y.npy", "target.shape=[1,8,8]", "steps=3", "-m",
        "z.guide=guide.png",
    ]  # fmt: skip


def test_an_operator_excludes_other_targets() -> None:
    with pytest.raises(OptionError, match="target=inpaint"):
        replaced(["target=inpaint", "operator=a.py"])
    assert replaced(["target=measured", "operator=a.py"]) == ["target=measured", "target.operator=a.py"]


@pytest.mark.parametrize("words", [["y=y.npy"], ["y=y.npy", "shape=[1,8,8]"], ["steps=3", "complex=true"]])
def test_measurements_without_an_operator_are_told_what_is_missing(words: list[str]) -> None:
    for selected in ("target=matrix", "experiment=mine", "target.operator=a.py"):
        assert len(replaced([*words, selected])) == len(words) + 1
    replaced([*words, "-cn", "mine"])
    with pytest.raises(
        DipError, match=r"measurements need operator= too.*operator=my_operator\.py y=.*shape=\[1,256,256"
    ):
        replaced(words)


def test_help_lists_every_short_word() -> None:
    assert all(f"\n  {word}=..." in help_text() for word in ALIASES)


@pytest.mark.fault(22)
def test_only_the_command_line_names_code() -> None:
    config = types.SimpleNamespace(target=types.SimpleNamespace(operator="b.py"))
    for words in (["target.operator=b.py"], ["target.operator=a.py,b.py"], ["++target.operator='b.py'"]):
        refuse_unnamed_code(config, words)
    for words in ([], ["image=b.py"], ["target.operator=a.py"], ["target.operator=${image}", "image=b.py"]):
        with pytest.raises(DipError, match="set by a YAML file"):
            refuse_unnamed_code(config, words)
    refuse_unnamed_code(types.SimpleNamespace(target=types.SimpleNamespace(name="noisy")), [])

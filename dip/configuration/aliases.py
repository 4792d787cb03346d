"""Short words of the command line, and the rule that only the command line names code to run."""

from collections.abc import Sequence
from typing import Any

from dip.errors import DipError, OptionError

ALIASES = {
    "operator": "target.operator", "y": "image", "shape": "target.shape", "complex": "target.complex", "z": "z.guide",
}  # fmt: skip
"""Short words -> the options that they stand for. `operator=FILE` also selects `target=measured`."""

CODE = ("target.operator",)
"""Options that name a file of code to run."""


def replaced(words: Sequence[str]) -> list[str]:
    """The words of a command line with short ones replaced: `operator=f.py` is `target=measured target.operator=f.py`.

    Raises:
        DipError: `operator=` stands beside another target, or `y=`, `shape=` or `complex=` without what selects one.
    """
    full = []
    typed = {word.partition("=")[0].lstrip("+") for word in words if "=" in word}
    selected = {"operator", "target", "target.operator", "experiment", "-cn", "--config-name"} & {*typed, *words}
    if (alone := typed & {"y", "shape", "complex"}) and not selected:
        raise DipError(
            f"{min(alone, key=[*ALIASES].index)}: measurements need operator= too, a Python file that computes y from an "
            "image, for example operator=my_operator.py y=measurements.npy 'shape=[1,256,256]'"
        )
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in ALIASES:
            full.append(word)
            continue
        if name == "operator":
            others = [other for other in words if other.startswith("target=") and other != "target=measured"]
            if others:
                legal = "left out: operator= is a target of its own, measured"
                raise OptionError("target", others[0].partition("=")[2], legal, f"{word} y=measurements.npy")
            full += ["target=measured"] if "target=measured" not in words else []
        full.append(f"{ALIASES[name]}={value}")
    return full


def refuse_unnamed_code(config: Any, words: Sequence[str]) -> None:
    """Refuse a file of code that no word of the command line names, because it would come with someone's data.

    Args:
        config: the composed options.
        words: of the command line, with aliases replaced; a sweep's values are all named.

    Raises:
        DipError: a YAML file names it.
    """
    for option in CODE:
        group, _, name = option.partition(".")
        value = getattr(getattr(config, group), name, None)
        if value is not None and value not in _values(option, words):
            raise DipError(
                f"{option}={value}: is set by a YAML file, but it is code that would be run; name it on the command line "
                f"if you trust it, for example operator={value}"
            )


def _values(option: str, words: Sequence[str]) -> set[Any]:
    """The values that `words` give to `option`, those of a sweep too."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    given = [word for word in words if word.partition("=")[0].lstrip("+") == option]
    values: set[Any] = set()
    for override in OverridesParser.create().parse_overrides(given):
        found = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        values.update(str(value).strip("'\"") for value in found)
    return values

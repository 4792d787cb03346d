"""The files of conf/experiment read without Hydra, whose composition uses global state."""

from collections.abc import Mapping
from typing import Any

from dip.configuration import shipped
from dip.configuration.explain import closest
from dip.errors import OptionError


def read_experiment(name: object) -> dict[str, Any]:
    """The options that conf/experiment/`name`.yaml and the experiments that it starts from set.

    A group (`target`, `net`, ...) is a dict of the options that are set, with its `name` if that is chosen.

    Raises:
        OptionError: there is no such experiment.
    """
    import yaml

    names = shipped.names("conf/experiment")
    if name not in names:
        raise OptionError("experiment", name, f"one of {', '.join(names)}", f"experiment={closest(name, names)!r}")
    own = yaml.safe_load(shipped.path(f"conf/experiment/{name}.yaml").read_text(encoding="utf-8"))
    inherited: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for entry in own.pop("defaults", ()):
        if isinstance(entry, str):
            inherited = merged(inherited, read_experiment(entry))
        else:
            chosen |= {group.removeprefix("override /"): {"name": choice} for group, choice in entry.items()}
    # As in Hydra, options that the parent sets for its own choice of a group are also set for another choice.
    return merged(merged(inherited, chosen), own)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """`first` with the values of `second`; dicts in both are merged."""
    both = dict(first)
    for name, value in second.items():
        before = both.get(name)
        both[name] = merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return both

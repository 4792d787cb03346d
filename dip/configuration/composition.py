"""Hydra and OmegaConf: the dataclasses of the options are registered, and a composed configuration is read back."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from dip.configuration.aliases import refuse_unnamed_code
from dip.configuration.explain import unknown
from dip.configuration.listing import classes, option_names
from dip.configuration.schema import BASES, GROUPS, Config
from dip.errors import OptionError
from dip.options import default_of, log
from dip.z import Z

CHEAPEST: dict[str, Any] = {"skips": [], "perturbation": 0.0, "z": Z(channels=1)}
"""Options that `reset_unused` does not reset to their default, because another value costs less time or memory."""

Options = TypeVar("Options")


def register() -> None:
    """Make the dataclasses known to Hydra: `config_schema`, and `schema/<group>/<name>` for each group option.

    They lie outside the groups so that a listing of `target` shows the files of `conf/target/` only.
    """
    from hydra.core.config_store import ConfigStore

    # The nodes of the groups start as base classes: OmegaConf replaces an object by a subclass's only.
    node = Config()
    for group, base in BASES.items():
        setattr(node, group, base())
    store = ConfigStore.instance()
    store.store(name="config_schema", node=node)
    for group, kinds in GROUPS.items():
        for name, kind in kinds.items():
            store.store(group=f"schema/{group}", name=name, node=kind)


def read(composed: Any, words: Sequence[str] = ()) -> Config:
    """The `Config` of a composed configuration (a DictConfig), of a command line with the `words`.

    Raises:
        OptionError: an option has an illegal value.
        DipError: an option does not exist (as `+key=value` can add), or reads the environment; or the options name code
            to run that no word names.
    """
    from omegaconf import OmegaConf

    unresolved = OmegaConf.to_container(composed, resolve=False)
    _refuse_environment(unresolved)
    _refuse_references(unresolved)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config), "the composed configuration must start from config_schema"
    _refuse_unknown(config)
    refuse_unnamed_code(config, words)
    return reset_unused(config)


def reset_unused(options: Options, prefix: str = "") -> Options:
    """A copy of dataclass object `options` in which options without effect have their default (or are in `CHEAPEST`).

    So equal results share one run folder. A dataclass of options names them in a method `unused() -> dict[str, str]`:
    field name -> the setting that makes it so, as typed, such as `{"peak": "target.noise.kind=gaussian"}`.

    Logs a warning for each option that was set without effect, and each line that a method `warnings()` returns. Nested
    dataclasses are treated as well; `prefix` stands before the names of the fields, such as `target.`.
    """
    options = copy.copy(options)
    unused: dict[str, str] = getattr(options, "unused", dict)()
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        name, value = f"{prefix}{field.name}", getattr(options, field.name)
        if field.name in unused:
            default = default_of(field)
            neutral = copy.deepcopy(CHEAPEST.get(name, default))
            if value not in (default, neutral):
                log.warning("%s: has no effect with %s", name, unused[field.name])
            setattr(options, field.name, neutral)
        elif dataclasses.is_dataclass(value):
            setattr(options, field.name, reset_unused(value, f"{name}."))
    for line in getattr(options, "warnings", list)():
        log.warning(line)
    return options


def _refuse_environment(node: Any, name: str = "") -> None:
    """Refuse `${oc.env:NAME}`: the value may be a secret, and every file of the run would hold it."""
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            _refuse_environment(value, f"{name}.{key}".lstrip("."))
    elif isinstance(node, str) and "${oc.env" in node.replace(" ", ""):
        legal = "the value itself, because it is saved with the run"
        raise OptionError(name, node, legal, f"{name}=value, or {name}=$NAME in a shell")


def _refuse_references(node: Any) -> None:
    """Refuse `${name}` in the place of several options (`z`, `target.noise`): it could stand for anything."""
    for prefix, kind in classes():
        value, name = node, prefix.removesuffix(".")
        for key in name.split(".") if name else ():
            value = value.get(key) if isinstance(value, dict) else None
        first = next((field for field in dataclasses.fields(kind) if field.metadata), None)
        if isinstance(value, str) and first is not None:
            example = f"{name}.{first.name}={first.metadata['example']}"
            raise OptionError(name, value, "left out; its options are set one by one", example)


def _refuse_unknown(node: Any, prefix: str = "") -> None:
    """Refuse what `+key=value` added: OmegaConf makes it an attribute of the object."""
    for name, value in vars(node).items():
        if name not in node.__dataclass_fields__:
            raise unknown(f"{prefix}{name}", option_names())
        if dataclasses.is_dataclass(value):
            _refuse_unknown(value, f"{prefix}{name}.")

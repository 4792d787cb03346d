"""Hydra and OmegaConf: the dataclasses of the options registered, composed with the files of `conf/`, read back."""

from __future__ import annotations

import copy
import dataclasses
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from dip.configuration import shipped
from dip.configuration.explain import unknown
from dip.configuration.schema import BASES, GROUPS, Config, option_names
from dip.errors import OptionError
from dip.options import default_of
from dip.z import Z

CONF = shipped.path("conf")
CHEAPEST: dict[str, Any] = {"skips": [], "perturbation": 0.0, "z": Z(channels=1)}
"""Options that `reset_unused` does not reset to their default, because another value costs less time or memory."""

Options = TypeVar("Options")
_lock = threading.Lock()
log = logging.getLogger("dip")


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


def compose(overrides: Sequence[str], name: str = "config", folder: Path = CONF) -> Any:
    """The configuration (a DictConfig) of file `name` in `folder` with `overrides`, as the command line composes it.

    Hydra's global state is left unchanged, so that this works within any other Hydra program and in threads.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins
    from hydra.types import RunMode
    from hydra.version import VersionBase, setbase
    from omegaconf import open_dict

    Plugins.instance()  # registers Hydra's own plugins, which stay
    with _lock:
        store, version = ConfigStore.instance(), VersionBase.instance()
        repository, base = copy.deepcopy(store.repo), version.version_base
        try:
            setbase("1.3")
            register()
            loader = ConfigLoaderImpl(create_config_search_path(str(folder)))
            # Hydra's own launcher: those of `dip.sweep` are registered by the entry point only.
            words = ["hydra/launcher=basic", *overrides]
            found = loader.load_configuration(name, words, RunMode.RUN, from_shell=False)
        finally:
            store.repo, version.version_base = repository, base
    with open_dict(found):
        del found["hydra"]
    return found


def read(composed: Any) -> Config:
    """The `Config` of a composed configuration (a DictConfig).

    Raises:
        OptionError: an option has an illegal value.
        DipError: an option does not exist (as `+key=value` can add), or reads the environment.
    """
    from omegaconf import OmegaConf

    _refuse_environment(OmegaConf.to_container(composed, resolve=False))
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config), "the composed configuration must start from config_schema"
    _refuse_unknown(config)
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


def fields(composed: Any) -> dict[str, Any]:
    """The fields of `Config` in a composed configuration, before they are checked and adapted to each other."""
    from omegaconf import OmegaConf

    return {
        name: OmegaConf.to_object(value) if OmegaConf.is_config(value) else value for name, value in composed.items()
    }


def _refuse_environment(node: Any, name: str = "") -> None:
    """Refuse `${oc.env:NAME}`: the value may be a secret, and every file of the run would hold it."""
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            _refuse_environment(value, f"{name}.{key}".lstrip("."))
    elif isinstance(node, str) and "${oc.env" in node.replace(" ", ""):
        legal = "the value itself, because it is saved with the run"
        raise OptionError(name, node, legal, f"{name}=value, or {name}=$NAME in a shell")


def _refuse_unknown(node: Any, prefix: str = "") -> None:
    """Refuse what `+key=value` added: OmegaConf makes it an attribute of the object."""
    for name, value in vars(node).items():
        if name not in node.__dataclass_fields__:
            raise unknown(f"{prefix}{name}", option_names())
        if dataclasses.is_dataclass(value):
            _refuse_unknown(value, f"{prefix}{name}.")

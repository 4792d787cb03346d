"""Options as given in Python (names, dicts, objects, arrays) become a `Config` and the pictures that are arrays."""

import dataclasses
import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dip import images
from dip.configuration import composition
from dip.configuration.aliases import CODE
from dip.configuration.explain import closest, unknown
from dip.configuration.listing import option_names
from dip.configuration.schema import BASES, GROUPS, PICTURES, Config
from dip.configuration.shipped_experiments import merged, read_experiment
from dip.errors import DipError, OptionError
from dip.fitting import plugins
from dip.images.picture import read_values
from dip.options import default_of
from dip.samples import SAMPLES
from dip.z import Z

MEASURED = ("operator", "shape", "complex")
"""Options of the target `measured` that stand beside the options of a run."""

NAMED = {"target": "noisy", "stop": "combined"}
"""Groups in which a dict of options needs the `name` of the choice, because the default choice has no options."""


def assemble(options: Mapping[str, Any]) -> tuple[Config, dict[str, Any]]:
    """The `Config` that `options` describe, and the arrays among them as pictures, by option; see `Pictures`.

    Args:
        options: fields of `Config`. A group (`target`, `net`, `stop`, ...) is the name of a choice, a dict of its
            options with its `name` (without it, the default choice) or an object, also one that `dip.fitting.plugins`
            wraps; `z` is a dict, a `Z`, or its guide. A picture is
            a path, a sample's name, a NumPy array, a tensor or a PIL image. `operator`, `shape` and `complex` are
            options of the target `measured`; an operator is also a callable. `experiment` names a file in
            conf/experiment, which sets the options that are not given.

    Raises:
        DipError: an option does not exist or has an illegal value.
    """
    options = dict(options)
    if own := {name: options.pop(name) for name in MEASURED if options.get(name) is not None}:
        options["target"] = _measured(own, options.get("target", "degraded"))
    if (experiment := options.pop("experiment", None)) is not None:
        options = _beside(_without_code(read_experiment(experiment), experiment), options)
    sources: dict[str, Any] = {}
    config = composition.reset_unused(_made(Config, options, "", sources))
    used = {name: source for name, source in sources.items() if operator.attrgetter(name)(config) is not None}
    return config, {name: _picture(name, source, config) for name, source in used.items()}


def _measured(own: Mapping[str, Any], target: Any) -> dict[str, Any]:
    """The target that measurements with the options `own` make; `target` must not be another one."""
    described = dict(target) if isinstance(target, Mapping) else {"name": target}
    full = {**described, **own}
    if lacking := [name for name in ("operator", "shape") if full.get(name) is None]:
        example = "dip.restore(y, operator=lambda x: x[..., ::2, ::2], shape=(1, 256, 256))"
        raise DipError(f"{next(iter(own))}: measurements need {' and '.join(lacking)} too, for example {example}")
    if described.get("name", "measured") not in ("degraded", "measured"):
        raise OptionError("target", described["name"], "left out where operator= is given", "operator=A")
    return {**full, "name": "measured"}


def _without_code(experiment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """`experiment`, which must not name code to run."""
    for option in CODE:
        group, _, key = option.partition(".")
        if experiment.get(group, {}).get(key) is not None:
            raise DipError(f"experiment={name}: sets {option}, which is code that would be run; give it to dip.restore")
    return experiment


def _picture(name: str, source: Any, config: Config) -> Any:
    """What was given in memory for the option `name`: a picture; for measurements an array; or an operator."""
    if config.target.raw and name in ("image", "reference"):
        return read_values(source, name)
    if name in CODE:
        return source
    return images.load(source, name, axes=config.axes if name in ("image", "reference", "z.guide") else None)


def _beside(experiment: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an experiment, replaced by those given; of a group only if the choice is the same."""
    own = {}
    for name, value in options.items():
        described = {"name": value} if isinstance(value, str) and name in GROUPS else value
        if name in GROUPS and isinstance(described, Mapping):
            chosen = experiment.get(name, {}).get("name", _default_name(name))
            described = {"name": chosen, **described}
            if described["name"] == chosen:
                described = merged(experiment.get(name, {}), described)
        elif isinstance(described, Mapping):  # as z={"channels": 3}
            described = merged(experiment.get(name, {}), described)
        own[name] = described
    return {**experiment, **own}


def _made(kind: type[Any], options: Mapping[str, Any], prefix: str, given: dict[str, Any]) -> Any:
    """A `kind` with `options`; other fields have their defaults."""
    own = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, value in options.items():
        full = f"{prefix}{name}"
        if name not in own:
            raise unknown(full, [f"{prefix}{other}" for other in own] if prefix else [*option_names(), "experiment"])
        before = default_of(own[name])
        if full == "z" and not isinstance(value, (Mapping, Z)):  # as z="guide.png"
            value = {"guide": value}
        if full in GROUPS:
            values[name] = _choice(full, value, given)
        elif isinstance(value, Mapping) and dataclasses.is_dataclass(before):  # as z={"channels": 3}
            values[name] = _made(type(before), value, f"{full}.", given)
        else:
            values[name] = _plain(full, value, given)
    return kind(**values)


def _choice(group: str, value: Any, given: dict[str, Any]) -> Any:
    """An object of `group` from a name, a dict or an object."""
    if isinstance(value, BASES[group]):  # it may be of an unregistered class
        return value
    if (own := plugins.wrap(group, value)) is not None:
        return own
    described = {"name": value} if isinstance(value, str) else value
    if not isinstance(described, Mapping):
        raise _no_choice(group, value)
    if "name" not in described and group in NAMED:
        example = {"name": NAMED[group], **described}
        raise DipError(f"{group}={dict(described)}: needs the name of the {group} too, for example {group}={example}")
    name = described.get("name", _default_name(group))
    if name not in GROUPS[group]:
        raise _no_choice(group, name)
    return _made(GROUPS[group][name], {**described, "name": name}, f"{group}.", given)


def _default_name(group: str) -> str:
    return str(default_of(Config.__dataclass_fields__[group]).name)


def _no_choice(group: str, value: object) -> OptionError:
    names = sorted(GROUPS[group])
    legal = f"one of {', '.join(names)}, or a dict with one as its name"
    if group in plugins.KINDS and not isinstance(value, str):
        legal += f", or {plugins.KINDS[group][1]}"
    return OptionError(group, value, legal, f"{group}={closest(value, names)!r}")


def _plain(name: str, value: Any, given: dict[str, Any]) -> Any:
    """`value` as a configuration holds it; a picture in memory goes to `given`, and "array" takes its place."""
    if name in (*PICTURES, "out", "init") and isinstance(value, (str, os.PathLike)) and str(value).startswith("~"):
        value = Path(value).expanduser()
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        named = path in SAMPLES or (name == "target.mask" and not os.path.dirname(path))
        return os.path.join(os.curdir, path) if named else path  # a path never means a sample or a colour
    if name in PICTURES and value is not None and not isinstance(value, (str, bool, int, float)):
        given[name] = value
        return "given" if name in CODE else "array"
    return value.tolist() if hasattr(value, "tolist") else value  # np.int64(3), torch.tensor([8, 9])

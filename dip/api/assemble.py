"""Options as Python gives them, names, dicts, objects and arrays, become a `Config` and the pictures in memory.

What Hydra does for a command line; Hydra itself only reads the files of experiments.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.configuration import schema
from dip.configuration.loggers import Logger
from dip.configuration.schema import GROUPS, PICTURES, Config
from dip.errors import DipError, OptionError
from dip.hardware.precision import Precision
from dip.nets import Net
from dip.samples import SAMPLES
from dip.stopping import Stop
from dip.targets import Target
from dip.z import Z

if TYPE_CHECKING:
    from dip.images import Picture

BASES = {"target": Target, "net": Net, "stop": Stop, "logger": Logger, "precision": Precision}
"""What an object given for a group must be; it need not be one of the registered classes."""

NAMED = ("target", "stop")
"""Groups whose default has no options of its own: a dict that does not say of what its options are is refused."""


def assemble(options: Mapping[str, Any]) -> tuple[Config, dict[str, Picture]]:
    """The `Config` that `options` describe, and the pictures among them that are arrays, by option.

    Args:
        options: fields of `Config`. A group (`target`, `net`, `stop`, `precision`, `logger`) is a name, a dict of its
            options (with its `name`; of a net or a precision without, the default's) or an object; `z` is a dict or a `Z`. A picture is a path, a
            sample's name, a NumPy array, a tensor or a PIL image. `experiment` names a file in conf/experiment, whose
            options are taken where `options` have none.

    Raises:
        DipError: an option is unknown or has an illegal value.
    """
    options = dict(options)
    experiment = options.pop("experiment", None)
    set_before = {} if experiment is None else _experiment(experiment)
    _check_known("", options, [field.name for field in dataclasses.fields(Config)])
    given: dict[str, Picture] = {}
    values = {name: _value(name, value, given, set_before.get(name)) for name, value in options.items()}
    return Config(**{**set_before, **values}), given


def _experiment(name: object) -> dict[str, Any]:
    """What conf/experiment/`name`.yaml leaves of the options, by field of `Config`."""
    folder = Path(__file__).parents[2] / "conf"
    names = sorted(file.stem for file in folder.glob("experiment/*.yaml"))
    if name not in names:
        there = (
            f"one of {', '.join(names)}" if names else "left out: there is no folder conf beside the package"
        )
        raise OptionError("experiment", name, there, "experiment='fast'")
    from hydra import compose, initialize_config_dir

    from dip import sweep

    schema.register()
    sweep.register()
    with initialize_config_dir(str(folder), version_base="1.3"):
        return schema.fields(compose("config", [f"experiment={name}"]))


def _value(name: str, value: Any, given: dict[str, Picture], before: Any) -> Any:
    if name in GROUPS:
        return _member(name, value, given, before)
    if name == "z" and isinstance(value, Mapping):
        return _made(Z, value, "z.", given, before)
    return _plain(name, value, given)


def _member(group: str, value: Any, given: dict[str, Picture], before: Any) -> Any:
    """One of `group`'s classes, from its name, its options or itself; `before` is the experiment's, or None."""
    classes = GROUPS[group]
    if isinstance(value, BASES[group]):
        return value
    described = {"name": value} if isinstance(value, str) else value
    if not isinstance(described, Mapping):
        raise _illegal(group, value)
    if "name" not in described and group in NAMED and before is None:
        example = {"name": {"target": "noisy", "stop": "combined"}[group], **described}
        raise DipError(
            f"{group}={dict(described)}: needs the name of the {group} too, for example {group}={example}"
        )
    name = described.get("name", (before or getattr(Config(), group)).name)
    if name not in classes:
        raise _illegal(group, name)
    same = before if type(before) is classes[name] else None
    return _made(classes[name], {**described, "name": name}, f"{group}.", given, same)


def _illegal(group: str, value: object) -> OptionError:
    names = sorted(GROUPS[group])
    close = difflib.get_close_matches(str(value), names, 1) or names
    return OptionError(
        group, value, f"one of {', '.join(names)}, or a dict with one as its name", f"{group}={close[0]!r}"
    )


def _made(
    kind: type[Any], options: Mapping[str, Any], prefix: str, given: dict[str, Picture], before: Any
) -> Any:
    """A `kind` of `options`, and for the others those of `before`, unless it is None."""
    _check_known(prefix, options, [field.name for field in dataclasses.fields(kind)])
    values = {name: _plain(f"{prefix}{name}", value, given) for name, value in options.items()}
    return kind(**values) if before is None else dataclasses.replace(before, **values)


def _plain(name: str, value: Any, given: dict[str, Picture]) -> Any:
    """`value` as a configuration holds it; an array goes to `given`, and a name takes its place."""
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return os.path.join(os.curdir, path) if path in SAMPLES else path  # a path never means a sample
    if type(value).__module__.startswith("PIL."):
        import numpy

        value = numpy.asarray(value.convert("RGB") if value.mode in ("P", "CMYK") else value)
    if hasattr(value, "shape") and getattr(value, "ndim", 0) > 0:
        if name not in PICTURES:
            return value.tolist()
        from dip import images

        given[name] = images.from_array(value, name)
        return "array"
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()  # np.int64(3) is meant as 3
    return value


def _check_known(prefix: str, options: Iterable[str], names: list[str]) -> None:
    for name in options:
        if name not in names:
            homes = [] if prefix else [group for group, kinds in GROUPS.items() if _has(kinds, name)]
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {prefix}{close[0]}?" if close else ""
            if homes:
                hint = "; did you mean " + " or ".join(f"{home}={{{name!r}: ...}}" for home in homes) + "?"
            raise DipError(f"{prefix}{name}: no such option{hint} (there are {', '.join(names)})")


def _has(kinds: Mapping[str, type[Any]], name: str) -> bool:
    return name != "name" and any(
        name in {field.name for field in dataclasses.fields(kind)} for kind in kinds.values()
    )

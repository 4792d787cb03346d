"""Options as given in Python (names, dicts, objects, arrays) become a `Config` and the pictures that are arrays."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dip.configuration import composition
from dip.configuration.names import unknown
from dip.configuration.schema import BASES, GROUPS, PICTURES, Config, option_names
from dip.configuration.unused import reset_unused
from dip.errors import DipError, OptionError
from dip.samples import SAMPLES
from dip.z import Z

if TYPE_CHECKING:
    from dip.images import Picture

NAMED = {"target": "noisy", "stop": "combined"}
"""Groups in which a dict of options needs the `name` of the choice, because the default choice has no options."""


def assemble(options: Mapping[str, Any]) -> tuple[Config, dict[str, Picture]]:
    """The `Config` that `options` describe, and the arrays among them as pictures, by option.

    Args:
        options: fields of `Config`. A group (`target`, `net`, `stop`, ...) is the name of a choice, a dict of its options
            with its `name` (by default the default choice) or an object; `z` is a dict or a `Z`. A picture is a path, a
            sample's name, a NumPy array, a tensor or a PIL image. `experiment` names a file in conf/experiment, whose
            options are taken where `options` have none.

    Raises:
        DipError: an option does not exist or has an illegal value.
    """
    options = dict(options)
    experiment = options.pop("experiment", None)
    base = {} if experiment is None else _experiment(experiment)
    _check_known("", options, Config)
    given: dict[str, Picture] = {}
    values = {name: _value(name, value, given, base.get(name)) for name, value in options.items()}
    return reset_unused(Config(**{**base, **values})), given


def _experiment(name: object) -> dict[str, Any]:
    """The options of conf/experiment/`name`.yaml with the defaults of all others, by field of `Config`."""
    names = sorted(file.stem for file in composition.CONF.glob("experiment/*.yaml"))
    if name not in names:
        raise OptionError("experiment", name, f"one of {', '.join(names)}", "experiment='fast'")
    composed = composition.read(composition.compose([f"experiment={name}"]))
    return {field.name: getattr(composed, field.name) for field in dataclasses.fields(Config)}


def _value(name: str, value: Any, given: dict[str, Picture], base: Any) -> Any:
    """The value of field `name` of `Config`; `base` is the experiment's value, or None."""
    if name == "z" and isinstance(value, Mapping):
        return _made(Z, value, "z.", given, base)
    if name not in GROUPS or isinstance(value, BASES[name]):  # an object may be of an unregistered class
        return _plain(name, value, given)
    described = {"name": value} if isinstance(value, str) else value
    if not isinstance(described, Mapping):
        raise _no_choice(name, value)
    if "name" not in described and name in NAMED and base is None:
        example = {"name": NAMED[name], **described}
        raise DipError(
            f"{name}={dict(described)}: needs the name of the {name} too, for example {name}={example}"
        )
    choice = described.get("name", (base or getattr(Config(), name)).name)
    if choice not in GROUPS[name]:
        raise _no_choice(name, choice)
    kind = GROUPS[name][choice]
    return _made(kind, {**described, "name": choice}, f"{name}.", given, base if type(base) is kind else None)


def _no_choice(group: str, value: object) -> OptionError:
    names = sorted(GROUPS[group])
    close = difflib.get_close_matches(str(value), names, 1) or names
    legal = f"one of {', '.join(names)}, or a dict with one as its name"
    return OptionError(group, value, legal, f"{group}={close[0]!r}")


def _made(
    kind: type[Any], options: Mapping[str, Any], prefix: str, given: dict[str, Picture], base: Any
) -> Any:
    """A `kind` with `options`; the others are those of `base`, or the defaults where `base` is None."""
    _check_known(prefix, options, kind)
    values = {name: _plain(f"{prefix}{name}", value, given) for name, value in options.items()}
    return kind(**values) if base is None else dataclasses.replace(base, **values)


def _plain(name: str, value: Any, given: dict[str, Picture]) -> Any:
    """`value` as a configuration holds it; a picture in memory goes to `given`, and "array" takes its place."""
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return os.path.join(os.curdir, path) if path in SAMPLES else path  # a path never means a sample
    if type(value).__module__.startswith("PIL."):
        import numpy

        value = numpy.asarray(value.convert("RGB") if value.mode in ("P", "CMYK") else value)
    if name in PICTURES and getattr(value, "ndim", 0) > 0:
        from dip import images

        given[name] = images.from_array(value, name)
        return "array"
    return value.tolist() if hasattr(value, "tolist") else value  # np.int64(3), torch.tensor([8, 9])


def _check_known(prefix: str, options: Mapping[str, Any], kind: type[Any]) -> None:
    """Raises `DipError` for a name in `options` that is no field of `kind`."""
    own = [f"{prefix}{field.name}" for field in dataclasses.fields(kind)]
    for name in options:
        if f"{prefix}{name}" not in own:
            raise unknown(f"{prefix}{name}", own if prefix else option_names())

"""Options as given in Python (names, dicts, objects, arrays) become a `Config` and the pictures that are arrays."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dip.configuration import composition, shipped
from dip.configuration.explain import unknown
from dip.configuration.schema import BASES, GROUPS, PICTURES, Config, option_names
from dip.errors import DipError, OptionError
from dip.options import default_of
from dip.samples import SAMPLES

if TYPE_CHECKING:
    from dip.images import Picture

NAMED = {"target": "noisy", "stop": "combined"}
"""Groups in which a dict of options needs the `name` of the choice, because the default choice has no options."""


def assemble(options: Mapping[str, Any]) -> tuple[Config, dict[str, Picture]]:
    """The `Config` that `options` describe, and the arrays among them as pictures, by option.

    Args:
        options: fields of `Config`. A group (`target`, `net`, `stop`, ...) is the name of a choice, a dict of its
            options with its `name` (without it, the default choice) or an object; `z` is a dict or a `Z`. A picture is
            a path, a sample's name, a NumPy array, a tensor or a PIL image. `experiment` names a file in
            conf/experiment, which sets the options that are not given.

    Raises:
        DipError: an option does not exist or has an illegal value.
    """
    options = dict(options)
    experiment = options.pop("experiment", None)
    base = {} if experiment is None else _experiment(experiment)
    given: dict[str, Picture] = {}
    return composition.reset_unused(_made(Config, options, base, "", given)), given


def _experiment(name: object) -> dict[str, Any]:
    """The options of conf/experiment/`name`.yaml with the defaults of all others, by field of `Config`."""
    names = shipped.names("conf/experiment")
    if name not in names:
        raise OptionError("experiment", name, f"one of {', '.join(names)}", "experiment='fast'")
    return composition.fields(composition.compose([f"experiment={name}"]))


def _made(
    kind: type[Any], options: Mapping[str, Any], base: Mapping[str, Any], prefix: str, given: dict[str, Picture]
) -> Any:
    """A `kind` with `options`; other fields are taken from `base`, else they have their defaults."""
    own = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, value in options.items():
        full = f"{prefix}{name}"
        if name not in own:
            raise unknown(full, [f"{prefix}{other}" for other in own] if prefix else option_names())
        before = base.get(name, default_of(own[name]))
        if full in GROUPS:
            values[name] = _choice(full, value, before, name in base, given)
        elif isinstance(value, Mapping) and dataclasses.is_dataclass(before):  # as z={"channels": 3}
            values[name] = _made(type(before), value, vars(before), f"{full}.", given)
        else:
            values[name] = _plain(full, value, given)
    return kind(**{**base, **values})


def _choice(group: str, value: Any, before: Any, chosen: bool, given: dict[str, Picture]) -> Any:
    """An object of `group` from a name, a dict or an object; `before` is the experiment's (`chosen`) or the default."""
    if isinstance(value, BASES[group]):  # it may be of an unregistered class
        return value
    described = {"name": value} if isinstance(value, str) else value
    if not isinstance(described, Mapping):
        raise _no_choice(group, value)
    if "name" not in described and group in NAMED and not chosen:
        example = {"name": NAMED[group], **described}
        raise DipError(f"{group}={dict(described)}: needs the name of the {group} too, for example {group}={example}")
    name = described.get("name", before.name)
    if name not in GROUPS[group]:
        raise _no_choice(group, name)
    kind = GROUPS[group][name]
    base = vars(before) if chosen and type(before) is kind else {}
    return _made(kind, {**described, "name": name}, base, f"{group}.", given)


def _no_choice(group: str, value: object) -> OptionError:
    names = sorted(GROUPS[group])
    close = difflib.get_close_matches(str(value), names, 1) or names
    legal = f"one of {', '.join(names)}, or a dict with one as its name"
    return OptionError(group, value, legal, f"{group}={close[0]!r}")


def _plain(name: str, value: Any, given: dict[str, Picture]) -> Any:
    """`value` as a configuration holds it; a picture in memory goes to `given`, and "array" takes its place."""
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return os.path.join(os.curdir, path) if path in SAMPLES else path  # a path never means a sample
    if name in PICTURES and isinstance(value, bytes):
        from dip import images

        given[name] = images.from_bytes(value, name)
        return "array"
    jpeg = None
    if type(value).__module__.startswith("PIL."):
        import numpy

        file = getattr(value, "filename", "")  # an image that was opened and not changed since has one
        if getattr(value, "format", None) in ("JPEG", "MPO") and isinstance(file, str) and os.path.isfile(file):
            jpeg = pathlib.Path(file).read_bytes()
        value = numpy.asarray(value.convert("RGB") if value.mode in ("P", "CMYK") else value)
    if name in PICTURES and getattr(value, "ndim", 0) > 0:
        from dip import images

        given[name] = dataclasses.replace(images.from_array(value, name), jpeg=jpeg)
        return "array"
    return value.tolist() if hasattr(value, "tolist") else value  # np.int64(3), torch.tensor([8, 9])

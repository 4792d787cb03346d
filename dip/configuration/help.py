"""The text of `python train.py --help`, made from what the options and the files of options say of themselves."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from typing import Any

from dip.configuration import shipped
from dip.configuration.schema import GROUPS, Config
from dip.options import head_comment
from dip.z import Z

EXAMPLES = """\
Examples
  python train.py experiment=quick                               a restored image in minutes on a laptop
  python train.py image=photo.png target=noisy target.sigma=0.1  add noise to a photo, take it off again
  python train.py image=photo.jpg target=degraded                a photo that is already noisy
  python train.py target=shuffled 'skips=[3,4]'                  the report's experiment
  python train.py -m target=clean,noisy 'skips=[],[3,4]'         every combination, one run each
  python train.py -cd sweeps -cn figure3                         a canned sweep
"""


def help_text() -> str:
    """The text of `python train.py --help`: each option with its meaning, unit, legal values and default."""
    parts = [
        "Deep Image Prior: fits one network to one image, and restores it by stopping in time.",
        "",
        EXAMPLES,
    ]
    parts.append("Options (name=value)")
    parts += [
        line for field in dataclasses.fields(Config) if field.metadata for line in _option_lines("", field)
    ]
    parts += [line for field in dataclasses.fields(Z) for line in _option_lines("z.", field)]
    for group, classes in GROUPS.items():
        parts += ["", f"{group}=..."]
        for name, cls in classes.items():
            said = (cls.__doc__ or "").strip().split("\n")[0]
            parts.append(
                _wrapped(f"  {name}", _head(f"conf/precision/{name}.yaml") if group == "precision" else said)
            )
            fields = [f for f in dataclasses.fields(cls) if f.metadata and f.name != "name"]
            if group != "precision" or name == "fp64":  # its options are the same for every format
                parts += [line for field in fields for line in _option_lines(f"{group}.", field, "    ")]
    parts += ["", "experiment=...: several options at once", *_files("conf/experiment")]
    parts += ["", "hydra/launcher=...: where the jobs of -m run", *_files("conf/hydra/launcher")]
    parts += ["", "-cd sweeps -cn ...: many runs, and a page about them", *_files("sweeps"), ""]
    parts.append(
        "Also: --cfg job prints the options as composed, -m runs every combination, --hydra-help says more."
    )
    return "\n".join(parts)


def _files(folder: str) -> list[str]:
    """A line for each file of a folder of options."""
    return [
        _wrapped(f"  {path.stem}", _head(f"{folder}/{path.name}"))
        for path in sorted(shipped.path(folder).glob("*.yaml"))
    ]


def _head(file: str) -> str:
    """The first sentence that a file of options says of itself, or its beginning up to a colon; "" without one."""
    text = " ".join(line for line in head_comment(shipped.path(file)) if not line.startswith("python "))
    sentence = re.match(r".{20,}?[.:?](?= |$)", text)
    return sentence[0].rstrip(":") if sentence else text


def _option_lines(prefix: str, field: dataclasses.Field[Any], indent: str = "  ") -> list[str]:
    default = field.default_factory() if callable(field.default_factory) else field.default
    shown = "null" if default is None else f"{default:.4g}" if isinstance(default, float) else str(default)
    shown = {"True": "true", "False": "false"}.get(shown, shown).replace(" ", "")
    text = f"{field.metadata['help']}; {field.metadata['legal']}"
    return [_wrapped(f"{indent}{prefix}{field.name}={shown}", text)]


def _wrapped(left: str, text: str, column: int = 34, width: int = 110) -> str:
    lines = textwrap.wrap(text, width - column) or [""]
    first = f"{left:<{column}}{lines[0]}" if len(left) < column else f"{left}\n{' ' * column}{lines[0]}"
    return "\n".join([first, *(" " * column + line for line in lines[1:])]).rstrip()

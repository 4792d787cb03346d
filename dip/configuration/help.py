"""The text of `python train.py --help`, made from the options and from the head comments of the shipped files."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from dip.configuration import shipped
from dip.configuration.aliases import ALIASES
from dip.configuration.listing import with_nested
from dip.configuration.schema import GROUPS, Config
from dip.options import default_of, head_comment

EXAMPLES = """\
Examples
  python train.py experiment=quick                               a restored image in minutes on a laptop
  python train.py image=photo.png target=noisy target.sigma=0.1  add noise to a photo and remove it
  python train.py image=photo.jpg target=degraded                restore a photo that is already noisy
  python train.py target=shuffled 'skips=[3,4]'                  the report's experiment
  python train.py operator=op.py y=y.npy 'shape=[1,256,256]'     reconstruct an image from measurements
  python train.py -m target=clean,noisy 'skips=[],[3,4]'         every combination, one run each
  python train.py -cd sweeps -cn figure3                         a shipped sweep
"""

SHORT = {"operator": ", and target=measured; the only way to name code that is run"}
"""What else a short word means."""

FILES = {
    "conf/experiment": "experiment=...: several options at once",
    "conf/entry": "entry=...: a method of the leaderboard, with its published settings",
    "conf/hydra/launcher": "hydra/launcher=...: where the jobs of -m run",
    "sweeps": "-cd sweeps -cn ...: many runs, with a report page",
}
"""Folders of YAML files, and what is typed to use one."""


COLUMN, WIDTH = 34, 110
"""Where the second column begins, and the length of a line."""


def help_text() -> str:
    """The text of `python train.py --help`: each option with its meaning, unit, legal values and default."""
    lines = [
        "Deep Image Prior: fits a network to one image; early stopping restores the image.",
        "",
        EXAMPLES,
        "Short words",
        *(_wrapped(f"  {word}=...", f"{name}=..." + SHORT.get(word, "")) for word, name in ALIASES.items()),
        "",
        "Options (name=default)",
        *_options("", Config),
    ]
    for group, kinds in GROUPS.items():
        lines += ["", f"{group}=..."]
        for number, (name, kind) in enumerate(kinds.items(), start=1):
            shared = len(set(kinds.values())) == 1  # one class with one set of options, shown after the last name
            summary = _sentence(f"conf/{group}/{name}.yaml") if shared else (kind.__doc__ or "").partition("\n")[0]
            lines.append(_wrapped(f"  {name}", summary))
            if not shared or number == len(kinds):
                lines += _options(f"{group}.", kind, "    ")
    for folder, title in FILES.items():
        sentences = (_wrapped(f"  {name}", _sentence(f"{folder}/{name}.yaml")) for name in shipped.names(folder))
        lines += ["", title, *sentences]
    lines += [
        "",
        "Also: --cfg job prints the composed options, -m runs every combination, --hydra-help explains Hydra's flags.",
    ]
    return "\n".join(lines)


def _sentence(file: str) -> str:
    """The first sentence of a file's head comment, or its beginning up to a colon; "" without a comment."""
    text = " ".join(line for line in head_comment(shipped.path(file)) if not line.startswith("python "))
    sentence = re.match(r".{20,}?[.:?](?= |$)", text)
    return sentence[0].rstrip(":") if sentence else text


def _options(prefix: str, kind: type[Any], indent: str = "  ") -> Iterator[str]:
    """A line for each option of `kind` and of its nested dataclasses."""
    for start, owner in with_nested(prefix, kind):
        for field in dataclasses.fields(owner):
            if not field.metadata or (field.name == "name" and start):
                continue
            default = default_of(field)
            shown = f"{default:.4g}" if isinstance(default, float) else str(default).replace(" ", "")
            shown = {"None": "null", "True": "true", "False": "false"}.get(shown, shown)
            text = f"{field.metadata['help']}; {field.metadata['legal']}"
            yield _wrapped(f"{indent}{start}{field.name}={shown}", text)


def _wrapped(left: str, text: str) -> str:
    """`left` and `text` in two columns; `text` begins in its own line where `left` is too long."""
    wrapped = textwrap.fill(text, WIDTH, initial_indent=" " * COLUMN, subsequent_indent=" " * COLUMN)
    return f"{left:<{COLUMN}}{wrapped[COLUMN:]}" if len(left) < COLUMN else f"{left}\n{wrapped}"

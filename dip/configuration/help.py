"""The text of `python train.py --help`, made from the options and from the head comments of the shipped files."""

import dataclasses
import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
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
  python train.py experiment=photo image=photo.jpg               restore a photo that is already noisy
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

USUAL = ("image", "reference", "size", "tile", "skips", "steps", "lr", "perturbation", "ensemble", "seed", "device", "out",
         "overwrite")  # fmt: skip
"""The options outside of groups that the short help lists."""

MORE = """\
More
  python train.py --help target    a group, its choices and their options; target=deblur: one choice
  python train.py --help options   all options outside of groups
  python train.py --help entry     methods of the leaderboard; --help launcher: where the jobs of -m run
  python train.py --help all       every option with unit and default
  python train.py --cfg job        the composed options; --hydra-help explains Hydra's flags
"""

COLUMN, WIDTH = 34, 110
"""Where the second column begins, and the length of a line."""


def help_text(words: Sequence[str] = ()) -> str:
    """The text of `python train.py --help`: the usual options, with meaning, unit, legal values and default; all choices.

    The words `all`, `options`, a group, `target=deblur`, `experiment`, `entry`, `launcher` or `sweeps` beside `--help` ask for all
    of that part; others have no effect.
    """
    typed, options = dict(word.partition("=")[::2] for word in words), ["Options (name=default)"]
    files = {folder.rpartition("/")[2]: _files(folder) for folder in FILES}
    parts = {"options": [*options, *_options("", Config)], **{g: _group(g, typed.get(g)) for g in GROUPS}, **files}
    if "all" not in typed and (asked := [line for name in parts if name in typed for line in (*parts[name], "")]):
        return "\n".join([*asked, MORE])
    if "all" not in typed:
        fields = Config.__dataclass_fields__
        choices = (_wrapped(f"  {g}={default_of(fields[g]).name}", ", ".join(GROUPS[g])) for g in GROUPS)
        parts = {
            "options": [*options, *_options("", Config, only=USUAL), "", "Groups (name=default)", *choices],
            "target": _group("target", None, details=False),
            "experiment": files["experiment"],
            "sweeps": files["sweeps"],
        }
    short = (_wrapped(f"  {word}=...", f"{name}=..." + SHORT.get(word, "")) for word, name in ALIASES.items())
    first = "Deep Image Prior: fits a network to one image; early stopping restores the image."
    shown = [line for part in parts.values() for line in (*part, "")]
    return "\n".join([first, "", EXAMPLES, "Short words", *short, "", *shown, MORE])


def _group(group: str, choice: str | None, details: bool = True) -> list[str]:
    """The choices of a group, or one of them, each with its options if `details`."""
    kinds, lines = GROUPS[group], [f"{group}=..."]
    shared = len(set(kinds.values())) == 1  # one class with one set of options, shown after the last name
    names = [name for name in kinds if name == choice] or list(kinds)
    for name in names:
        summary = _sentence(f"conf/{group}/{name}.yaml") if shared else (kinds[name].__doc__ or "").partition("\n")[0]
        lines.append(_wrapped(f"  {name}", summary))
        if details and (not shared or name == names[-1]):
            lines += _options(f"{group}.", kinds[name], "    ")
    return lines


def _files(folder: str) -> list[str]:
    """The YAML files in `folder`, each with the first sentence of its head comment."""
    names = shipped.names(folder)
    return [FILES[folder], *(_wrapped(f"  {name}", _sentence(f"{folder}/{name}.yaml")) for name in names)]


def _sentence(file: str) -> str:
    """The first sentence of a file's head comment, or its beginning up to a colon; "" without a comment."""
    text = " ".join(line for line in head_comment(shipped.path(file)) if not line.startswith("python "))
    sentence = re.match(r".{20,}?[.:?](?= |$)", text)
    return sentence[0].rstrip(":") if sentence else text


def _options(prefix: str, kind: type[Any], indent: str = "  ", only: Collection[str] = ()) -> Iterator[str]:
    """A line for each option of `kind` and of its nested dataclasses, or for those in `only`."""
    for start, owner in with_nested(prefix, kind):
        for field in dataclasses.fields(owner):
            if not field.metadata or (field.name == "name" and start) or (only and start + field.name not in only):
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

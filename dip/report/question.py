"""What a folder of runs was made to answer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from dip.options import head_comment


def head(folder: Path) -> list[str]:
    """The lines of the comment at the head of the folder's `sweep.yaml`; [] without one."""
    return head_comment(folder / "sweep.yaml")


def typed_words(folder: Path) -> list[str] | None:
    """What was typed behind the sweep's name, as Hydra kept it, but for where the runs went; None where it kept nothing."""
    try:
        kept = yaml.safe_load((folder / "multirun.yaml").read_text(encoding="utf-8"))
        typed = kept["hydra"]["overrides"]["task"]
        return [word for word in typed if not word.startswith("out=")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None


def question(folder: Path, title: str | None) -> tuple[str, list[str]]:
    """The title, and the lines that explain it; what the file says of its cost only where it was run as it stands."""
    lines = head(folder)
    if typed := typed_words(folder):
        command = next((line for line in lines if line.startswith("python train.py")), None)
        lines = [f"{line} {shlex.join(typed)}" if line is command else line for line in lines]
        lines = [line for line in lines if not line.startswith("Cost:")]
    return (title, lines) if title else (lines[0], lines[1:]) if lines else (folder.resolve().name, [])


def paragraphs(lines: Sequence[str]) -> list[str]:
    """Commands, each for itself, and the sentences between them without the line ends that they have in a file."""
    found: list[str] = []
    for line in lines:
        if found and not line.startswith("python ") and not found[-1].startswith("python "):
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found

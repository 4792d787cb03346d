"""What a folder of runs was made to answer."""

from __future__ import annotations

from pathlib import Path


def head(folder: Path) -> list[str]:
    """The lines of the comment at the head of the folder's `sweep.yaml`; [] without one."""
    lines: list[str] = []
    try:
        for line in (folder / "sweep.yaml").read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.strip("# \t"))
    except (OSError, ValueError):
        pass  # no sweep file, or not one of ours
    return [line for line in lines if line and not line.startswith("@package")]


def question(folder: Path, title: str | None) -> tuple[str, list[str]]:
    """The title, and the lines that explain it."""
    lines = head(folder)
    return (title, lines) if title else (lines[0], lines[1:]) if lines else (folder.resolve().name, [])

"""Checkpoint files: their names, their checksum, and which of them are kept. Imports no torch.

A checkpoint `step-000000123.ckpt` is a file of `torch.save` followed by one line of JSON, the footer: format, step,
identity and options of its run, and the SHA-256 of all of this. One file needs one rename, so a crash leaves no half pair.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.files import remove_temporaries, write_bytes

log = logging.getLogger("dip")

FORMAT = 2  # of the file; a higher one than the program's own is refused
FOOTER_BYTES = 2**16  # more than the footer has
_NAME = re.compile(r"step-([0-9]{9}|[1-9][0-9]{9,})\.ckpt")


class DamagedError(RunError):
    """A checkpoint is not what was written, or cannot be resumed from; an older one may be usable."""


def path_of(folder: str | Path, step: int) -> Path:
    """The path of the checkpoint of `step`."""
    return Path(folder) / f"step-{step:09d}.ckpt"


def step_of(path: Path) -> int:
    """The step in a checkpoint's file name."""
    match = _NAME.fullmatch(path.name)
    assert match, f"{path}: the name must be step-<nine digits>.ckpt"
    return int(match[1])


def stored(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, damaged ones included, newest step first; [] if there is no folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in found if _NAME.fullmatch(path.name)), key=step_of, reverse=True)


def store(path: Path, content: io.BytesIO, identity: str, facts: Mapping[str, Any], keep: int) -> None:
    """Append the footer to `content`, write it to `path`, then delete all but the newest `keep` intact checkpoints.

    Checkpoints of later steps are deleted too, because the run has gone back to an earlier step. Once a valid checkpoint
    exists, there is one at every instant. `facts` are added to the footer. Raises as `dip.files.write_bytes` does.
    """
    assert keep >= 1
    remove_temporaries(path.parent)
    if path.is_dir():  # not created by this program, so it is moved, not deleted
        aside = path.with_name(f"{path.name}.aside-{secrets.token_hex(4)}")
        log.warning("%s: is a folder, moved to %s", path, aside.name)
        path.rename(aside)
    footer = {"format": FORMAT, "step": step_of(path), "identity": identity, **facts}
    footer["sha256"] = _checksum(content.getbuffer(), footer)
    content.seek(0, os.SEEK_END)
    content.write(b"\n" + json.dumps(footer).encode())
    write_bytes(path, content.getbuffer())
    _retain(path, keep)


def remove(path: Path) -> None:
    """Delete a checkpoint; a failure is a warning."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be deleted (%s)", path, error.strerror)


def footer_of(path: Path) -> dict[str, Any]:
    """The last line of a checkpoint, without its checksum verified. Raises `DamagedError` if there is none."""
    if not path.is_file():
        raise DamagedError(f"{path}: is not a file")
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - FOOTER_BYTES))
            footer = json.loads(file.read().rpartition(b"\n")[2])
        assert isinstance(footer["identity"], str)
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, KeyError, TypeError, AssertionError):
        raise DamagedError(f"{path}: is truncated or damaged") from None
    return footer  # type: ignore[no-any-return]


def verified(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Content and footer of a checkpoint whose SHA-256 and step are right.

    `torch.load` ignores the footer at the end of the content.

    Raises:
        DamagedError: the checksum or the step is wrong.
        RunError: the format is newer than this program's.
    """
    footer = footer_of(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read ({error.strerror})") from error
    payload = memoryview(data)[: data.rfind(b"\n")]
    if footer.pop("sha256", None) != _checksum(payload, footer):
        raise DamagedError(f"{path}: its content has changed since it was written (SHA-256)")
    if footer["format"] > FORMAT:
        raise RunError(
            f"{path}: has format {footer['format']}, this program reads up to {FORMAT}; use the version that wrote it"
        )
    if footer["step"] != step_of(path):
        raise DamagedError(f"{path}: was written as step {footer['step']}")
    return data, footer


def _checksum(payload: bytes | memoryview, footer: Mapping[str, Any]) -> str:
    found = hashlib.sha256(payload)
    found.update(json.dumps(footer, sort_keys=True).encode())
    return found.hexdigest()


def _retain(path: Path, keep: int) -> None:
    kept = 1
    for other in stored(path.parent):
        if other == path or other.is_dir():
            continue
        if step_of(other) < step_of(path) and kept < keep and _intact(other):
            kept += 1
        else:
            remove(other)


def _intact(path: Path) -> bool:
    try:
        return bool(verified(path))
    except RunError:
        return False

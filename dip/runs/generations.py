"""Numbered files that can be trusted after a crash, a full disk or a flipped bit. Imports no torch.

`step-000000123.ckpt` counts only together with its manifest `step-000000123.json`: length, SHA-256, whose it
is and what the writer adds. The manifest is in place just before the file gets its name, so a crash never
leaves a file without one: what has none is damaged.
"""

from __future__ import annotations

import logging
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.files import digest, read_json, remove_temporaries, replacing, write_json
from dip.runs import fingerprint

log = logging.getLogger("dip")

FORMAT = 1  # of the files and their manifests; a program refuses a higher one than its own


class Damaged(RunError):
    """A file is not what was written, or not fit to go on from; an older one may be."""


def path_of(folder: str | Path, step: int) -> Path:
    """Where the file of `step` lies."""
    assert step >= 0
    return Path(folder) / f"step-{step:09d}.ckpt"


def step_of(path: Path) -> int:
    """The step in a file's name."""
    match = re.fullmatch(r"step-([0-9]{9,})\.ckpt", path.name)
    assert match, f"{path}: the name must be step-<nine digits>.ckpt"
    return int(match[1])


def stored(folder: Path) -> list[Path]:
    """The numbered files in `folder`, whatever their state, newest step first; none where no folder is."""
    return _numbered(folder, ".ckpt")


def store(path: Path, data: bytes | memoryview, identity: str, facts: Mapping[str, Any], keep: int) -> None:
    """Writes `data` to `path` with a manifest that holds `facts` too, then deletes what is no longer needed.

    The newest `keep` intact files up to this step stay. Later steps go: going back to an earlier step makes
    them another future. Once a valid file exists, one does at every instant. Raises as `files.replacing`
    does; older files are untouched then.
    """
    assert keep >= 1
    remove_temporaries(path.parent)
    for place in (path, _manifest_path(path)):
        if place.is_dir():  # not ours to delete, but in the way
            aside = place.with_name(f"{place.name}.aside-{secrets.token_hex(4)}")
            log.warning("%s: is a folder, moved to %s", place, aside.name)
            place.rename(aside)
    manifest = {"format": FORMAT, "step": step_of(path), "identity": identity, **_record(data), **facts}
    # When the same step is written again, its old file counts until the new one takes over its name.
    old = _intact(path)
    manifest["was"] = _record(old[0]) if old is not None and old[1]["identity"] == identity else None
    with replacing(path, data):
        write_json(_manifest_path(path), {**manifest, "manifest_sha256": fingerprint(manifest)})
    _retain(path, keep)


def verified(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Content and manifest of a file whose length, SHA-256 and step are right.

    Raises `Damaged` where they are not, and `RunError` for a format newer than this program's.
    """
    manifest = manifest_of(path)
    if manifest["format"] > FORMAT:
        newer = f"has format {manifest['format']}, this program reads up to {FORMAT}"
        raise RunError(f"{path}: {newer}; use the newer program that wrote it")
    if manifest["step"] != step_of(path):
        raise Damaged(f"{path}: was written as step {manifest['step']}")
    records = [manifest] + ([manifest["was"]] if manifest["was"] else [])
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Damaged(f"{path}: is not a file")
        if status.st_size not in [record["bytes"] for record in records]:
            raise Damaged(f"{path}: has {status.st_size} bytes instead of {manifest['bytes']}")
        data = path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path}: cannot be read ({error.strerror})") from error
    if _record(data) not in [{"bytes": record["bytes"], "sha256": record["sha256"]} for record in records]:
        raise Damaged(f"{path}: its content has changed since it was written (SHA-256)")
    return data, manifest


def remove(path: Path) -> None:
    """Deletes a file and its manifest; a warning where that fails.

    The file goes first: a manifest alone is litter, a file alone would look damaged.
    """
    for file in (path, _manifest_path(path)):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be deleted (%s)", file, error.strerror)
            return


def _manifest_path(path: Path) -> Path:
    return path.with_suffix(".json")


def manifest_of(path: Path) -> dict[str, Any]:
    """What a file's manifest says; the file itself is not looked at. Raises `Damaged` where there is none that is intact."""
    manifest = read_json(_manifest_path(path)) or {}
    check = manifest.pop("manifest_sha256", None)
    try:
        valid = check is not None and check == fingerprint(manifest)
    except ValueError:  # a number too large for a float
        valid = False
    if not valid:
        raise Damaged(f"{path}: its manifest {_manifest_path(path).name} is missing or damaged")
    return manifest


def _record(data: bytes | memoryview) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": digest(data)}


def _intact(path: Path) -> tuple[bytes, dict[str, Any]] | None:
    try:
        return verified(path)
    except RunError:
        return None


def _numbered(folder: Path, suffix: str) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    name = re.compile(rf"step-(?:[0-9]{{9}}|[1-9][0-9]{{9,}})\{suffix}")
    paths = [path for path in found if name.fullmatch(path.name)]
    return sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True)


def _retain(path: Path, keep: int) -> None:
    kept = 1
    for other in stored(path.parent):
        if other == path or other.is_dir():
            continue
        if step_of(other) < step_of(path) and kept < keep and _intact(other) is not None:
            kept += 1
        else:
            remove(other)
    for manifest in _numbered(path.parent, ".json"):
        file = manifest.with_suffix(".ckpt")
        if not file.exists():
            remove(file)

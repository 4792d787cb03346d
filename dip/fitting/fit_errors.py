"""Errors during a fit that a user can act on, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dip.errors import RunError
from dip.hardware import memory


@contextmanager
def one_line(folder: Path, size: tuple[int, int], device: torch.device) -> Iterator[None]:
    """Turn errors of the allocator and of weights that do not match into a `RunError` that says what to do.

    Args:
        folder: the run folder.
        size: height and width of the fitted image, in pixels.
        device: of the fit.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = " ".join(str(error).split())
        if "loading state_dict" in text:
            what = "the checkpoint belongs to another network; restart with overwrite=true"
            raise RunError(f"{folder}: {what} ({text})") from error
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "allocate memory" not in text:
            raise
        raise RunError(
            f"out of memory on {device} at {size[0]} x {size[1]}{memory.held_by_others(device)}: use tile=512, lower size, "
            "net.channels, net.skip_channels or ensemble, or set net.checkpoint_activations=true, for example "
            "size=512 net.channels=64"
        ) from error

"""Errors during a fit that a user can act on, as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dip.errors import RunError
from dip.hardware import memory
from dip.hardware.out_of_memory import PREFIX, out_of_memory


@contextmanager
def one_line(folder: Path, size: tuple[int, int], device: torch.device) -> Iterator[None]:
    """Turn errors of the allocator, of a GPU and of weights that do not match into a `RunError` that says what to do.

    Args:
        folder: the run folder.
        size: height and width of the fitted image, in pixels.
        device: of the fit.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = " ".join(str(error).split())
        if "loading state_dict" in text:
            what = "the checkpoint belongs to another network; restart with overwrite=true"
            raise RunError(f"{folder}: {what} ({text})") from error
        if isinstance(error, torch.AcceleratorError) and not out_of_memory(error):
            raise RunError(
                f"{folder}: {device} does not answer any more ({text.partition(' CUDA kernel errors')[0]}); look at it, for "
                "example with nvidia-smi, and repeat the command to resume from the last checkpoint"
            ) from error
        if not out_of_memory(error):
            raise
        raise RunError(
            f"{PREFIX}{device} at {size[0]} x {size[1]}{memory.held_by_others(device)}: use tile=512, lower size, "
            "net.channels, net.skip_channels or ensemble, or set net.checkpoint_activations=true, for example "
            "size=512 net.channels=64"
        ) from error

"""Recognise that memory did not suffice: torch has a class for some of these errors, and a text for the others.

Imports no torch: the parent process of a sweep uses it too.
"""

from dip.errors import DipError

PREFIX = "out of memory on "
"""Beginning of the message of a run whose memory did not suffice: see `dip.fitting.fit_errors`."""

_TEXTS = (
    "out of memory",  # CUDA, HIP and MPS, as OutOfMemoryError, AcceleratorError or RuntimeError
    "alloc_failed",  # CUDNN_STATUS_ALLOC_FAILED, CUBLAS_STATUS_ALLOC_FAILED, CUFFT_ALLOC_FAILED, ...
    "allocate memory",  # the CPU's allocator: "can't allocate memory"
    "not enough memory",  # the CPU's allocator on Windows
)


def out_of_memory(error: BaseException) -> bool:
    """Whether `error`, raised by torch or numpy, says that memory did not suffice. False for errors of this program."""
    if isinstance(error, DipError) or not isinstance(error, (MemoryError, RuntimeError)):
        return False
    text = str(error).lower()
    # torch.OutOfMemoryError, by name because of the import
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(part in text for part in _TEXTS)

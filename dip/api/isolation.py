"""A call of `dip.restore` in a process of other code: the caller's modes do not change its numbers, and are kept."""

import contextlib
import gc
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator

import torch

from dip.fitting.experiment import log_added
from dip.options import log

LIBRARIES = ("CUDA_", "MLFLOW_", "PYTORCH_", "TORCHINDUCTOR_", "TRITON_", "WANDB_")
"""Beginnings of the environment variables that libraries set during a run."""

_turn = threading.RLock()
_forked = False


def _after_fork() -> None:
    """Forget that a thread of the parent process was in a call: the child does not have that thread."""
    global _turn, _forked
    _turn, _forked = threading.RLock(), True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Run the block with torch's default modes; afterwards the process is as it was, and the run's memory is free.

    Warning filters, log levels, TF32, the default dtype and signal handlers belong to the whole process, so the calls of
    several threads take turns. Other code that runs meanwhile in other threads sees the values of the run.
    """
    with _turn, _state_restored(), _default_modes():
        yield


@contextlib.contextmanager
def _default_modes() -> Iterator[None]:
    """Leave the caller's modes in which the same code would give other numbers, or none."""
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextlib.contextmanager
def _state_restored() -> Iterator[None]:
    """Restore the global state that Lightning and its loggers change, and free the run's memory."""
    _avoid_lost_threads()
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()} if main else {}
    threads, variables, gpu = torch.get_num_threads(), _variables(), _current_gpu()
    try:
        with warnings.catch_warnings():
            yield
    except SystemExit as error:
        # Lightning exits at Ctrl-C; a function must not.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if (changed := _variables()) != variables:
            for name in changed.keys() - variables.keys():
                del os.environ[name]
            os.environ.update(variables)
        if (used := _current_gpu()) is not None and used != (gpu or 0):
            torch.cuda.set_device(gpu or 0)  # Lightning selects the run's device
        gc.collect()  # a trainer and its parts are a reference cycle, which keeps the run's tensors


def _current_gpu() -> int | None:
    """The current CUDA device; None if CUDA is not in use, which this function does not change."""
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(LIBRARIES)}


def _avoid_lost_threads() -> None:
    """In a forked process, compute with one thread: OpenMP deadlocks, since its threads exist only in the parent."""
    if _forked and torch.get_num_threads() > 1:
        log.warning(
            "this process was forked, so it computes with 1 thread instead of %d; for more, start processes with "
            "multiprocessing.get_context('spawn')", torch.get_num_threads(),
        )  # fmt: skip
        torch.set_num_threads(1)


@contextlib.contextmanager
def log_shown(progress: bool) -> Iterator[None]:
    """Show the log as the command line does, with `progress` and unless the caller has configured logging."""
    if not progress or log.hasHandlers():
        yield
        return
    with log_added(logging.StreamHandler()):
        yield

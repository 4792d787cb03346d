"""A call changes no global state, keeps no memory, and passes interrupts on."""

import gc
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import dip
from tests.api.conftest import TINY


def told(read: Callable[[], object]) -> object:
    """A flag of TF32, or torch's refusal to tell it after a change by the newer interface alone."""
    try:
        return read()
    except RuntimeError as error:
        return str(error)


def state() -> dict[str, object]:
    loggers = {name: logging.getLogger(name) for name in ("", "dip", "lightning.pytorch")}
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "tf32": [told(lambda: torch.backends.cudnn.allow_tf32), told(torch.get_float32_matmul_precision)],
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "filters": list(warnings.filters),
        "logging": {name: (log.level, list(log.handlers), log.propagate) for name, log in loggers.items()},
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "threads of Python": threading.active_count(),
    }  # fmt: skip


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
def test_nothing_global_changes(precision, photo):
    dip.restore(photo, **TINY)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    before = state()
    dip.restore(photo, "noisy", stop="wmv", **{**TINY, "precision": precision})
    after = state()
    torch.set_float32_matmul_precision("highest")
    for name, value in before.items():
        assert after[name] == value, name


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory from /proc")
def test_a_loop_keeps_no_tensors_and_no_memory(photo):
    def tensors() -> int:
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    for seed in range(9):
        if seed == 3:
            kept, before = tensors(), resident()
        dip.restore(photo, "noisy", seed=seed, **TINY)
    assert resident() < before + 2  # MiB, a third of one for each call; measured: less than one in all
    gc.disable()
    try:
        assert tensors() <= kept
    finally:
        gc.enable()


@pytest.mark.parametrize("out", [None, "runs"])
def test_an_interrupt_reaches_the_caller(out, photo, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    options = {**TINY, "steps": 10**6, "out": None if out is None else tmp_path / out}
    with pytest.raises(KeyboardInterrupt):
        dip.restore(photo, "noisy", on_record=lambda *_: signal.raise_signal(signal.SIGINT), **options)
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_inside_a_callback_reaches_the_caller(photo, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dip.callbacks.recorder.Recorder._record", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        dip.restore(photo, **TINY)
    assert signal.getsignal(signal.SIGINT) is handler

"""A call gives the same bits in every mode of the caller and from threads, and leaves the modes as they were."""

import contextlib
import multiprocessing
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import dip
from dip.api.isolation import log_shown
from dip.options import log
from tests.api.conftest import TINY
from tests.api.test_process import state
from tests.hardware.test_devices import FP32, precisions


@contextlib.contextmanager
def setting(get: Callable[[], Any], change: Callable[[Any], object], value: Any) -> Iterator[None]:
    before = get()
    change(value)
    try:
        yield
    finally:
        change(before)


@contextlib.contextmanager
def newer_tf32() -> Iterator[None]:
    """The newer interface alone: torch then refuses to tell the flags of the older one."""
    before = precisions()
    torch.backends.fp32_precision = "tf32"
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        for names, value in zip(FP32, before, strict=True):
            torch._C._set_fp32_precision_setter(*names, value)


def dtype(value: torch.dtype) -> contextlib.AbstractContextManager[None]:
    return setting(torch.get_default_dtype, torch.set_default_dtype, value)


MODES: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64": lambda: dtype(torch.float64),
    "bfloat16": lambda: dtype(torch.bfloat16),
    "device context": lambda: torch.device("meta"),
    "default device": lambda: setting(lambda: None, torch.set_default_device, "meta"),
    "deterministic": lambda: setting(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "medium": lambda: setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"),
    "fp32_precision": newer_tf32,
    "numpy errors": lambda: np.errstate(all="raise"),
    "warnings": lambda: warnings.catch_warnings(action="ignore"),
}


def whole_state() -> dict[str, Any]:
    return state() | {
        "python": random.getstate(),
        "modes": (torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.get_default_device()),
        "numpy errors": np.geterr(),
        "precision": precisions(),
    }


def run(photo: Any, **options: Any) -> np.ndarray:
    return dip.restore(photo, "noisy", stop="wmv", **{**TINY, "steps": 3, **options}).image


@pytest.fixture(scope="module")
def usual(photo):
    return run(photo, ensemble=2)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_bits_in_every_mode_and_the_mode_is_kept(mode, photo, usual):
    with MODES[mode]():
        before = whole_state()
        found = run(photo, ensemble=2)
        after = whole_state()
    assert np.array_equal(found, usual)
    for name, value in before.items():
        assert after[name] == value, name


def test_tensors_made_in_inference_mode(photo, usual):
    with torch.inference_mode():
        given = torch.from_numpy(photo.copy())
    assert np.array_equal(run(given, ensemble=2), usual)


def test_threads_give_the_images_of_one_after_the_other_and_keep_the_state(photo, tmp_path):
    options = [{"seed": 0}, {"seed": 1, "out": tmp_path}, {"seed": 2, "precision": "fp64"}]
    expected = [run(photo, **option) for option in options[::2]]
    random.seed(1)
    torch.manual_seed(1)
    before, found = whole_state(), {}
    threads = [
        threading.Thread(target=lambda i=i, o=o: found.update({i: run(photo, **o)})) for i, o in enumerate(options)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = whole_state()
    for name, value in before.items():
        assert after[name] == value, name
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[2], expected[1])
    (said,) = tmp_path.glob("*/run.log")
    assert said.read_text().count("finished") == 1  # not those of the other runs
    assert np.array_equal(found[1], run(photo, seed=1))


def test_numbers_that_another_thread_draws_meanwhile_change_nothing(photo, usual):
    """The weights have a generator of their own."""
    ended = threading.Event()

    def draw() -> None:
        while not ended.is_set():
            torch.rand(1)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert np.array_equal(run(photo, ensemble=2), usual)
    finally:
        ended.set()
        thread.join()


def test_another_call_inside_a_record(photo, usual):
    inner = []
    outer = run(photo, ensemble=2, on_record=lambda *_: inner.append(run(photo, ensemble=2)))
    assert all(np.array_equal(image, usual) for image in (outer, *inner))
    assert len(inner) == 3


def in_child(photo: np.ndarray, results: Any) -> None:
    results.put((run(photo), torch.get_num_threads()))


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process with threads")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_computes_with_one_thread():
    """OpenMP's threads are not forked, and the first parallel loop would wait for them for ever."""
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with setting(torch.get_num_threads, torch.set_num_threads, 1):
        expected = run(photo)
    with setting(torch.get_num_threads, torch.set_num_threads, 2):
        run(photo)
        assert torch.rand(10**6).sum() > 0  # two threads
        fork = multiprocessing.get_context("fork")
        results = fork.SimpleQueue()
        child = fork.Process(target=in_child, args=(photo, results))
        child.start()
        child.join(120)
        if child.exitcode is None:
            child.kill()
            child.join()
    assert child.exitcode == 0
    image, threads = results.get()
    assert threads == 1
    assert np.array_equal(image, expected)


def test_environment_variables_of_libraries_are_restored(photo, monkeypatch):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)

    def change(*_: object) -> None:
        os.environ.update(CUDA_DEVICE_ORDER="PCI_BUS_ID", TRITON_CACHE_DIR="x", OWN="kept")

    run(photo, on_record=change)
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"
    assert "TRITON_CACHE_DIR" not in os.environ
    assert os.environ.pop("OWN") == "kept"


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 1), (None, 0)])
def test_the_current_gpu_is_the_caller_s_afterwards(monkeypatch, before, after):
    from dip.api.isolation import isolated

    current = [before]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: current[0] is not None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: current.__setitem__(0, device))
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    with isolated():
        current[0] = 3  # as Lightning does
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    assert current == [after]
    assert "CUDA_DEVICE_ORDER" not in os.environ


def test_the_log_is_shown_inside_the_block_only(monkeypatch, capsys):
    monkeypatch.setattr(log, "hasHandlers", lambda: False)  # as without pytest
    before = log.level
    with log_shown(True):
        log.info("said")
    assert capsys.readouterr().err == "said\n"
    assert (log.level, log.handlers) == (before, [])

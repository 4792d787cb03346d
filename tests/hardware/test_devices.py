"""Device, number format and flags: the run uses what the options name, or an error lists what is available."""

import contextlib

import pytest
import torch

from dip.errors import OptionError
from dip.hardware import devices
from dip.hardware.devices import Arithmetic, pick_device, pick_precision

CPU = torch.device("cpu")


def test_auto_uses_what_is_available():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_precision("auto", CPU).name in ("bf16", "fp32")


def test_cpu_0_is_the_cpu():
    assert pick_device("cpu:0") == CPU  # Lightning would read the 0 as a number of processes


@pytest.mark.fault(19)
@pytest.mark.parametrize("wanted", ["cuda:99", "toaster", "mps:3", "meta"])
def test_a_device_that_is_not_here_is_an_error_not_a_cpu(wanted: str):
    with pytest.raises(OptionError, match=f"device={wanted}: must be .* for example device=cpu"):
        pick_device(wanted)


@pytest.mark.parametrize(("wanted", "reason"), [("fp16", "fp16 needs a GPU"), ("tf32", "NVIDIA")])
def test_formats_that_a_cpu_does_not_support_are_refused(wanted: str, reason: str):
    with pytest.raises(OptionError, match=reason):
        pick_precision(wanted, CPU)


@pytest.mark.parametrize(("wanted", "reason"), [("fp64", "fp32 or bf16 on mps"), ("tf32", "NVIDIA")])
def test_formats_that_apple_gpus_do_not_support_are_refused(wanted: str, reason: str):
    with pytest.raises(OptionError, match=reason) as refused:
        pick_precision(wanted, torch.device("mps"))
    assert "\n" not in str(refused.value)
    assert pick_precision("auto", torch.device("mps")).name == "fp32"


@pytest.mark.parametrize(("name", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_flags_are_set_for_a_run_and_restored(monkeypatch: pytest.MonkeyPatch, name: str, allowed: bool):
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with devices.prepared(Arithmetic(name)):
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.get_float32_matmul_precision() == ("high" if allowed else "highest")
        described = Arithmetic(name).describe()
        assert described["cudnn_allow_tf32"] is allowed
        assert described["cudnn_deterministic"] is True
        assert torch.backends.cudnn.benchmark is False
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == (True, False)
    with devices.prepared(Arithmetic(name), benchmark=True):
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == (True, False)


FP32 = [("generic", "all"), *((b, o) for b in ("cuda", "mkldnn") for o in ("all", "matmul", "conv", "rnn"))]


def precisions() -> list[str]:
    return [torch._C._get_fp32_precision_getter(*names) for names in FP32]


@pytest.mark.parametrize(
    "changes",
    [
        {("generic", "all"): "tf32"},
        {("generic", "all"): "tf32", ("cuda", "conv"): "ieee", ("mkldnn", "all"): "bf16"},
        {("cuda", "matmul"): "tf32"},
        {("mkldnn", "conv"): "bf16", ("mkldnn", "matmul"): "ieee"},
    ],
)
def test_flags_of_the_newer_interface_are_replaced_and_restored(changes: dict[tuple[str, str], str]):
    """torch refuses to tell the older flags after such changes."""
    before = precisions()
    try:
        for names, value in changes.items():
            torch._C._set_fp32_precision_setter(*names, value)
        changed = precisions()
        for name in ("fp32", "tf32"):
            with devices.prepared(Arithmetic(name)):
                assert ("tf32" in precisions()) == (name == "tf32")
                assert "bf16" not in precisions()
                assert Arithmetic(name).describe()["cudnn_allow_tf32"] == (name == "tf32")
            assert precisions() == changed
    finally:
        for names, value in zip(FP32, before, strict=True):
            torch._C._set_fp32_precision_setter(*names, value)


def test_the_operator_has_no_tf32_where_the_network_has(monkeypatch: pytest.MonkeyPatch):
    before = precisions()
    with devices.prepared(Arithmetic("tf32")), torch.autocast("cpu", torch.bfloat16):
        during = precisions()
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
        with devices.exact(torch.device("cuda")):
            assert torch._C._get_fp32_precision_getter("cuda", "matmul") == "ieee"
            assert torch._C._get_fp32_precision_getter("cuda", "conv") == "ieee"
        assert precisions() == during
    monkeypatch.undo()
    assert precisions() == before


def test_auto_is_not_the_cpu_where_a_gpu_was_chosen_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa")
    with pytest.raises(OptionError, match="device=auto: must be cpu here, because CUDA_VISIBLE_DEVICES=GPU-aaaa names"):
        pick_device("auto")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert pick_device("auto") == CPU


@pytest.mark.parametrize(
    ("capability", "name", "said"), [((9, 0), "bf16", 0), ((7, 5), "fp32", 1), ((6, 1), "fp32", 0)]
)
def test_auto_before_ampere_is_fp32_and_says_so(monkeypatch, caplog, capability, name: str, said: int):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    with caplog.at_level("INFO", logger="dip"):
        assert pick_precision("auto", torch.device("cuda")).name == name
    assert caplog.text.count("precision=fp16 may be faster") == said


@pytest.mark.parametrize(("threads", "words"), [(1, "AVX2, 1 thread)"), (2, "AVX2, 2 threads)")])
def test_the_machine_is_described_with_its_vector_unit_and_threads(threads, words, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert devices.describe(torch.device("cpu")).endswith(words)

"""What runs on the pretended device: `python -m tests.pretended_cuda.programs` reads lines of JSON, each the name and the
argument of a function.

Each function yields pairs of a key and a result, which are printed as lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tests.pretended_cuda import device  # before anything asks torch for a GPU

import numpy  # isort: skip
import torch  # isort: skip

from torch import Tensor  # isort: skip
from torch._subclasses.fake_tensor import FakeTensorMode  # isort: skip
from torch.utils._python_dispatch import TorchDispatchMode  # isort: skip
from torch.utils._pytree import tree_leaves  # isort: skip

from dip.errors import DipError  # isort: skip
from dip.fitting import experiment, probe  # isort: skip
from dip.model.data import FixedPair  # isort: skip
from dip.model.module import DeepImagePrior  # isort: skip
from dip.nets import Hourglass  # isort: skip
from dip.nets.hourglass import HourglassModule  # isort: skip
from dip.seeds import Perturbation, generator  # isort: skip
from tests.conftest import composed  # isort: skip
from tests.pretended_cuda.building import ENDED, MARK  # isort: skip
from tests.pretended_cuda.cases import PLAIN, Case, name_of, words  # isort: skip

Results = Iterator[tuple[str, Any]]
QUIET = range(7, 12)  # steps after which nothing is recorded or saved, see `cases.words`
INTERRUPTED = 9


@contextlib.contextmanager
def watched(stop_at: int | None = None) -> Iterator[list[str]]:
    """Collect what waits for the device after the quiet steps; end the run by a signal after step `stop_at`."""
    real, found = DeepImagePrior.training_step, list[str]()

    def training_step(module: DeepImagePrior, *args: Any) -> None:
        if module.step == QUIET.start - 1:
            device.forget()
        elif module.step == QUIET.stop - 1:
            found.extend(device.waits())
        if module.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        real(module, *args)

    DeepImagePrior.training_step = training_step  # type: ignore[method-assign]
    try:
        yield found
    finally:
        DeepImagePrior.training_step = real  # type: ignore[method-assign]


def fit(folder: Path, case: Case, where: str, stop_at: int | None = None) -> dict[str, Any]:
    """One run of `case`: its result, losses, restored image, and what waited for the device."""
    given = [*files(folder.parent, case), *words(case), f"device={where}", f"out={folder}"]
    if where == "cpu" and case["precision"] in ("tf32", "fp16"):  # not formats of a CPU
        given.append("precision=fp32")
    sys.argv[1:] = given  # code, as the operator of target=measured, must be named there
    with watched(stop_at) as found:
        result = experiment.run(composed(*given), given, progress=False)
    run = Path(result["folder"])
    path = run / "losses.npy"  # of a run that has ended, with a method that has steps
    losses = numpy.load(path).tolist() if path.exists() else None
    image = (run / "images" / "restored.png").read_bytes()
    return {"result": result, "losses": losses, "image": image, "waits": Counter(found), "folder": run}


def files(folder: Path, case: Case) -> list[str]:
    """The files of a user that target=measured needs, as words of the command line."""
    if case["target"] != "measured":
        return []
    operator, y = folder / "operator.py", folder / "y.npy"
    operator.write_text("def operator(x):\n    return x[..., ::2]\n")
    numpy.save(y, numpy.random.default_rng(0).random((1, 1, 32, 16), dtype=numpy.float32))
    return [f"image={y}", "size=null", f"target.operator={operator}", "target.shape=[1,32,32]"]


def described(error: Exception) -> str:
    """The error and where it was raised, innermost first, in one line."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-8:]]
    return " < ".join([f"{type(error).__name__}: {str(error)[:300]}", *reversed(frames)])


def fits(cases: list[Case]) -> Results:
    """Each case on the device, on the CPU and, where it says so, interrupted and resumed on the device."""
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield name_of(case), compared(Path(folder), case)
            except Exception as error:
                yield name_of(case), {"error": described(error)}
    yield "operators", device.operators()


def compared(folder: Path, case: Case) -> dict[str, Any]:
    """What the test of a case looks at."""
    try:
        here = fit(folder / "cpu", case, "cpu")
    except DipError as error:
        return {"refused": str(error)}
    there = fit(folder / "cuda", case, "cuda")
    found: dict[str, Any] = {
        "status": [there["result"]["status"], here["result"]["status"]],
        "losses": [there["losses"], here["losses"]],
        "psnr": [there["result"]["psnr"], here["result"]["psnr"]],
        "waits": there["waits"], "precision": there["result"]["precision"], "device": there["result"]["device"],
    }  # fmt: skip
    if case["resumed"] == "yes":
        first = fit(folder / "again", case, "cuda", stop_at=INTERRUPTED)["result"]
        second = fit(folder / "again", case, "cuda")
        found["first"] = [first["status"], first["steps"]]
        found["same"] = [second["losses"] == there["losses"], second["image"] == there["image"]]
    return found


def mutations(_: None) -> Results:
    """The same run with mistakes that would make it fail, or wait for the device, on a GPU."""
    step, fixed = DeepImagePrior.training_step, FixedPair.__init__

    def noise_on_the_cpu(perturb: Perturbation, z: Tensor, number: int) -> Tensor:
        return z + torch.randn(z.shape, generator=generator(0, number)) / 30

    def noise_copied(perturb: Perturbation, z: Tensor, number: int) -> Tensor:
        return z + torch.randn(z.shape, generator=generator(0, number)).to(z.device) / 30

    def pair_on_the_cpu(pair: FixedPair, z: Tensor, y: Tensor, device: Any = None) -> None:
        fixed(pair, z, y, "cpu")

    def then(mistake: Any) -> Any:
        def training_step(module: DeepImagePrior, *args: Any) -> None:
            step(module, *args)
            mistake(module)

        return training_step

    mistakes: dict[str, tuple[type, str, Any]] = {
        "none": (DeepImagePrior, "training_step", step),
        "noise on the CPU": (Perturbation, "__call__", noise_on_the_cpu),
        "noise copied": (Perturbation, "__call__", noise_copied),
        "pair on the CPU": (FixedPair, "__init__", pair_on_the_cpu),
        "loss read": (DeepImagePrior, "training_step", then(lambda module: float(module.loss))),
        "loss copied": (DeepImagePrior, "training_step", then(lambda module: module.loss.cpu())),
        "mask as index": (DeepImagePrior, "training_step", then(lambda module: module.output[module.output > 0.5])),
    }
    for name, (owner, method, mistake) in mistakes.items():
        real = getattr(owner, method)
        setattr(owner, method, mistake)
        try:
            with tempfile.TemporaryDirectory() as folder:
                yield name, {"waits": fit(Path(folder) / "cuda", PLAIN, "cuda")["waits"]}
        except Exception as error:
            yield name, {"error": str(error)}
        finally:
            setattr(owner, method, real)


def networks(names: list[str]) -> Results:
    """Each network (two of the perceptron): plain, replayed as CUDA graphs, and traced as one graph, but not compiled."""
    real = torch.nn.Module.compile

    def traced(net: torch.nn.Module, **options: Any) -> None:
        real(net, **options, backend="eager", fullgraph=True)

    for name in names:
        case = {**PLAIN, "net": name, "precision": "bf16", "precision.graph": "false"}
        if name == "mlp":
            case["ensemble"] = "2"
        try:
            with tempfile.TemporaryDirectory() as folder:
                faster = {way: {**case, f"precision.{way}": "true"} for way in ("graph", "compile")}
                runs = {"plain": case, **faster}
                with mock.patch.object(torch.nn.Module, "compile", traced):
                    made = {way: fit(Path(folder) / way, one, "cuda") for way, one in runs.items()}
            yield name, {
                way: {
                    "worked": one["result"]["precision"].get(way), "waits": one["waits"],
                    "same": one["losses"] == made["plain"]["losses"] and one["image"] == made["plain"]["image"],
                    "losses": one["losses"][:10],
                } for way, one in made.items()
            }  # fmt: skip
        except Exception as error:
            yield name, {"error": described(error)}


def operators(ways: list[str]) -> Results:
    """The operators of a step at 512 x 512 with the default network, `[3,4]` and bf16, without views and without values.

    With "kernels", the second of `ways`, each launch of a Triton kernel counts as one.
    """
    for way in ways:
        # As cuDNN, but not as the convolutions of a CPU build of torch.
        name = "_conv_determine_backend_memory_format"
        with mock.patch.object(torch._C, name, return_value=torch.channels_last):
            found = operators_of_a_step(way == "kernels")
        yield way, found


def operators_of_a_step(kernels: bool) -> dict[str, Any]:
    """See `operators`."""
    counter = Counter[str]()
    small = 0

    def count(name: str, *tensors: Any) -> None:
        nonlocal small
        counter[name] += 1
        different = {id(one): one for one in tree_leaves(tensors) if isinstance(one, Tensor)}
        small += sum(one.numel() * one.element_size() for one in different.values()) < 2e6

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            name = func.overloadpacket._qualified_op_name.split("::")[1]
            if name not in VIEWS:
                count(name, args, kwargs, made)
            return made

    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        net = HourglassModule.to
        HourglassModule.to = lambda self, *_, **__: self  # type: ignore[method-assign]  # it refuses fake tensors
        made = Hourglass().build(32, 3, [3, 4])
        HourglassModule.to = net  # type: ignore[method-assign]
        if kernels:
            from dip.nets import line_kernels, normalization_kernels

            for kind in (line_kernels, normalization_kernels):
                kind.launch = lambda kernel, grid, *args, **_: count(kernel.__name__, args)  # type: ignore[attr-defined]
            for layer in made.modules():
                layer.fused = True
        module = probe._Alone([made], (512, 512))
        z = torch.randn(1, 32, 512, 512).to(memory_format=torch.channels_last)
        pair = z, torch.rand(1, 3, 512, 512)
        with torch.autocast("cuda", torch.bfloat16):
            module.training_step(pair)  # makes the optimiser's state
        counter.clear()
        small = 0
        with torch.autocast("cuda", torch.bfloat16), Count():  # its cache is empty at the start of each step
            module.training_step(pair)
    return {"all": counter.total(), "small": small, "names": counter}


VIEWS = frozenset(
    [
        "_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "empty", "empty_like", "empty_strided", "expand",
        "is_same_size", "lift_fresh", "new_empty", "new_empty_strided", "permute", "select", "slice", "split",
        "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "device",
        "promote_types", "_record_function_enter_new", "_record_function_exit",
    ]
)  # fmt: skip
"""Operators that compute nothing."""


if __name__ == "__main__":
    for line in sys.stdin:
        name, given = json.loads(line)
        for result in globals()[name](given):
            print(MARK + json.dumps(result), flush=True)
        print(ENDED, end="", flush=True)

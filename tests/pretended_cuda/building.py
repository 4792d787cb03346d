"""Compile `device.cpp` and run programs with it."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from tests.conftest import ROOT, environment

HERE = Path(__file__).parent


def library(cache: Path) -> Path:
    """The compiled device, made once for a version of torch; the test is skipped where it cannot be made."""
    if torch.version.cuda is not None or torch.version.hip is not None:
        pytest.skip("this torch has a CUDA backend of its own")
    if not sys.platform.startswith("linux"):
        pytest.skip("libraries are preloaded on Linux only")
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs the compiler g++")
    sources = sorted(HERE.glob("*.[ch]pp"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    made = cache / f"torch-{torch.__version__}-{key}.so"
    with FileLock(cache / "lock"):  # the other workers of pytest-xdist wait
        if not made.exists():
            _compile(compiler, made)
    return made


def _compile(compiler: str, made: Path) -> None:
    torch_folder = Path(torch.__file__).parent
    include, lib = torch_folder / "include", torch_folder / "lib"
    part = made.with_suffix(".part")
    words = [
        compiler, "-O0", "-shared", "-fPIC", "-std=c++20", f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        f"-I{include}", f"-I{include / 'torch/csrc/api/include'}", str(HERE / "device.cpp"), "-o", str(part),
        f"-L{lib}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{lib}",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert done.returncode == 0, "\n".join(errors[:5])
    part.replace(made)


class Programs:
    """A process with the pretended device, started at the first call: `program("fits", cases)` calls `programs.fits(cases)`
    and returns the results that it yielded, by key."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, name: str, given: Any = None) -> dict[str, Any]:
        if self.process is None:
            variables = {
                "LD_PRELOAD": str(library(self.cache)),
                "CUDA_VISIBLE_DEVICES": "0",
                "PYTHONWARNINGS": "ignore",
            }
            self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.pretended_cuda.programs"], cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env={**environment(), **variables},
            )  # fmt: skip
        print(json.dumps([name, given]), file=self.process.stdin, flush=True)
        found: dict[str, Any] = {}
        guard = threading.Timer(LONGEST, self.process.kill)
        guard.start()
        try:
            for line in self.process.stdout:
                if line == ENDED:
                    return found
                if line.startswith(MARK):
                    found.update([json.loads(line.removeprefix(MARK))])
        finally:
            guard.cancel()
        self.errors.seek(0)
        raise AssertionError(f"the process ended: {self.errors.read()[-3000:]}")

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()
            self.errors.close()


MARK, ENDED = "result: ", "ended\n"
LONGEST = 600
"""Seconds after which a program that hangs is killed."""

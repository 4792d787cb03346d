"""Kill a process at every file operation of one checkpoint write, in turn. A program, run by the tests.

    python kill_at_every_call.py START STEP OUT

For each operation k, `OUT/k` becomes a copy of folder START in which a process was killed (SIGKILL) while it wrote the
checkpoint of STEP: before its k-th operation or, if that writes data, after half of them. Prints the operations as JSON.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from dip.runs import checkpoints

OPERATIONS = ("open", "write", "fsync", "close", "replace", "rename", "unlink", "mkdir")


def write(folder: Path, step: int) -> None:
    checkpoints.write(folder, {"state_dict": {"w": torch.full((32, 32), -1.0)}}, step, "me")


def die_at(fatal: int, names: int) -> None:
    """Wrap the file operations of `os`: operation number `fatal` writes its name to descriptor `names` and kills."""
    count = 0
    tell = os.write

    def wrap(operation: str) -> None:
        real = getattr(os, operation)

        def call(*args, **kwargs):
            nonlocal count
            if count == fatal:
                tell(names, operation.encode())
                if operation == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return real(*args, **kwargs)

        setattr(os, operation, call)

    for operation in OPERATIONS:
        wrap(operation)


def main(start: str, step: str, out: str) -> None:
    write(Path(shutil.copytree(start, Path(out) / "whole")), int(step))  # imports everything
    killed: list[str] = []
    while True:
        folder = Path(shutil.copytree(start, Path(out) / str(len(killed))))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            die_at(len(killed), writer)
            write(folder, int(step))
            os._exit(0)
        os.close(writer)
        name = os.read(reader, 100).decode()
        os.close(reader)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            shutil.rmtree(folder)
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed.append(name)
    print(json.dumps(killed))


if __name__ == "__main__":
    main(*sys.argv[1:])

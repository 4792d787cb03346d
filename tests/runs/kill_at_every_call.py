"""Kills a process at every file operation of one checkpoint write, in turn. A program, run by the tests.

    python kill_at_every_call.py {generations,checkpoints} START STEP OUT

For each operation k, `OUT/k` becomes a copy of folder START in which a process was killed (SIGKILL) while it
wrote the checkpoint of STEP: before its k-th operation or, where that writes data, after half of them. Prints
the operations as a JSON list.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

OPERATIONS = ("open", "write", "fsync", "close", "replace", "rename", "unlink", "mkdir")


def write(kind: str, folder: Path, step: int) -> None:
    if kind == "generations":
        from dip.runs.generations import path_of, store

        store(path_of(folder, step), b"new " * 1000, "me", {}, keep=2)
    else:
        import torch

        from dip.runs import checkpoints

        checkpoints.write(folder, {"state_dict": {"w": torch.full((32, 32), -1.0)}}, step, "me")


def die_at(fatal: int, names: int) -> None:
    """Wraps the file operations of `os`: number `fatal` tells its name to descriptor `names` and kills."""
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


def main(kind: str, start: str, step: str, out: str) -> None:
    write(kind, Path(shutil.copytree(start, Path(out) / "whole")), int(step))  # imports everything, too
    killed: list[str] = []
    while True:
        folder = Path(shutil.copytree(start, Path(out) / str(len(killed))))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            die_at(len(killed), writer)
            write(kind, folder, int(step))
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

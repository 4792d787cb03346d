"""What the sweep's loop asks of whatever runs its jobs: processes here, or those of a cluster."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from dip import cli
from dip.errors import RunError
from dip.sweep.jobs import Job

Command = Callable[[Job], list[str]]
"""From a job to the program that runs it and its arguments."""


class Attempt(Protocol):
    """A job at work, or waiting in a cluster's queue."""

    def poll(self) -> int | None:
        """The exit status (negative: the signal that killed it); None while it lasts."""

    def end(self) -> None:
        """Asks it to write a checkpoint and end."""

    def kill(self) -> None:
        """Ends it at once."""


class Workers(Protocol):
    """Something that runs jobs."""

    def room(self) -> bool:
        """Whether one more job can start now; if so, its place is kept until `start` or `leave`."""

    def start(self, job: Job, console: int) -> Attempt:
        """Starts `job`, after `room` was true, with what it prints going to the open file `console`."""

    def leave(self) -> None:
        """Gives back the place that `room` kept and no job took."""

    def waiting_for(self) -> str:
        """Why there is no room, for a sweep that has nothing to do but wait."""


def claim(job: Job) -> int | None:
    """Opens the console log of `job`, with the sole right to run it; None where another sweep has that.

    The log is also the claim: the job's process holds it open, so it is free when that process is gone, even if the
    sweep is gone before it. Raises `RunError` when the run folder cannot be made or written.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(job.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        hint = "choose another with out=FOLDER"
        raise RunError(f"{job.folder}: cannot be written ({error.strerror}); {hint}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass  # a file system without locks: the run's own lock is then all there is
    return descriptor


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a job's process finds in its environment: ours, and `given`."""
    plain = {
        # Bars are for terminals: in a log, each of their updates is a line.
        "TQDM_DISABLE": "1",
        # A crash inside a library says where.
        "PYTHONFAULTHANDLER": "1",
    }
    ours = dict(os.environ)
    if not cli.FULL_ERRORS:  # then this process has set it for itself
        ours.pop("HYDRA_FULL_ERROR", None)
    return {**ours, **plain, **given}


def run_here(command: list[str], console: str, folder: str, given: Mapping[str, str]) -> int:
    """Runs a job on the machine that this is called on, for clusters: returns the exit status.

    Args:
        command: the program and its arguments.
        console: path of the log, on a file system that all machines share.
        folder: the working folder.
        given: environment variables.
    """
    with open(console, "ab") as log:
        log.write(f"$ {shlex.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command,
            cwd=Path(folder),
            env=environment(given),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise

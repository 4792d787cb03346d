"""What the sweep's loop asks of whatever runs its jobs: processes here, or those of a cluster."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from typing import Protocol

from dip.configuration import cli
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
    return {**os.environ, **plain, **full_errors(), **given}


def full_errors() -> dict[str, str]:
    """HYDRA_FULL_ERROR as the user set it: this process has set it for itself meanwhile."""
    return {"HYDRA_FULL_ERROR": "1" if cli.FULL_ERRORS else "0"}

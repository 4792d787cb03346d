"""Lightning without its guesses: one run is one process, in a cluster's job too, and Lightning's advice is hidden."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only as _rank_zero_only

rank_zero_only: Any = _rank_zero_only  # a function that has the attribute `rank`


class OneProcess(LightningEnvironment):
    """Tells Lightning that this process is the only one of the run.

    By default Lightning reads SLURM_NTASKS, LOCAL_RANK, WORLD_SIZE, ... from the environment. They describe the job that
    this process is part of, in which each process can have a run of its own.
    """

    @property
    def creates_processes_externally(self) -> bool:
        """Whether something else starts processes for this run."""
        return False

    def local_rank(self) -> int:
        """The number of this process on its machine."""
        return 0

    def node_rank(self) -> int:
        """The number of this machine."""
        return 0

    def teardown(self) -> None:
        """Leave the environment variables as they are; Lightning's own method deletes WORLD_SIZE."""


def trainer_of(device: torch.device, **options: Any) -> Trainer:
    """A trainer for one process on `device`, without Lightning's validation, checkpoints and messages."""
    return Trainer(
        accelerator=device.type, devices=1 if device.index is None else [device.index], max_epochs=-1,
        num_sanity_val_steps=0, limit_val_batches=0, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False, **options,
    )  # fmt: skip


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let this process be the first of its job for Lightning, so that it writes logs, and hide Lightning's advice.

    The advice concerns data loaders, which does not apply to one fixed pair.
    """
    logger = logging.getLogger("lightning.pytorch")
    level, rank = logger.level, rank_zero_only.rank
    logger.setLevel(logging.ERROR)
    rank_zero_only.rank = 0  # read from RANK, SLURM_PROCID, ... when Lightning was imported
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*not resumable.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 with torch 2.13
            yield
    finally:
        logger.setLevel(level)
        rank_zero_only.rank = rank

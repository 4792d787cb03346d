"""Several fits of one observation from different random starts, and the mean of their restored images.

What the network makes up differs from start to start, what the observation tells does not. The original paper averages
two runs of its denoising so (30.43 dB -> 31.00 over nine images).
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dip import config as options
from dip import outcome, runs
from dip.config import Config
from dip.fit import Fit
from dip.pictures import Pictures

OF_ONE = ("restored_step", "oracle_psnr", "oracle_step", "loss")
"""What one fit has and a mean of several has not: its place in `result.json` is empty."""

EACH = ("status", "steps", "restored_step", "psnr", "ssim", "oracle_psnr", "oracle_step", "seconds", "events")
"""What `result.json` tells of each restart."""


def prepare(config: Config, folder: Path, identity: str, pictures: Pictures | None = None) -> Fit | Restarts:
    """The fit that `config` asks for, or its restarts. See `Fit` for arguments and errors."""
    return (Fit if config.restarts == 1 else Restarts)(config, folder, identity, pictures)


class Restarts:
    """Looks like a `Fit`. Each restart is a run in a folder `restart-N` of its own; those that are finished stay so."""

    def __init__(self, config: Config, folder: Path, identity: str, pictures: Pictures | None = None) -> None:
        self.config, self.folder = config, folder
        alone = dataclasses.replace(config, baselines=False)
        self.fits = [
            Fit(alone, folder / f"{runs.RESTART}{number}", identity, pictures, restart=number)
            for number in range(1, config.restarts + 1)
        ]
        self.picture, self.observation = self.fits[0].picture, self.fits[0].observation
        self.restored: Tensor | None = None  # (1, C, H, W) on the CPU, once all fits have come to their end

    def tidy(self) -> None:
        """Each fit has tidied up after itself."""

    def take_up(self) -> None:
        """Restarts have no checkpoint for all of them: a run of more steps begins anew."""

    def run(self, progress: bool, pictures: bool = True) -> dict[str, Any]:
        """Fits, or goes on fitting, one start after the other; returns the content of `result.json`."""
        parts, total = [], torch.zeros(())
        for fit in self.fits:
            part = self._part(fit, progress, pictures)
            if part["status"] == "interrupted":
                return {**part, **self._own()}
            if (
                fit.signals.ends is not None and fit is not self.fits[-1]
            ):  # in the last step: not for that fit any more
                return {**part, **self._own(), "status": "interrupted", "signal": fit.signals.ends}
            parts.append(part)
            array = np.load(fit.folder / "restored.npy", allow_pickle=False)  # (H, W, C)
            total = total + torch.from_numpy(array).permute(2, 0, 1)[None] / len(self.fits)  # (1, C, H, W)
        self.restored = total
        scores = outcome.scores(self.config.target, total, self.observation)
        result = {
            **parts[0], **self._own(), **dict.fromkeys(OF_ONE), **scores, "steps": sum(part["steps"] for part in parts),
            "restarts": [{name: part[name] for name in EACH} for part in parts],
        }  # fmt: skip
        result.pop("rules", None)
        result["status"] = "stopped" if all(part["status"] == "stopped" for part in parts) else "finished"
        result["seconds"] = sum(part["seconds"] for part in parts)
        for name in ("metrics.csv", "losses.npy"):  # a full disk may have cost them
            if (self.fits[0].folder / name).is_file():
                runs.write_bytes(self.folder / name, (self.fits[0].folder / name).read_bytes())
        if pictures:
            self._save(result)
        return result

    def failure(self, error: str | None) -> dict[str, Any]:
        """The content of `result.json` for a run that failed with `error`."""
        begun = [fit for fit in self.fits if fit.module is not None]
        return {**(begun or self.fits)[-1].failure(error), **self._own()}

    def _own(self) -> dict[str, Any]:
        return {"name": self.folder.name, "config": options.plain(self.config)}

    def _part(self, fit: Fit, progress: bool, pictures: bool) -> dict[str, Any]:
        """The result of one restart, made now or before."""
        done = runs.read_result(fit.folder)
        if done is not None and runs.finished(fit.folder):
            return done
        fit.folder.mkdir(exist_ok=True)
        part = fit.run(progress, pictures)
        if fit.restored is not None:
            outcome.save_array(fit.folder / "restored.npy", fit.restored)
            runs.write_json(fit.folder / "result.json", part)  # last: it says that the image is there
            fit.tidy()
        return part

    def _save(self, result: dict[str, Any]) -> None:
        """What a run folder shows: the mean, and the curves of the first restart."""
        assert self.restored is not None
        images, first = self.folder / "images", self.fits[0].folder
        images.mkdir(exist_ok=True)
        outcome.save(images / "restored.png", self.restored, like=self.picture)
        outcome.save(images / "target.png", self.observation.y)
        if self.observation.reference is not None:
            outcome.save(images / "reference.png", self.observation.reference)
        if (first / "figures").is_dir():  # these too
            shutil.copytree(first / "figures", self.folder / "figures", dirs_exist_ok=True)
        if self.config.baselines:
            result["baselines"] = outcome.baselines(self.config.target, self.observation, images)

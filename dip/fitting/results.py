"""What a fit came to: the restored picture on disk, its scores by named protocol, classical answers beside it, `result.json`."""

from __future__ import annotations

import logging
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from dip import images
from dip.configuration import schema as options
from dip.hardware import devices, memory
from dip.images import Picture
from dip.report import figures
from dip.stopping.noise_level import noise_level
from dip.stopping.panel import Panel
from dip.targets import Observation, Target

if TYPE_CHECKING:
    from dip.callbacks.recorder import Recorder
    from dip.fitting.fit import Fit

PROTOCOLS = {
    "psnr": "dB over all pixels and channels, peak 1, not rounded to 8 bit",
    "ssim": "Gaussian window of sigma 1.5 in 11 x 11, K = (0.01, 0.03), inside the image only, mean over channels",
    "psnr_y": "dB of Y (BT.601, 16 to 235, peak 255), without a frame of 4 pixels",
    "psnr_hole": "dB over the missing pixels alone, all channels, peak 1",
}
"""The scores of `Target.scores`, as `result.json` explains them."""

BASELINE_PIXELS = 2**20
"""Pixels up to which baselines are computed: they take a few seconds there."""

UNKNOWN = ("loss", "psnr", "ssim", "oracle_psnr", "oracle_step", "restored_step", "seconds", "step_seconds",
           "peak_memory_bytes", "parameters")  # fmt: skip
"""What `result.json` leaves empty for a run that failed."""

log = logging.getLogger("dip")


def preview(pixels: Tensor) -> Tensor:
    """(1, C, H, W) as a gray or RGB picture: of other than 1 or 3 channels the first, middle and last."""
    channels = pixels.shape[1]
    return pixels if channels in (1, 3) else pixels[:, [0, channels // 2, channels - 1]]


def save(path: Path, pixels: Tensor, like: Picture | None = None) -> None:
    """Writes (1, C, H, W) in [0, 1] as PNG for looking at; with `like`, also a TIFF of what a PNG cannot hold.

    That is floating point numbers and more channels than three: `restored.tif` beside `restored.png`.
    """
    spectral = pixels.shape[1] not in (1, 3)
    path.parent.mkdir(exist_ok=True)
    images.save(path, preview(pixels), None if spectral else like)
    if like is not None and (spectral or like.mode == "float32"):
        images.save(path.with_suffix(".tif"), pixels, like)


def save_array(path: Path, pixels: Tensor) -> None:
    """Writes (1, C, H, W) as a NumPy file (H, W, C) float32, to the last bit."""
    np.save(path, images.to_array(pixels))


def scores(target: Target, restored: Tensor, observation: Observation) -> dict[str, Any]:
    """The scores of `restored`, and under "protocol" what each means. {} without a reference."""
    found = target.scores(restored, observation)
    return {**found, "protocol": {name: PROTOCOLS[name] for name in found}} if found else {}


def baselines(target: Target, observation: Observation, folder: Path) -> dict[str, dict[str, float]]:
    """Classical answers: each as `baseline-<name>.png` in `folder`, and its scores by name.

    They stand beside the run and never spoil it: what goes wrong here is a warning.
    """
    height, width = observation.size
    if height * width > BASELINE_PIXELS:
        log.info("baselines: none above %d pixels, they would take minutes", BASELINE_PIXELS)
        return {}
    try:
        answers = target.baselines(observation, noise_level(observation.y, observation.known))
        for name, answer in answers.items():
            save(folder / f"baseline-{name}.png", answer)
        return {name: target.scores(answer, observation) for name, answer in answers.items()}
    except Exception as error:  # of whatever kind scikit-image raises on odd images
        log.warning("no baselines (%s: %s)", type(error).__name__, " ".join(str(error).split()))
        return {}


def rules(
    target: Target, observation: Observation, panel: Panel, best: float | None
) -> dict[str, dict[str, Any]]:
    """What each rule of a `stop=compare` would have done.

    By rule: the `step` whose image it keeps, the step at which it would have `ended` the run (None: not at all), and
    with a reference the `psnr` of that image in dB and its `gap` to the best recorded one.
    """
    found = {}
    for name, rule in panel.rules.items():
        scored = target.scores(target.finish(rule.image().cpu(), observation), observation)
        psnr = scored.get("psnr")
        gap = None if psnr is None or best is None else best - psnr
        found[name] = {"step": rule.step, "ended": panel.ended.get(name), "psnr": psnr, "gap": gap}
    return found


def draw(folder: Path, recorder: Recorder, result: dict[str, Any]) -> None:
    """The figures of a run that has come to its end, from what `recorder` knows and the pictures in `folder`."""
    rows, images, place = recorder.rows, folder / "images", folder / "figures"
    place.mkdir(exist_ok=True)
    columns = {
        name: [math.nan if (value := row[name]) is None else float(value) for row in rows] for name in rows[0]
    }
    events = [(event["step"], f"back to step {event['back_to']:,}") for event in result["events"]]
    events += [(result["steps"], "stopped")] if result["status"] == "stopped" else []
    figures.loss_curve(place / "loss.png", recorder.save_losses(result["steps"]), events)
    figures.psnr_curve(
        place / "psnr.png", columns["step"], columns["psnr"], columns["psnr_ema"],
        result["oracle_step"], result["restored_step"], columns["watched"],
    )  # fmt: skip
    taken = [(int(path.stem[5:]), path) for path in sorted(images.glob("step-*.png"))]
    known = images / "reference.png" if recorder.reference is not None else None
    figures.snapshot_strip(
        place / "snapshots.png", taken, images / "target.png", known, images / "restored.png", result["psnr"]
    )


def result(fit: Fit, status: str, **more: Any) -> dict[str, Any]:
    """The content of `result.json` for a run that has `status` now; `more` is added."""
    assert fit.module is not None
    recorder = fit.recorder
    best, best_step = recorder.best()
    return {
        **failed(fit, None),
        "status": status,
        "steps": fit.module.step,
        "loss": recorder.rows[-1]["loss"] if recorder.rows else None,
        "oracle_psnr": best,
        "oracle_step": best_step,
        "seconds": round(recorder.seconds, 3),
        "step_seconds": statistics.median(recorder.paces) if recorder.paces else None,
        "peak_memory_bytes": memory.peak_memory(fit.device),
        "parameters": sum(p.numel() for p in fit.module.nets.parameters()),
        "precision": {**fit.precision, **(fit.module.faster or {})},
        "events": fit.rollback.events,
        **more,
    }


def failed(fit: Fit, error: str | None) -> dict[str, Any]:
    """That for a run that failed with `error`."""
    return {
        "status": "failed",
        "name": fit.folder.name,
        "config": options.plain(fit.config),
        "error": None if error is None else " ".join(error.split()),
        **dict.fromkeys(UNKNOWN),
        "steps": None if fit.module is None else fit.module.step,
        "device": devices.describe(fit.device),
        "precision": fit.precision,
        "versions": devices.versions(),
    }

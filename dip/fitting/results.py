"""The results of a fit: images on disk, scores, baselines, and the content of `result.json`."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from dip import bm3d, images, metrics
from dip.configuration import schema
from dip.hardware import devices
from dip.images import Picture, preview
from dip.images.scaling import WHITE
from dip.model.module import DeepImagePrior
from dip.noise.level import noise_level, noise_levels
from dip.options import log
from dip.stopping.panel import Panel
from dip.stopping.rule import Rule
from dip.targets import Observation, Target

PROTOCOLS = {
    "psnr": "dB over all pixels, channels and slices, peak 1, not rounded to 8 bit",
    "vif": "visual information fidelity in the pixel domain, four scales, noise variance 2 of 255, mean over channels",
    "ssim": "Gaussian window of sigma 1.5 in 11 x 11, K = (0.01, 0.03), inside the image only, mean over channels and slices",
    "psnr_y": "dB of Y (BT.601, 16 to 235, peak 255), without a border of 4 pixels",
    "psnr_hole": "dB over the missing pixels alone, all channels, peak 1",
}
"""How each score of `Target.scores` is computed; part of `result.json`."""

VIF_SIDE = 41
"""Smallest side, in pixels, of an image that has a `vif`: it is halved three times."""

VIF_VALUES = 2**22
"""Largest image, in values of all channels, for which it is computed. It takes a few seconds there."""

MINIMAL_LOSS = 1e-3
"""Loss below which a fit is not compared with a constant image: 30 dB for mse."""

FLAT = 1e-3
"""Range of the values of an output below which it is constant."""

MEASURED = ("loss", "psnr", "ssim", "oracle_psnr", "oracle_step", "restored_step", "seconds", "step_seconds",
            "peak_memory_bytes", "parameters", "constant_loss")  # fmt: skip
"""Entries of `result.json` that are null for a failed run."""


def save(path: Path, pixels: Tensor, like: Picture | None = None, slices: int = 1) -> None:
    """Write (1, C, H, W) in [0, 1] as PNG, 1 = white. With `like`, also write what such a PNG cannot hold as TIFF.

    That is other types than uint8 and uint16, units other than their full range, and other than 1 or 3 channels:
    `restored.tif` beside `restored.png`. Of a volume of `slices` slices the PNG shows the middle one, and a second one,
    `restored-slices.png`, shows them side by side.
    """
    path.parent.mkdir(exist_ok=True)
    if slices > 1 and pixels.shape[1] % slices == 0:
        images.save(path.with_stem(f"{path.stem}-slices"), preview(images.mosaic(pixels, slices)))
    spectral = pixels.shape[1] not in (1, 3) or (like is not None and like.axes is not None)
    shown = None if spectral or like is None else dataclasses.replace(like, scale=None)
    images.save(path, preview(pixels, slices), shown)
    if like is not None and (spectral or like.scaled or like.mode not in WHITE):
        images.save(path.with_suffix(".tif"), pixels, like)


def save_restored(folder: Path, image: Tensor, seen: Observation, like: Picture, slices: int = 1) -> None:
    """Write the restored image into `images/` of the run folder: as `save` does, or for measurements as
    `restored.png` and, in the user's units, `restored.npy` (H, W, C)."""
    like_file = None if seen.measurements is not None else like
    save(folder / "images" / "restored.png", seen.shown(image), like_file, slices)
    if seen.measurements is not None:
        numpy.save(folder / "images" / "restored.npy", seen.values(image), allow_pickle=False)


def scores(target: Target, restored: Tensor, observation: Observation) -> dict[str, Any]:
    """The scores of `restored`, and under "protocol" how each is computed. {} without a reference."""
    found = target.scores(restored, observation)
    if observation.reference is not None and min(restored.shape[-2:]) >= VIF_SIDE and restored.numel() <= VIF_VALUES:
        shown, reference = observation.shown(restored), observation.shown(observation.reference.to(restored))
        found["vif"] = metrics.vif(shown, reference).item()
    return {**found, "protocol": {name: PROTOCOLS[name] for name in found}} if found else {}


def baselines(target: Target, observation: Observation, folder: Path, slices: int = 1) -> dict[str, dict[str, float]]:
    """Compute the baselines, save each as `baseline-<name>.png` in `folder`, and return their scores by name.

    An error is a warning, because a baseline must not cost the run its result.
    """
    height, width = observation.size
    if observation.measurements is not None:
        return {}
    if height * width > bm3d.LIMIT:
        log.info("baselines: skipped above %d pixels, because they would take minutes", bm3d.LIMIT)
        return {}
    try:
        from dip.targets.baselines import compute  # scikit-image is slow to import

        y, known = observation.y, observation.known
        levels = noise_levels(y, known) if target.task == "denoising" else (noise_level(y, known), None, None)
        found = compute(target.task, observation, target.noise_model(*levels))
        for name, image in found.items():
            save(folder / f"baseline-{name}.png", image, slices=slices)
        return {name: target.scores(image, observation) for name, image in found.items()}
    except Exception as error:  # scikit-image raises many kinds of errors on unusual images
        log.warning("no baselines (%s: %s)", type(error).__name__, " ".join(str(error).split()))
        return {}


def constant_loss(module: DeepImagePrior, observation: Observation) -> float:
    """The objective of a constant image, the mean of each channel of the observation: what any fit should undercut.

    For measurements it is the multiple of the image of ones that fits `y` best.
    """
    output = module.output.to(module.device)  # Lightning moves the module, but not this tensor, to the CPU after a fit
    y, known = observation.y.to(output), observation.known
    with torch.no_grad():
        if observation.measurements is not None:
            ones = torch.ones_like(output)
            seen = module.operator(ones)
            image = (seen * y).sum() / seen.square().sum().clamp(min=1e-30) * ones
        else:
            weights = torch.ones_like(y[:, :1]) if known is None else known.to(y)
            level = (weights * y).sum((2, 3), keepdim=True) / weights.sum()  # (1, C, 1, 1)
            if y.shape[1] != output.shape[1]:
                level = level.mean().view(1, 1, 1, 1)
            image = level.expand_as(output)
        return float(module.objective(image, y))


def warning(loss: float | None, constant: float, lr: float, steps: int, output: Tensor) -> str | None:
    """A line if the `loss` at the end of a run is worse than the `constant_loss`; None if it is not.

    `lr` and `steps` are those of the run, `output` (1, C, H, W) is its last one. A constant output stays so, mostly
    because the sigmoid is saturated. A margin and a minimum leave out targets without structure and images that are constant.
    """
    flat = bool((output.amax((2, 3)) - output.amin((2, 3)) < FLAT).all())
    if loss is None or not loss > max(1.1 * constant, MINIMAL_LOSS / (10 if flat else 1)):
        return None
    told = f"its loss at the end, {loss:.3g}, is above that of a constant image, {constant:.3g}"
    if flat:
        return f"the fit failed: its output is constant, and {told}; lower lr, for example lr={lr / 10:.1g}"
    return f"the fit failed: {told}; lower lr or raise steps, for example lr={lr / 3:.1g} steps={2 * steps}"


def details(seen: Observation, slices: int, rule: Rule | None) -> dict[str, Any]:
    """Entries of `result.json` about the observation and the rule, as far as they apply."""
    found: dict[str, Any] = {
        "units": None if seen.measurements is None else list(seen.scale),
        "missing": None if seen.known is None else 1 - seen.known.mean().item(),
        "slices": slices if slices > 1 else None,
        "rule": None if rule is None else rule.chosen,
    }
    return {name: value for name, value in found.items() if value is not None}


def rules(target: Target, observation: Observation, panel: Panel, best: float | None) -> dict[str, dict[str, Any]]:
    """The outcome of each rule under `stop=compare`.

    By rule: the `step` whose image it returns, the step at which it would have `ended` the run (None: never), and with
    a reference the `psnr` of that image in dB and its `gap` to `best`, the highest recorded PSNR.
    """
    found = {}
    for name, rule in panel.rules.items():
        scored = target.scores(target.finish(rule.image().cpu(), observation), observation)
        psnr = scored.get("psnr")
        gap = None if psnr is None or best is None else best - psnr
        found[name] = {"step": rule.step, "ended": panel.ended.get(name), "psnr": psnr, "gap": gap}
    return found


def content(status: str, config: schema.Config, folder: Path, device: torch.device, **known: Any) -> dict[str, Any]:
    """The content of `result.json`. What is not in `known` is null."""
    return {
        "status": status,
        "name": folder.name,
        "config": schema.plain(config),
        "error": None,
        **dict.fromkeys(MEASURED),
        "steps": None,
        "device": devices.describe(device),
        "precision": None,
        "versions": devices.versions(),
        **known,
    }

"""Run folders as an experiment leaves them, without an experiment: curves by formula, pictures from a photograph."""

import copy
import csv
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import skimage.filters
import skimage.transform
from PIL import Image

from dip.configuration import schema

COLUMNS = ("step", "loss", "psnr", "psnr_ema", "ssim_ema", "seconds", "watched")
FLOORS = {"clean": 0.0008, "noisy": 0.0085, "noise": 0.079, "shuffled": 0.062}


@cache
def photograph(size: int) -> np.ndarray:
    """(size, size, 3) float64 in [0, 1]."""
    return skimage.transform.resize(skimage.data.astronaut() / 255.0, (size, size), anti_aliasing=True)


def save(path: Path, picture: np.ndarray) -> None:
    """Writes a float picture in [0, 1] as an 8-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(path, compress_level=1)


def config(target: str | dict[str, Any] = "noisy", **changes: Any) -> dict[str, Any]:
    """The options of a run; `changes` are top-level options."""
    found = copy.deepcopy(schema.defaults())
    named = target if isinstance(target, dict) else {"name": target}
    if target != "noisy":
        found["target"] = named
    return {**found, "size": 64, "steps": 2000, **changes}


def make(
    folder: Path,
    target: str | dict[str, Any] = "noisy",
    status: str | None = "finished",
    size: int = 64,
    **changes: Any,
) -> Path:
    """One run folder. `status` None leaves no result, as a process does that is at work or was killed."""
    chosen = config(target, size=size, **changes)
    target = chosen["target"]["name"]
    steps, seed = chosen["steps"], chosen["seed"]
    rng = np.random.default_rng([seed, len(chosen["skips"]), len(target)])
    folder.mkdir(parents=True)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(json.dumps(chosen))  # JSON is YAML
    (folder / "run.log").write_text("started\n")
    done = steps if status in ("finished", "stopped") else steps // 3
    losses, rows = _history(target, done, rng, 0.3 * len(chosen["skips"]))
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    _pictures(folder / "images", target, size, rng, status)
    if status in ("finished", "stopped"):
        np.save(folder / "losses.npy", losses.astype(np.float32))
    if status is not None:
        best = max(rows, key=lambda row: row["psnr_ema"])
        known = status in ("finished", "stopped")
        result = {
            "status": status, "name": folder.name, "config": chosen,
            "error": "RunError: out of memory on cuda at 512 x 512" if status == "failed" else None,
            "steps": done, "loss": float(losses[-1]), "psnr": rows[-1]["psnr_ema"] if known else None,
            "ssim": rows[-1]["ssim_ema"] if known else None, "oracle_psnr": best["psnr_ema"],
            "oracle_step": best["step"], "restored_step": done if known else None, "seconds": 0.031 * done,
            "step_seconds": 0.031 + 0.001 * seed, "peak_memory_bytes": 2**30, "parameters": 2_217_831, "device": "cpu",
            "precision": {"name": "bf16"}, "versions": {"torch": "2.13.0"},
        }  # fmt: skip
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def change(folder: Path, **values: Any) -> Path:
    """Replace entries of the result of a run."""
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def _history(target: str, steps: int, rng: np.random.Generator, gain: float) -> tuple[np.ndarray, list[dict[str, Any]]]:
    step = np.arange(1, steps + 1)
    floor = FLOORS.get(target, FLOORS["noisy"])
    losses = (floor + (0.09 - floor) / (1 + step / 40) ** 0.9) * np.exp(rng.normal(0, 0.05, steps))
    shift = rng.normal(0, 0.12)
    rows = []
    for at in (*range(1, 10), *range(10, steps + 1, 10)):
        psnr = 14 + gain + shift + 15 * math.exp(-((math.log10(at / (0.45 * steps + 200)) / 1.3) ** 2))
        psnr -= {"clean": -3, "noisy": 0, "noise": 8, "shuffled": 7}.get(target, 0)
        rows.append(
            {"step": at, "loss": losses[at - 1], "psnr": psnr + rng.normal(0, 0.2), "psnr_ema": psnr + 0.8,
             "ssim_ema": psnr / 34, "seconds": 0.031 * at, "watched": 0.01 / at}
        )  # fmt: skip
    return losses, rows


def _pictures(folder: Path, target: str, size: int, rng: np.random.Generator, status: str | None) -> None:
    clean = photograph(size)
    noise = np.random.default_rng(0)  # the same target in every run, so that the page can hold it once
    observed = {
        "clean": lambda: clean,
        "noisy": lambda: clean + noise.normal(0, 0.1, clean.shape),
        "noise": lambda: noise.random(clean.shape),
        "shuffled": lambda: noise.permutation(clean.reshape(-1, 3)).reshape(clean.shape),
    }.get(target, lambda: clean / 2)()
    save(folder / "target.png", observed)
    save(folder / "reference.png", clean)
    for number, step in enumerate((1, 10, 50, 100, 200, 500, 1000, 2000)):
        blurred = skimage.filters.gaussian(observed, size / 8 / 2**number, channel_axis=2)
        save(folder / f"step-{step:06d}.png", blurred)
    if status in ("finished", "stopped"):
        kept = skimage.filters.gaussian(observed, 0.8, channel_axis=2)
        save(folder / "restored.png", kept + rng.normal(0, 0.01, clean.shape))
        save(folder / "output.png", kept + rng.normal(0, 0.03, clean.shape))

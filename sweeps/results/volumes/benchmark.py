"""Measure one method on one noisy volume of 64 x 64 x 64 voxels: `python benchmark.py VOLUME METHOD [OPTION=VALUE ...]`.

VOLUME is `phantom` (ellipsoids, made here) or `brain` (a crop of the MNI152 template in the package nilearn). METHOD is one of
`METHODS`. Options are passed on to `dip.restore`. A row is added to the CSV file in $TABLE (default `volumes.csv`).
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import yaml
from skimage.restoration import denoise_tv_chambolle

import dip

SIDE, SIGMA = 64, 0.1
# Value, half axes (z, y, x), centre (z, y, x) and angle in the (y, x) plane in degrees. Later ones replace earlier ones.
ELLIPSOIDS = [
    (0.85, (0.90, 0.92, 0.70), (0.00, 0.00, 0.00), 0), (0.40, (0.84, 0.86, 0.64), (0.00, 0.00, 0.00), 0),
    (0.20, (0.40, 0.42, 0.16), (0.05, -0.05, 0.24), -18), (0.20, (0.50, 0.52, 0.20), (0.05, -0.05, -0.26), 18),
    (0.60, (0.30, 0.20, 0.22), (0.00, 0.45, 0.00), 0), (0.70, (0.08, 0.06, 0.06), (0.10, 0.10, 0.00), 0),
    (0.70, (0.08, 0.06, 0.06), (-0.20, -0.10, 0.00), 0), (0.55, (0.10, 0.04, 0.06), (-0.10, -0.62, -0.10), 0),
    (0.55, (0.10, 0.04, 0.04), (-0.10, -0.62, 0.02), 0), (0.75, (0.55, 0.05, 0.05), (0.00, 0.20, 0.42), 0),
    (0.30, (0.12, 0.16, 0.30), (-0.45, 0.30, 0.00), 30), (0.50, (0.14, 0.10, 0.12), (0.50, -0.20, -0.15), 0),
]  # fmt: skip


def phantom() -> np.ndarray:
    """Ellipsoids on 0.1, with a brightness that varies by 0.1 along y, (64, 64, 64) float32. Edges are anti-aliased."""
    line = (np.arange(2 * SIDE) + 0.5) / SIDE - 1
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    volume = np.full(z.shape, 0.1)
    for value, axes, centre, degrees in ELLIPSOIDS:
        turn, (down, across) = np.deg2rad(degrees), (y - centre[1], x - centre[2])
        turned = (
            z - centre[0],
            np.cos(turn) * down - np.sin(turn) * across,
            np.sin(turn) * down + np.cos(turn) * across,
        )
        volume[sum((length / axis) ** 2 for length, axis in zip(turned, axes, strict=True)) <= 1] = value
    volume += 0.05 * y * (volume > 0.1)
    return volume.reshape(SIDE, 2, SIDE, 2, SIDE, 2).mean((1, 3, 5)).astype(np.float32)


def brain() -> np.ndarray:
    """The middle 128 x 128 x 128 mm of the T1 template at 2 mm, values 0.05 to 0.95, (64, 64, 64) float32."""
    found = importlib.util.find_spec("nilearn")
    name = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    folder = Path(os.environ.get("NILEARN") or found.submodule_search_locations[0])
    content = gzip.decompress((folder / name).read_bytes())
    shape = np.frombuffer(content, "<i2", 3, 42)
    kind = {2: "u1", 4: "<i2", 16: "<f4"}[np.frombuffer(content, "<i2", 1, 70)[0]]
    start = int(np.frombuffer(content, "<f4", 1, 108)[0])
    volume = (
        np.frombuffer(content, kind, int(shape.prod(dtype=int)), start).reshape(shape, order="F").astype(np.float64)
    )
    first = [(length - 2 * SIDE) // 2 for length in shape]
    volume = volume[tuple(slice(begin, begin + 2 * SIDE) for begin in first)]
    volume = volume.reshape(SIDE, 2, SIDE, 2, SIDE, 2).mean((1, 3, 5)).transpose(2, 1, 0)
    return (0.05 + 0.9 * volume / volume.max()).astype(np.float32)


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((image - reference) ** 2)))


def tv3d(noisy: np.ndarray, clean: np.ndarray, options: dict) -> dict:
    """Total variation in three dimensions; the weight with the highest PSNR of the result, known with hindsight."""
    found = {}
    for weight in np.arange(0.02, 0.32, 0.02):
        began = time.perf_counter()
        image = denoise_tv_chambolle(noisy, weight=weight, eps=1e-6, max_num_iter=1000)
        found[weight] = psnr(image, clean), image, time.perf_counter() - began
    weight = max(found, key=lambda weight: found[weight][0])
    score, image, seconds = found[weight]
    return {"image": image, "best": score, "seconds": seconds, "setting": f"weight {weight:.2f}"}


def hourglass3d(noisy: np.ndarray, clean: np.ndarray, options: dict) -> dict:
    """The network in three dimensions, which ends by the stopping rule adaptive."""
    kept = {
        "steps": 3000,
        "record_every": 25,
        "perturbation_distribution": "uniform",
        "stop": {"name": "adaptive", "patience": 300},
    }
    net = {"name": "hourglass3d"} | options.pop("net", {})
    done = dip.restore(noisy, reference=clean, axes="CHW", range=(0, 1), net=net, **(kept | options))
    metrics = done.metrics
    image = done.image.transpose(2, 0, 1)
    return {"image": image, "best": metrics["oracle_psnr"], "best_step": metrics["oracle_step"], "seconds": metrics["seconds"],
            "steps": metrics["steps"], "kept_step": metrics["restored_step"], "rule": metrics["rule"]["name"]}  # fmt: skip


def slices2d(noisy: np.ndarray, clean: np.ndarray, options: dict, warm: bool = False, later: int = 300) -> dict:
    """The network of images for each slice on its own, or for each from the weights of the slice before."""
    kept = {"steps": 1500, "record_every": 25, "perturbation_distribution": "uniform", "net": {"channels": 32},
                "stop": {"name": "adaptive", "patience": 300}}  # fmt: skip
    if warm:
        kept |= {"out": os.environ.get("OUT", "outputs/volumes"), "keep_checkpoint": True, "logger": "csv"}
    images, best, seconds, steps, previous = [], [], 0.0, 0, None
    for number, (image, truth) in enumerate(zip(noisy, clean, strict=True)):
        if previous is not None:
            kept |= {"init": previous, "steps": later, "stop": {"name": "adaptive", "patience": later // 3}}
        done = dip.restore(image, reference=truth, range=(0, 1), progress=False, **(kept | options))
        images.append(done.image)
        best.append(10 ** (-done.metrics["oracle_psnr"] / 10))
        seconds, steps = seconds + done.metrics["seconds"], steps + done.metrics["steps"]
        previous = done.folder if warm else None
        print(number, done, file=sys.stderr, flush=True)
    return {"image": np.stack(images), "best": -10 * np.log10(np.mean(best)), "seconds": seconds, "steps": steps}


def warm2d(noisy: np.ndarray, clean: np.ndarray, options: dict) -> dict:
    """As slices2d, from the weights of the slice before."""
    return slices2d(noisy, clean, options, warm=True)


METHODS = {function.__name__: function for function in (tv3d, hourglass3d, slices2d, warm2d)}
COLUMNS = ("volume", "method", "options", "noisy", "psnr", "best", "best_step", "kept_step", "steps", "rule", "setting",
           "seconds", "memory")  # fmt: skip


def main(volume: str, method: str, *words: str) -> None:
    clean = {"phantom": phantom, "brain": brain}[volume]()
    noisy = (clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape)).clip(0, 1).astype(np.float32)
    options: dict = {}
    for word in words:
        name, _, value = word.partition("=")
        group, _, field = name.partition(".")
        value = yaml.safe_load(value)
        options.setdefault(group, {}).update({field: value}) if field else options.update({name: value})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = METHODS[method](noisy, clean, options)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6  # GB
    image = found.pop("image")
    row = {"volume": volume, "method": method, "options": " ".join(words), "noisy": psnr(noisy, clean)}
    row |= {"psnr": psnr(image, clean), "memory": used, **found}
    table = Path(os.environ.get("TABLE", "volumes.csv"))
    new = not table.exists()
    with open(table, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader() if new else None
        writer.writerow({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()})
    if folder := os.environ.get("IMAGES"):
        np.save(Path(folder) / f"{volume}-{'-'.join([method, *words]).replace('/', '')}.npy", image)
    print(row)


if __name__ == "__main__":
    main(*sys.argv[1:])

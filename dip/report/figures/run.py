"""The figures of one run, from its folder alone."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dip import runs
from dip.options import log
from dip.report.figures.lines import loss_curve, psnr_curve
from dip.report.figures.overlays import Line, overlay
from dip.report.figures.strips import steps_strip


def draw(folder: str | Path) -> None:
    """Draw `figures/` of a finished run: loss curve, PSNR curve and snapshots; of one in tiles, a curve for each tile.

    Reads `result.json`, `metrics.csv`, `losses.npy` and `images/`. An error is a warning, because the result is
    complete without figures; the same command draws them again.
    """
    folder = Path(folder)
    try:
        _draw(folder)
    except Exception as error:  # matplotlib and damaged files raise many kinds of errors
        log.warning("%s: no figures (%s: %s)", folder, type(error).__name__, " ".join(str(error).split()))
    else:
        log.info("figures:        %s", folder / "figures")


def _draw(folder: Path) -> None:
    result = runs.read_result(folder)
    assert result is not None, "there is no result.json"
    if "tiles" in result:
        return _draw_tiles(folder, result)
    history, losses = runs.history(folder), np.load(folder / "losses.npy", allow_pickle=False)
    place, images = folder / "figures", folder / "images"
    events = [(event["step"], f"back to step {event['back_to']:,}") for event in result["events"]]
    events += [(result["steps"], "stopped")] if result["status"] == "stopped" else []
    loss_curve(place / "loss.png", losses, events)
    scored = any(map(math.isfinite, history["psnr_ema"]))  # else it shows what the stopping rule watched
    psnr_curve(
        place / ("psnr.png" if scored else "watched.png"), history["step"], history["psnr"], history["psnr_ema"],
        result["oracle_step"], result["restored_step"], history["watched"], result["status"] == "stopped",
        result["psnr"],
    )  # fmt: skip
    reference, target = images / "reference.png", images / "target.png"
    steps_strip(  # last: `runs.lacks_figures` looks for it
        place / "snapshots.png", runs.snapshots(folder), target if target.is_file() else None,
        reference if reference.is_file() else None, restored=(images / "restored.png", result["psnr"]),
        formats=("png",), measurements="units" in result,
    )  # fmt: skip


def _draw_tiles(folder: Path, result: Mapping[str, Any]) -> None:
    """The PSNR of each tile's average, else its loss, with a marker at the step of its restored image."""
    column, unit = ("loss", "loss") if result["psnr"] is None else ("psnr_ema", "PSNR (dB)")
    lines = [
        Line(name, history[column], history["step"], tile["restored_step"])
        for name, tile in result["tiles"].items()
        for part in (folder / runs.TILES / name).glob("*/metrics.csv")
        if (history := runs.history(part.parent))
    ]
    overlay(folder / "figures" / runs.TILE_CURVES, lines, unit, "tile")

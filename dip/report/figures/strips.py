"""Rows of images: the targets, the tasks, and the output of a run over the steps.

An image larger than its cell is shown twice: whole, and below it a detail at full resolution. Downsampling averages
noise away, so without the detail a noisy and a clean image would look the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from dip.report.figures.sheet import BOTH, INK, MUTED, files, sheet

Picture = str | os.PathLike[str] | NDArray[Any]
Snapshots = Sequence[tuple[int, Picture]]
"""(step, image) in ascending order of steps."""
_CELL = 1.75  # inches
_LARGE = 280  # pixels: an image with a longer side gets a detail below it
_SNAPSHOTS = 6


@dataclass(frozen=True)
class _Cell:
    pixels: NDArray[np.float64]  # (H, W, 3), in [0, 1]
    title: str
    note: str = ""


def targets_panel(path: str | os.PathLike[str], targets: Mapping[str, Picture]) -> list[Path]:
    """Figure 1 of the report: the targets, name -> image, in this order; written as PNG and SVG."""
    return _draw(path, [_Cell(read_picture(image), name) for name, image in targets.items()], BOTH)


def tasks_panel(path: str | os.PathLike[str], tasks: Mapping[str, tuple[Picture, Picture, float | None]]) -> list[Path]:
    """The observation of each task and the restored image below it; written as PNG.

    `tasks` is name -> (observation, restored image, its PSNR in dB or None if unknown).
    """
    upper = [_Cell(read_picture(target), name) for name, (target, _, _) in tasks.items()]
    lower = [
        _Cell(read_picture(restored), "restored" if psnr is None else f"{psnr:.2f} dB")
        for _, restored, psnr in tasks.values()
    ]
    return _draw(path, upper + lower, ("png",), columns=len(tasks))


def steps_strip(
    path: str | os.PathLike[str],
    snapshots: Snapshots,
    target: Picture | None = None,
    reference: Picture | None = None,
    psnr: Mapping[int, float] | None = None,
) -> list[Path]:
    """Figure 2 of the report: target, at most six outputs over the steps with their PSNR, reference; PNG and SVG.

    `psnr` holds the recorded PSNR of a step in dB; otherwise it is computed from the image and the reference.
    """
    return _draw(path, _cells(snapshots, target, reference, None, psnr or {}), BOTH)


def snapshot_strip(
    path: str | os.PathLike[str],
    snapshots: Snapshots,
    target: Picture | None = None,
    reference: Picture | None = None,
    restored: Picture | None = None,
    psnr: float | None = None,
) -> list[Path]:
    """One run in a row: target, at most six outputs over the steps, restored image, reference; written as PNG.

    `psnr` is that of the restored image in dB before rounding to 8 bits; otherwise it is computed from the image.
    """
    return _draw(path, _cells(snapshots, target, reference, restored, {}, psnr), ("png",))


def read_picture(picture: Picture) -> NDArray[np.float64]:
    """An image file or array as (H, W, 3) in [0, 1].

    An array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), either uint8 or float in [0, 1]. 16-bit gray files are
    divided by 65535. Transparency is shown on white.
    """
    if isinstance(picture, str | os.PathLike):
        with Image.open(picture) as file:
            file.load()
            gray16 = file.mode.startswith("I")
            picture = np.asarray(file) / 65535 if gray16 else np.asarray(file.convert("RGBA"))
    values = np.asarray(picture)
    values = values / 255 if values.dtype == np.uint8 else values.astype(np.float64)
    values = values[..., None] if values.ndim == 2 else values
    assert values.ndim == 3, values.shape
    assert values.shape[2] in (1, 3, 4), values.shape
    if values.shape[2] == 4:
        values = values[..., :3] * values[..., 3:] + (1 - values[..., 3:])
    pixels: NDArray[np.float64] = np.clip(np.broadcast_to(values, (*values.shape[:2], 3)), 0, 1)
    return pixels


def _cells(
    snapshots: Snapshots,
    target: Picture | None,
    reference: Picture | None,
    restored: Picture | None,
    psnr: Mapping[int, float],
    final: float | None = None,
) -> list[_Cell]:
    answer = None if reference is None else read_picture(reference)

    def cell(picture: Picture, title: str, known: float | None = None) -> _Cell:
        pixels = read_picture(picture)
        score = _psnr(pixels, answer) if known is None else known
        return _Cell(pixels, title, "" if score is None else f"{score:.2f} dB")

    cells = [] if target is None else [cell(target, "target")]
    cells += [cell(picture, f"step {step:,}", psnr.get(step)) for step, picture in _evenly(snapshots, _SNAPSHOTS)]
    cells += [] if restored is None else [cell(restored, "restored", final)]
    return cells + ([] if answer is None else [_Cell(answer, "reference")])


def _psnr(pixels: NDArray[np.float64], answer: NDArray[np.float64] | None) -> float | None:
    """PSNR in dB for a peak of 1; None without a reference of the same size, or if both are equal."""
    if answer is None or pixels.shape != answer.shape:
        return None
    error = float(np.mean((pixels - answer) ** 2))
    return -10 * float(np.log10(error)) if error > 0 else None


def _evenly(snapshots: Snapshots, most: int) -> Snapshots:
    """At most `most` of `snapshots` at about equal distances on a logarithmic axis, with the first and the last."""
    if len(snapshots) <= most:
        return snapshots
    position = np.log([max(step, 1) for step, _ in snapshots])
    chosen: list[int] = []
    for number, wanted in enumerate(np.linspace(position[0], position[-1], most)):
        first = chosen[-1] + 1 if chosen else 0
        end = len(snapshots) - (most - number) + 1  # leaves one snapshot for each position still to come
        chosen.append(first + int(np.argmin(np.abs(position[first:end] - wanted))))
    return [snapshots[index] for index in chosen]


def _draw(
    path: str | os.PathLike[str], cells: Sequence[_Cell], formats: Sequence[str], columns: int | None = None
) -> list[Path]:
    if not cells:
        return []
    columns = columns or (len(cells) if len(cells) <= 5 else -(-len(cells) // 2))
    rows = -(-len(cells) // columns)
    height, width, _ = cells[0].pixels.shape
    per_cell = 2 if any(max(cell.pixels.shape[:2]) > _LARGE for cell in cells) else 1
    lines = 2 if any(cell.note for cell in cells) else 1
    inches = rows * (_CELL * min(max(height / width, 0.4), 2.0) * per_cell + 0.02 + 0.16 * lines)
    with sheet(path, (columns * _CELL, inches), formats) as figure:
        figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.02)
        grid = figure.subplots(rows * per_cell, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, cell in enumerate(cells):
            row, column = divmod(number, columns)
            axes = grid[row * per_cell, column]
            _show(axes, cell.pixels)
            axes.set_title(cell.title + (f"\n{cell.note}" if cell.note else ""), color=INK, linespacing=1.25)
            if per_cell == 2:
                top, left, side = _detail(cell.pixels)
                for color, width in (("white", 1.2), (MUTED, 0.5)):
                    box = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=color, lw=width)
                    axes.add_patch(box)
                _show(grid[row * per_cell + 1, column], cell.pixels[top : top + side, left : left + side])
    return files(path, formats)


def _detail(pixels: NDArray[np.float64]) -> tuple[int, int, int]:
    """Top, left and side of the central square: a fifth of the shorter side, but at least 64 pixels."""
    height, width = pixels.shape[:2]
    side = min(height, width, max(64, min(height, width) // 5))
    return (height - side) // 2, (width - side) // 2, side


def _show(axes: Axes, pixels: NDArray[np.float64]) -> None:
    """Draw an image: magnified pixels as squares, large images averaged in blocks to two pixels per printed dot."""
    height, width = pixels.shape[:2]
    block = max(1, max(height, width) // (2 * _LARGE))
    rows, columns = height - height % block, width - width % block
    blocks = pixels[:rows, :columns].reshape(rows // block, block, columns // block, block, 3)
    shown = np.round(255 * blocks.mean(axis=(1, 3))).astype(np.uint8)
    axes.imshow(shown, extent=(-0.5, columns - 0.5, rows - 0.5, -0.5), interpolation="antialiased")

"""Rows of photographs: the targets, and a reconstruction as it comes about over the steps.

A photograph larger than its cell is shown twice: whole, and below it a detail at its own resolution. Shrinking averages
noise away, so without the detail a noisy and a clean picture look the same in print.
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
_CELL = 1.75  # inches
_LARGE = 280  # pixels: longer sides get a detail below
_SNAPSHOTS = 6


@dataclass(frozen=True)
class _Cell:
    picture: NDArray[np.float64]  # (H, W, 3), in [0, 1]
    title: str
    note: str = ""


def targets_panel(path: str | os.PathLike[str], targets: Mapping[str, Picture]) -> list[Path]:
    """Figure 1 of the report: what each target asks the network to fit.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        targets: name -> picture, drawn in this order, such as clean, noisy, noise, shuffled.
    """
    return _draw(path, [_Cell(read_picture(picture), name) for name, picture in targets.items()], BOTH)


def tasks_panel(
    path: str | os.PathLike[str], tasks: Mapping[str, tuple[Picture, Picture, float | None]]
) -> list[Path]:
    """What was given, and below it what came out, as PNG only.

    Args:
        path: where to write; the suffix is replaced by .png.
        tasks: name -> target, restored picture and its PSNR in dB, None where nobody knows it; drawn in this order.
    """
    given = [_Cell(read_picture(target), name) for name, (target, _, _) in tasks.items()]
    made = [
        _Cell(read_picture(restored), "restored" if psnr is None else f"{psnr:.2f} dB")
        for _, restored, psnr in tasks.values()
    ]
    return _draw(path, given + made, ("png",), columns=len(tasks))


def steps_strip(
    path: str | os.PathLike[str],
    snapshots: Sequence[tuple[int, Picture]],
    target: Picture | None = None,
    reference: Picture | None = None,
    psnr: Mapping[int, float] | None = None,
) -> list[Path]:
    """Figure 2 of the report: the reconstruction of a noisy target over the steps, with the PSNR under each.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        snapshots: (step, picture) in the order of steps; at most six are drawn, chosen evenly.
        target: what is fitted, drawn first.
        reference: the known answer, drawn last.
        psnr: step -> dB as recorded; where missing, it is computed from the picture and the reference.
    """
    return _draw(path, _cells(snapshots, target, reference, None, psnr or {}), BOTH)


def snapshot_strip(
    path: str | os.PathLike[str],
    snapshots: Sequence[tuple[int, Picture]],
    target: Picture | None = None,
    reference: Picture | None = None,
    restored: Picture | None = None,
    psnr: float | None = None,
) -> list[Path]:
    """One run at a glance: target, outputs over the steps, restored image and reference, as PNG only.

    `snapshots` are (step, picture) in the order of steps, of which at most six are drawn, chosen evenly. `psnr` is that of
    the restored image in dB, before it was rounded to 8 bits; otherwise it is computed from the picture.
    """
    return _draw(path, _cells(snapshots, target, reference, restored, {}, psnr), ("png",))


def read_picture(picture: Picture) -> NDArray[np.float64]:
    """A picture as (H, W, 3) in [0, 1], from a file or from an array.

    An array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), either uint8 or float in [0, 1]. 16-bit gray files are scaled by
    65535. Transparency is shown on white.
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
    pixels: NDArray[np.float64] = np.clip(np.broadcast_to(values, (*values.shape[:2], 3)), 0, 1)  # (H, W, 3)
    return pixels


def _cells(
    snapshots: Sequence[tuple[int, Picture]],
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
    cells += [
        cell(picture, f"step {step:,}", psnr.get(step)) for step, picture in _evenly(snapshots, _SNAPSHOTS)
    ]
    if restored is not None:
        cells.append(cell(restored, "restored", final))
    if answer is not None:
        cells.append(_Cell(answer, "reference"))
    return cells


def _psnr(picture: NDArray[np.float64], answer: NDArray[np.float64] | None) -> float | None:
    """Peak signal-to-noise ratio in dB for a peak of 1; None where it has no meaning (other size, or equal)."""
    if answer is None or picture.shape != answer.shape:
        return None
    error = float(np.mean((picture - answer) ** 2))
    return -10 * float(np.log10(error)) if error > 0 else None


def _evenly(snapshots: Sequence[tuple[int, Picture]], most: int) -> list[tuple[int, Picture]]:
    """At most `most` of `snapshots`, about equally far apart on a logarithmic step axis, first and last included."""
    if len(snapshots) <= most:
        return list(snapshots)
    position = np.log([max(step, 1) for step, _ in snapshots])
    chosen: list[int] = []
    for number, wanted in enumerate(np.linspace(position[0], position[-1], most)):
        first = chosen[-1] + 1 if chosen else 0
        room = len(snapshots) - (most - number) + 1  # leaves one for each wish still to come
        chosen.append(first + int(np.argmin(np.abs(position[first:room] - wanted))))
    return [snapshots[index] for index in chosen]


def _draw(
    path: str | os.PathLike[str], cells: Sequence[_Cell], formats: Sequence[str], columns: int | None = None
) -> list[Path]:
    if not cells:
        return []
    columns = columns or (len(cells) if len(cells) <= 5 else -(-len(cells) // 2))
    rows = -(-len(cells) // columns)
    shape = cells[0].picture.shape
    tall = min(max(shape[0] / shape[1], 0.4), 2.0)
    detailed = any(max(cell.picture.shape[:2]) > _LARGE for cell in cells)
    per_cell = 2 if detailed else 1
    lines = 2 if any(cell.note for cell in cells) else 1
    height = rows * (_CELL * tall * per_cell + 0.02 + 0.16 * lines)
    with sheet(path, (columns * _CELL, height), formats) as figure:
        figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.02)
        grid = figure.subplots(rows * per_cell, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, cell in enumerate(cells):
            row, column = divmod(number, columns)
            axes = grid[row * per_cell, column]
            _show(axes, cell.picture)
            axes.set_title(cell.title + (f"\n{cell.note}" if cell.note else ""), color=INK, linespacing=1.25)
            if detailed:
                top, left, side = _detail(cell.picture)
                box = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec="white", lw=1.2)
                axes.add_patch(box)
                axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=MUTED, lw=0.5))
                _show(grid[row * per_cell + 1, column], cell.picture[top : top + side, left : left + side])
    return files(path, formats)


def _detail(picture: NDArray[np.float64]) -> tuple[int, int, int]:
    """Top, left and side of the middle square, a fifth of the shorter side (at least 64 pixels where there are)."""
    height, width = picture.shape[:2]
    side = min(height, width, max(64, min(height, width) // 5))
    return (height - side) // 2, (width - side) // 2, side


def _show(axes: Axes, picture: NDArray[np.float64]) -> None:
    """Pixels as squares when magnified; averaged in blocks when there are many more than the cell can show."""
    height, width = picture.shape[:2]
    block = max(1, max(height, width) // (2 * _LARGE))  # what two pixels per printed dot leave to see
    rows, columns = height - height % block, width - width % block
    blocks = picture[:rows, :columns].reshape(rows // block, block, columns // block, block, 3)
    shown = np.round(255 * blocks.mean(axis=(1, 3))).astype(np.uint8)
    axes.imshow(shown, extent=(-0.5, columns - 0.5, rows - 0.5, -0.5), interpolation="antialiased")

"""Rows of images: the targets, the tasks, and the output of a run over the steps.

An image larger than its cell is shown twice: whole, and below it a detail at full resolution. Downsampling averages
noise away, so without the detail a noisy and a clean image would look the same.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

from dip.report.figures.sheet import BOTH, INK, MUTED, files, sheet

Snapshots = Sequence[tuple[int, Path]]
"""(step, image file) in ascending order of steps."""
Cell = tuple[Image.Image, str]
"""An image and its title."""
_CELL = 1.75  # inches
_LARGE = 280  # pixels: an image with a longer side gets a detail below it
_SNAPSHOTS = 6


def targets_panel(path: Path, targets: Mapping[str, Path]) -> list[Path]:
    """Figure 1 of the report: the targets, name -> image file, in this order; written as PNG and SVG."""
    return _draw(path, [(read_picture(image), name) for name, image in targets.items()], BOTH)


def tasks_panel(path: Path, tasks: Mapping[str, tuple[Path, Path, float | None]]) -> list[Path]:
    """The observation of each task and the restored image below it; written as PNG.

    `tasks` is name -> (observation, restored image, its PSNR in dB or None if unknown).
    """
    cells = [(read_picture(target), name) for name, (target, _, _) in tasks.items()]
    for _, restored, psnr in tasks.values():
        cells.append((read_picture(restored), "restored" if psnr is None else f"{psnr:.2f} dB"))
    return _draw(path, cells, ("png",), columns=len(tasks))


def steps_strip(
    path: Path,
    snapshots: Snapshots,
    target: Path | None = None,
    reference: Path | None = None,
    psnr: Mapping[int, float] | None = None,
    restored: tuple[Path, float | None] | None = None,
    formats: Sequence[str] = BOTH,
    measurements: bool = False,
) -> list[Path]:
    """Figure 2 of the report: target, at most six outputs over the steps with their PSNR, restored image, reference.

    Args:
        path: where to write; the suffix is replaced by that of each of `formats`.
        snapshots: the outputs.
        target: the observation.
        reference: the image to compare with.
        psnr: the recorded PSNR of a step in dB; otherwise it is computed from the image and the reference.
        restored: the restored image and its PSNR in dB, computed from the image if None.
        formats: "png", "svg".
        measurements: `target` shows measurements of the image, such as k-space, which have no PSNR.
    """
    answer = None if reference is None else read_picture(reference)

    def cell(path: Path, title: str, known: float | None = None) -> Cell:
        image = read_picture(path)
        score = _psnr(image, answer) if known is None else known
        return image, title if score is None else f"{title}\n{score:.2f} dB"

    cells = [(read_picture(target), "measurements") if measurements else cell(target, "target")] if target else []
    cells += [cell(path, f"step {step:,}", (psnr or {}).get(step)) for step, path in _evenly(snapshots, _SNAPSHOTS)]
    cells += [cell(restored[0], "restored", restored[1])] if restored else []
    cells += [(answer, "reference")] if answer else []
    return _draw(path, cells, formats)


def read_picture(path: Path) -> Image.Image:
    """An image file as 8-bit RGB: 16-bit gray is scaled, transparency is shown on white.

    Raises:
        OSError: the file is absent, or is no image: it is damaged or still being written.
    """
    try:
        with Image.open(path, formats=("PNG",)) as file:
            if file.mode.startswith("I"):
                return file.convert("I").point(lambda value: value / 257).convert("RGB")
            over = file.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(f"{path}: {error}") from error


def _psnr(image: Image.Image, answer: Image.Image | None) -> float | None:
    """PSNR in dB; None without a reference of the same size, or if both are equal."""
    if answer is None or image.size != answer.size:
        return None
    error = float(np.mean(np.square(np.asarray(image, dtype=np.float64) - np.asarray(answer)))) / 255**2
    return -10 * float(np.log10(error)) if error > 0 else None


def _evenly(snapshots: Snapshots, most: int) -> Snapshots:
    """At most `most` of `snapshots` at about equal distances on a logarithmic axis, with the first and the last."""
    if len(snapshots) <= most:
        return snapshots
    position = np.log([step for step, _ in snapshots])
    wanted = np.linspace(position[0], position[-1], most)
    return [snapshots[index] for index in dict.fromkeys(np.abs(position - place).argmin() for place in wanted)]


def _draw(path: Path, cells: Sequence[Cell], formats: Sequence[str], columns: int | None = None) -> list[Path]:
    if not cells:
        return []
    columns = columns or (len(cells) if len(cells) <= 5 else -(-len(cells) // 2))
    rows = -(-len(cells) // columns)
    width, height = cells[0][0].size
    per_cell = 2 if any(max(image.size) > _LARGE for image, _ in cells) else 1
    lines = 2 if any("\n" in title for _, title in cells) else 1
    inches = rows * (_CELL * min(max(height / width, 0.4), 2.0) * per_cell + 0.02 + 0.16 * lines)
    with sheet(path, (columns * _CELL, inches), formats) as figure:
        figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.02)
        grid = figure.subplots(rows * per_cell, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, (image, title) in enumerate(cells):
            row, column = divmod(number, columns)
            axes = grid[row * per_cell, column]
            width, height = image.size
            block = max(1, max(image.size) // (2 * _LARGE))  # large images keep two pixels per printed dot
            axes.imshow(image.reduce(block), extent=(0, width, height, 0), interpolation="antialiased")
            axes.set_title(title, color=INK, linespacing=1.25)
            if per_cell == 2:  # the central square, a fifth of the shorter side, but at least 64 pixels
                side = min(height, width, max(64, min(height, width) // 5))
                top, left = (height - side) // 2, (width - side) // 2
                for color, stroke in (("white", 1.2), (MUTED, 0.5)):
                    axes.add_patch(Rectangle((left, top), side, side, fill=False, ec=color, lw=stroke))
                detail = image.crop((left, top, left + side, top + side))
                grid[row * per_cell + 1, column].imshow(detail, interpolation="antialiased")
    return files(path, formats)

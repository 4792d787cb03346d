"""The figures of one run, and of many runs side by side, for screen and print.

Everything here takes arrays and paths of images and knows nothing of run folders. Curves are saved as PNG and SVG,
strips of photographs as PNG (the two that go into a paper as SVG too). Every function returns the paths it wrote,
and replaces a figure whole or not at all.
"""

from dip.report.figures.lines import loss_curve, psnr_curve
from dip.report.figures.overlays import Line, losses_overlay, psnr_overlay
from dip.report.figures.quality import quality_curves
from dip.report.figures.rules import gap_dots
from dip.report.figures.strips import snapshot_strip, steps_strip, targets_panel, tasks_panel

__all__ = [
    "Line",
    "gap_dots",
    "loss_curve",
    "losses_overlay",
    "psnr_curve",
    "psnr_overlay",
    "quality_curves",
    "snapshot_strip",
    "steps_strip",
    "targets_panel",
    "tasks_panel",
]

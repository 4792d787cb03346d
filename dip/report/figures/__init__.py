"""Figures of one run and of many runs, for screen and print.

All functions but those of `run` take arrays and image files and know nothing of run folders. Curves are written as
PNG and SVG, rows of images as PNG (the two that belong into a paper as SVG too). Each function returns the paths that
it wrote.
"""

from dip.report.figures.comparison import gap_dots as gap_dots
from dip.report.figures.crops import crops as crops
from dip.report.figures.crops import detail as detail
from dip.report.figures.lines import loss_curve as loss_curve
from dip.report.figures.lines import psnr_curve as psnr_curve
from dip.report.figures.overlays import Line as Line
from dip.report.figures.overlays import overlay as overlay
from dip.report.figures.strips import steps_strip as steps_strip
from dip.report.figures.strips import targets_panel as targets_panel
from dip.report.figures.strips import tasks_panel as tasks_panel
from dip.report.figures.tradeoff import frontier as frontier
from dip.report.figures.tradeoff import frontier_of as frontier_of

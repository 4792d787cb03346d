"""An image that is fitted in tiles: the same interface as `dip.fitting.fit.Fit`, with a job per tile."""

import dataclasses
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dip import images, runs
from dip.errors import RunError
from dip.files import read_json
from dip.fitting import cost, results, uncertainty
from dip.fitting.network_input import with_all_channels
from dip.fitting.pictures import Pictures
from dip.fitting.prefilter import prefiltered
from dip.fitting.whole_image import advise
from dip.fitting.work import Work
from dip.hardware import devices
from dip.options import log
from dip.runs import TILES
from dip.stopping.adaptive import explain
from dip.sweep.dispatch import Loop
from dip.sweep.jobs import Job
from dip.sweep.launcher import SweepLauncher, refuse_numbered
from dip.sweep.outcomes import GOOD, Outcome
from dip.tiles.blending import blend
from dip.tiles.common import common_rule, finished
from dip.tiles.cutting import Cutter, check_options, geometry, least_overlap
from dip.tiles.layout import Box, boxes
from dip.tiles.tile_bar import TileProgress

GREATEST = ("steps", "parameters", "peak_memory_bytes", "step_seconds")
"""Results of which the greatest one of a tile counts."""


COPIED = "copied"
"""Status of a tile that needs no fit."""


@dataclasses.dataclass(eq=False)
class TiledFit(Work):
    """A fit in tiles, checked and in memory. `on_record` is not called by tiles, which run in other processes.

    What must not differ between neighbours is determined once: see `dip.tiles.common`.

    Args:
        side: of a tile in pixels of the observation.
        launcher: starts the jobs of the tiles.

    Raises:
        DipError: the image cannot be cut so, or a tile has no known pixel.
    """

    side: int = dataclasses.field(kw_only=True)
    launcher: SweepLauncher = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        config, side = self.config, self.side
        check_options(config)
        self.picture, self.seen = self.given
        seen, pictures = self.seen, self.pictures or Pictures(config)
        self.device = devices.pick_device(config.device)
        self.shape = geometry(config.target, seen)
        overlap = least_overlap(config, side, self.shape)
        least = -(-max(config.net.padded(1, 1)) // self.shape.factor)  # the smallest image that the network accepts
        self.boxes = boxes((seen.y.shape[-2], seen.y.shape[-1]), side, overlap, self.shape.grid, least)
        self.stop, self.chosen = common_rule(config, seen)
        given = {option.partition(".")[2]: picture.pixels for option, picture in pictures.given.items()}
        self.cutter = Cutter(config, self.stop, seen, {name: given[name] for name in ("kernel",) if name in given},
                             self.folder / TILES)  # fmt: skip
        self.unchanged = self.chosen is not None and self.chosen["name"] == "unchanged"
        # These tiles are parts of the observation and need no fit.
        self.copied = {box for row in self.boxes for box in row if self.cutter.copied(box) or self.unchanged}
        self.outcomes: dict[Box, Outcome] = {}

    @property
    def resumes(self) -> bool:
        """Tiles that have finished are kept."""
        return True

    def run(self, progress: bool) -> dict[str, Any]:
        """Fit the tiles that have not finished, and blend all. See `Work.run`.

        Raises:
            RunError: a tile has failed. The others are kept, if `with_images`.
        """
        self._describe()
        rows, columns = [list(row[0].rows) for row in self.boxes], [list(box.columns) for box in self.boxes[0]]
        layout = {"side": self.side, "rows": rows, "columns": columns}
        if any((self.folder / TILES).glob("y*")) and read_json(side_file(self.folder)) != layout:
            log.warning(
                "%s: tiles of an earlier version, which lie elsewhere; they are fitted again", self.folder / TILES
            )
            shutil.rmtree(self.folder / TILES)
        (self.folder / TILES).mkdir(exist_ok=True)
        runs.write_json(side_file(self.folder), layout)
        for name, pixels in (("target", self.seen.y), ("reference", self.seen.reference)):
            if self.with_images and pixels is not None:
                results.save(self.folder / "images" / f"{name}.png", pixels)
        if not self.unchanged:
            self.seen = prefiltered(self.config, self.seen, self.folder / TILES / "bm3d.tif")
        if self.seen.denoised is not None:
            self.cutter.start_from(self.seen)
        jobs = {self.cutter.job(box): box for row in self.boxes for box in row if box not in self.copied}
        refuse_numbered(list(jobs))
        self.launcher.prepare(list(jobs))
        self._tell_cost([job for job in jobs if not runs.finished(job.folder)])
        steps = self.config.method.total(self.config.steps)
        bar = TileProgress({job: box.name for job, box in jobs.items()}, steps, progress)
        loop = Loop(list(jobs), self.launcher.start, bar, others=self.launcher.others)
        self.outcomes = {jobs[outcome.job]: outcome for outcome in loop.run()}
        if loop.signal is not None:
            return self.result("interrupted", signal=loop.signal)
        self._refuse_failed(kept=self.with_images)
        return self._finish()

    def reached(self, result: Mapping[str, Any]) -> str:
        tiles = [tile["status"] for tile in result["tiles"].values()]
        return f"after {sum(status in (*GOOD, COPIED) for status in tiles)} of {len(tiles)} tiles"

    def _describe(self) -> None:
        (height, width), rows, columns = self.seen.y.shape[-2:], len(self.boxes), len(self.boxes[0])
        log.info(
            "tile=%s: %d x %d pixels (height x width) in %d x %d tiles%s",
            self.config.tile, height, width, rows, columns,
            f", of which {len(self.copied)} need no fit" if self.copied else "",
        )  # fmt: skip
        advise(self.config, self.picture, self.device)
        remote = self.config.logger.name in ("wandb", "mlflow")
        given = {"on_record": self.on_record, "keep_checkpoint": self.config.keep_checkpoint, "logger": remote}
        if ignored := ", ".join(name for name, value in given.items() if value):
            log.warning("%s: no effect in tiles; tile=0 fits the whole image at once", ignored)
        if self.chosen is not None:
            log.info("%s", explain(self.chosen))

    def _tell_cost(self, jobs: Sequence[Job]) -> None:
        """Log the memory and the time of a tile on this machine, and the time of all `jobs`."""
        if not jobs or self.device.type == "cuda":  # the probe's memory would be missing for the tiles
            return
        config = with_all_channels(jobs[0].config, self.seen)
        first = self.boxes[0][0]  # no other tile is larger
        height, width = (self.shape.factor * end for _, end in (first.rows, first.columns))
        found = cost.foreseen(config, (self.seen.shape[0], height, width))
        if found is None:
            return
        steps = config.method.total(config.steps)
        log.info("one tile: %s", cost.describe(found, steps, self.device))
        if len(jobs) > 1 and not math.isnan(seconds := len(jobs) * steps * found.seconds_per_step):
            log.info("%d tiles, one after the other: about %s at the present load", len(jobs), cost.duration(seconds))

    def _refuse_failed(self, kept: bool) -> None:
        failed = {box: outcome for box, outcome in self.outcomes.items() if outcome.status not in GOOD}
        if failed:
            outcome = next(iter(failed.values()))
            names = " ".join(box.name for box in failed)
            error, log = outcome.error or outcome.status, f"; log: {outcome.job.console}" * kept
            others = "the others are kept, and the same command runs only the missing ones"
            others = others if kept else f"no tile is kept; with out=FOLDER {others}"
            raise RunError(
                f"{len(failed)} of {len(self.outcomes)} tiles failed ({names}; the first: {error}{log}); {others}"
            )

    def _tile(self, box: Box) -> Tensor:
        """The restored tile, (1, C, h, w)."""
        if box in self.copied:
            return self.seen.y[(..., *box.slices())]
        path = self.outcomes[box].job.folder / "images" / "restored.tif"
        # A tile of a JPEG is an 8-bit file, and so is its result.
        path = path if path.exists() else path.with_suffix(".png")
        return images.load(path, "tile", (0.0, 1.0)).pixels

    def _deviations(self) -> Tensor | None:
        """The blended standard deviation of the networks of the tiles, (1, C, H, W); None for single networks.

        It is the root of the weighted mean of the variances, as each of them is a mean over steps. That of independent
        networks would fall in overlaps, where the error hardly falls (sweeps/results/spread). A copied tile has 0.
        """
        folders = {box: outcome.job.folder / "images" for box, outcome in self.outcomes.items()}
        if not folders or not all((folder / "spread.npy").is_file() for folder in folders.values()):
            return None

        def variance(box: Box) -> Tensor:
            return uncertainty.load(folders[box]).square() if box in folders else torch.zeros_like(self._tile(box))

        return blend(self.boxes, variance, self.shape.margin, self.shape.factor).sqrt()

    def _finish(self) -> dict[str, Any]:
        """Blend the tiles, and save the image, its scores and the baselines."""
        target, seen = self.config.target, self.seen
        blended = blend(self.boxes, self._tile, self.shape.margin, self.shape.factor)
        deviations = self._deviations()
        if not self.unchanged:
            blended, weight = finished(self.config, self.stop, seen, blended, self.chosen)
            deviations = None if deviations is None else deviations * weight
        self.restored, self.spread = target.finish(blended, seen), deviations
        everything = [outcome.status == "stopped" for outcome in self.outcomes.values()]
        status = "stopped" if all(everything) else "finished"
        result = self.result(status, **results.scores(target, self.restored, seen))
        if self.spread is not None and (ranked := uncertainty.scores(self.spread, self.restored, seen.reference)):
            result["spread"] = ranked
        if self.with_images:
            results.save(self.folder / "images" / "restored.png", self.restored, like=self.picture)
            uncertainty.save(self.folder / "images", self.spread)
            if self.config.baselines:
                result["baselines"] = results.baselines(target, seen, self.folder / "images")
        return result

    def result(self, status: str, **more: Any) -> dict[str, Any]:
        """The content of `result.json` at this moment; `more` is added.

        `steps`, `parameters` and `peak_memory_bytes` are the greatest of a tile, `seconds` is the sum over the tiles.
        `tiles` holds for each tile its place (rows and columns in the observation, the ends excluded) and its result.
        """
        tiles, found = {}, []
        for box in (box for row in self.boxes for box in row):
            outcome = self.outcomes.get(box)
            result = {} if outcome is None else runs.read_result(outcome.job.folder) or {}
            found.append(result)
            state = COPIED if box in self.copied else "not started" if outcome is None else outcome.status
            kept = {name: result.get(name) for name in ("steps", "restored_step", "psnr", "seconds", "rule")}
            tiles[box.name] = {"rows": [*box.rows], "columns": [*box.columns], "status": state, **kept}

        def values(name: str) -> list[Any]:
            return [result[name] for result in found if result.get(name) is not None]

        known: dict[str, Any] = {name: max(values(name), default=None) for name in GREATEST}
        known |= {"seconds": round(sum(values("seconds")), 3), "events": [], "tiles": tiles}
        known |= {"precision": next(iter(values("precision")), None)}
        if self.chosen is not None:
            known["rule"] = self.chosen
        return results.content(status, self.config, self.folder, self.device, **known, **more)

    def tidy(self) -> None:
        """Delete the image files of the tiles, which are parts of the image that the user has, and BM3D of it."""
        for file in [*(self.folder / TILES).glob("*.tif"), *(self.folder / TILES).glob("*/*.tif")]:
            file.unlink(missing_ok=True)


def side_file(folder: Path) -> Path:
    """The file that holds the side and the places of the tiles of a run, so that `tile=auto` resumes with the same tiles."""
    return folder / TILES / "side.json"

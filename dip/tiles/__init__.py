"""Large images: fitted in overlapping tiles, each a run of its own, and blended.

A tile is a job of the launchers of sweeps. Its folder `tiles/y0512-x1024` in the run folder of the whole image holds its
image files and its run folder, with its own stopping rule, checkpoints and `result.json`.

Importing this package does not import torch.
"""

import functools
from pathlib import Path
from typing import Any

from dip.configuration.schema import Config
from dip.files import read_json
from dip.fitting.work import Prepare, Work
from dip.sweep import chosen
from dip.sweep.launcher import SweepLauncher


def prepare(config: Config, launcher: SweepLauncher | None = None) -> Prepare | None:
    """What `dip.fitting.experiment.run` needs as `prepare` to fit in tiles; None if the option `tile` is 0.

    A tile that fails, or an image that cannot be cut, is a `DipError` of the run.

    Args:
        config: the options.
        launcher: starts the jobs of the tiles, after Hydra's `setup`; default: one process at a time.
    """
    return functools.partial(_prepared, launcher or chosen(config.out)) if config.tile else None


def _prepared(launcher: SweepLauncher, config: Config, folder: Path, *given: Any) -> Work:
    """A fit in tiles; or of the whole image, where it is not larger than a tile, or `tile=auto` chooses so.

    The arguments are those of `dip.fitting.work.Work`.
    """
    from dip.fitting.denoiser_fit import whole
    from dip.fitting.network_input import with_all_channels
    from dip.tiles.cutting import geometry, unregistered
    from dip.tiles.sizing import choose
    from dip.tiles.tiled_fit import TiledFit, side_file

    work = Work(config, folder, *given)
    side, seen = config.tile, work.given.seen
    here = "on_record" if work.on_record is not None else unregistered(config)
    if side == "auto" and not config.overwrite and not here:
        resumed = (folder / "checkpoints").is_dir()  # by a fit of the whole image
        side = 0 if resumed else (read_json(side_file(folder)) or {}).get("side", "auto")
    if side == "auto" and (side := choose(with_all_channels(config, seen), (seen.y.shape[1], *seen.size), here)):
        side = max(side // geometry(config.target, seen).factor, 1)
    if side == 0 or side >= max(seen.y.shape[-2:]):
        return whole(config, folder, *given)
    return TiledFit(config, folder, *given, side=side, launcher=launcher)

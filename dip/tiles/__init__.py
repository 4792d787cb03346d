"""Large images: fitted in overlapping tiles, each a run of its own, and blended.

A tile is a job of the launchers of sweeps. Its folder `tiles/y0512-x1024` in the run folder of the whole image holds its
image files and its run folder, with its own stopping rule, checkpoints and `result.json`.

Importing this package does not import torch.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip import runs
from dip.configuration.schema import Config
from dip.files import read_json
from dip.fitting import experiment
from dip.fitting.pictures import Pictures
from dip.sweep import chosen
from dip.sweep.launcher import SweepLauncher

if TYPE_CHECKING:
    from dip.callbacks.recorder import OnRecord
    from dip.images import Picture
    from dip.targets import Observation


def run(
    config: Config,
    overrides: Sequence[str] = (),
    progress: bool = True,
    given: Mapping[str, Any] | None = None,
    array: bool = False,
    on_record: OnRecord | None = None,
    launcher: SweepLauncher | None = None,
) -> dict[str, Any]:
    """`dip.fitting.experiment.run`, in tiles if the option `tile` says so.

    Args:
        launcher: starts the jobs of the tiles, after Hydra's `setup`; default: one process at a time.
        config, overrides, progress, given, array: see `dip.fitting.experiment.run`.
        on_record: called at each record of a fit of the whole image; not of tiles, which run in other processes.

    Raises:
        DipError: see `dip.fitting.experiment.run`; or the image cannot be cut, or a tile has failed.
    """
    if not config.tile:
        return experiment.run(config, overrides, progress, given, array, on_record)
    prepare = functools.partial(_prepared, launcher or chosen(config.out))
    result = experiment.run(config, overrides, progress, given, array, on_record, prepare)
    if result["status"] in ("finished", "stopped") and not config.keep_checkpoint:
        for files in Path(result["folder"], runs.TILES).glob("*/*.tif"):
            files.unlink(missing_ok=True)  # parts of the image, which the user has
    return result


def _prepared(
    launcher: SweepLauncher,
    config: Config,
    folder: Path,
    identity: str,
    pictures: Pictures,
    on_record: OnRecord | None,
    observed: tuple[Picture, Observation],
) -> experiment.Work:
    """A fit in tiles; or of the whole image, where it is not larger than a tile or with `tile=auto` the memory suffices."""
    from dip.fitting.network_input import with_all_channels
    from dip.fitting.rival_fit import whole
    from dip.tiles.cutting import geometry
    from dip.tiles.sizing import choose
    from dip.tiles.tiled_fit import TiledFit, side_file

    if config.tile == "auto" and (folder / "checkpoints").is_dir() and not config.overwrite:
        return whole(config, folder, identity, pictures, on_record, observed)
    picture, seen = observed
    side = config.tile
    if side == "auto" and not config.overwrite:
        side = (read_json(side_file(folder)) or {}).get("side", "auto")
    if side == "auto":
        side = choose(
            with_all_channels(config, seen), (seen.y.shape[1], *seen.size), geometry(config.target, seen).factor
        )
    if side == 0 or side >= max(seen.y.shape[-2:]):
        return whole(config, folder, identity, pictures, on_record, observed)
    return TiledFit(config, folder, identity, pictures, picture, seen, side, launcher)

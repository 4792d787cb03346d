"""`dip.compare`: several settings on one image, each with several seeds, and a table of their scores."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip import images, runs
from dip.api import DEFAULTS, raise_interrupt
from dip.api.assemble import assemble
from dip.api.isolation import isolated
from dip.configuration import schema
from dip.configuration.commands import words
from dip.errors import DipError, OptionError, RunError
from dip.fitting import experiment
from dip.fitting.pictures import Pictures
from dip.options import log
from dip.targets import Degraded
from dip.targets.target import Simulated

if TYPE_CHECKING:
    import pandas

    from dip.images import Picture
    from dip.sweep.jobs import Job

SCORES = ("psnr", "ssim", "psnr_y", "psnr_hole", "steps", "seconds", "restored_step", "oracle_psnr")
"""The first columns of the table, as far as the runs have them; `status` follows."""

REPEATS = {"restored_step": "steps", "oracle_psnr": "psnr"}
"""Columns that are left out where they equal another one in all rows."""

ARGUMENTS = {"image": "dip.compare('photo.png', variants)", "out": 'out="runs"', "seed": "seeds=[0, 1, 2]"}
"""Options that no variant may have, because they are the same for all, with an example."""


def compare(
    image: Any,
    variants: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int] = (0,),
    *,
    out: str | os.PathLike[str] | None = "outputs/compare",
    jobs: int | None = None,
    progress: bool = True,
    **options: Any,
) -> pandas.DataFrame:
    """Fit one image with each of `variants` and each of `seeds`, in processes as a sweep does, and compare the scores.

    Variants with objects or functions, which cannot be passed to another process, run in this one after the others.

    The run folders are kept in `out`: the same call finds the runs that have finished and resumes interrupted ones, and
    `python -m dip.report OUT` makes a page of them. Needs pandas: `pip install 'deep-image-prior[pandas]'`.

    Args:
        image: as for `dip.restore`.
        variants: by name, the options that differ, as for `dip.restore`.
        seeds: of each variant.
        out: the folder in which the run folders are made and kept; None keeps no files.
        jobs: runs at a time; None: as many as the GPUs take, or without a GPU one per two cores.
        progress: print a line per run.
        options: of all variants, such as `reference`, `target` (default: degraded), `steps`; `wait=False` starts runs also
            while other sweeps use all devices.

    Returns:
        A row per run with the index (variant, seed). Columns: `psnr` in dB and `ssim` of the restored image, `steps`,
        `seconds`; `restored_step` and `oracle_psnr`, the best recorded, where they differ from `steps` and `psnr`;
        `status` (finished, stopped, failed or interrupted), `error` if a run has failed, the PSNR of baselines, and with
        `out` the run `folder`, whose `result.json` holds more. See `dip.curves` for the course of the runs.

    Raises:
        DipError: an option of a variant is illegal, before any run starts; or pandas is not installed.

    >>> import dip
    >>> tiny = {"size": 32, "steps": 10, "net": {"channels": 8, "depth": 3}}
    >>> variants = {"few": {"skips": [2]}, "many": {"skips": [1, 2]}}
    >>> table = dip.compare("camera", variants, seeds=[0, 1], target="noisy", **tiny)
    >>> table.shape[0], table["status"].unique().tolist()
    (4, ['finished'])
    >>> scores = table.groupby("variant")["psnr"].agg(["mean", "std"])
    >>> scores.to_latex("scores.tex"), table.to_csv("runs.csv")
    (None, None)
    >>> by_step = dip.curves(table).groupby(["variant", "step"])["psnr"].mean().unstack("variant")
    >>> by_step.plot(logx=True, ylabel="PSNR, dB").figure.savefig("curves.png")
    """
    pandas = _pandas()
    dicts = isinstance(variants, Mapping) and all(isinstance(each, Mapping) for each in variants.values())
    if not dicts or not variants:
        example = "variants={'wide': {'net': {'channels': 64}}}"
        raise OptionError("variants", variants, "a dict of dicts of options", example)
    if not isinstance(seeds, Iterable) or not (seeds := tuple(seeds)):
        raise OptionError("seeds", seeds, "a sequence of integers", "seeds=[0, 1, 2]")
    if "seed" in options:
        raise OptionError("seed", options["seed"], "seeds, a sequence of integers", "seeds=[0, 1, 2]")
    if out is None:
        with tempfile.TemporaryDirectory(prefix="dip-") as kept:
            table = compare(image, variants, seeds, out=kept, jobs=jobs, progress=progress, **options)
        return table.drop(columns="folder")
    planned: dict[tuple[str, int], Job] = {}
    here: dict[Path, tuple[Job, Pictures]] = {}
    with isolated():
        for name, variant in variants.items():
            own = {"target": "degraded", **DEFAULTS, **options, **variant}
            try:
                for option, example in ARGUMENTS.items():
                    if option in variant:
                        raise OptionError(option, variant[option], "an argument of dip.compare", example)
                for seed in seeds:
                    planned[name, seed], in_memory = _job({**own, "image": image, "seed": seed, "out": out})
                    if in_memory is not None:
                        here[planned[name, seed].folder] = planned[name, seed], in_memory
            except DipError as error:
                raise DipError(f"variant {name!r}: {error}") from error
    if not any(_scored(job.config) for job in planned.values()):
        log.warning(
            "dip.compare: the table will have no scores without a clean image; reference=IMAGE, or a target that simulates "
            'damage on a good photo, such as target="noisy", adds the PSNR'
        )
    named: dict[Path, tuple[Job, str]] = {}
    for (name, seed), job in planned.items():  # variants that mean the same run share its folder
        named.setdefault(job.folder, (job, f"{name}, seed {seed}"))
    _run({job: text for folder, (job, text) in named.items() if folder not in here}, jobs, progress)
    for folder, (job, in_memory) in here.items():
        _run_here(job, in_memory, named[folder][1] if progress else None)
    return _table(pandas, planned)


def curves(table: pandas.DataFrame) -> pandas.DataFrame:
    """The records of the runs in a table of `compare`: a row per variant, seed and step.

    The columns are those of `metrics.csv`: `step`, `loss`, `psnr` (of the output, dB), `psnr_ema` (of the average), ...
    """
    pandas = _pandas()
    if "folder" not in table:
        raise DipError("dip.curves: needs the run folders, which out=None does not keep; leave out= out of dip.compare")
    records = {key: runs.history(folder) for key, folder in table["folder"].items()}
    parts = {key: pandas.DataFrame(columns) for key, columns in records.items() if columns}
    if not parts:
        raise DipError("dip.curves: no run has records; of a run in tiles, figures/tiles.png shows them for each tile")
    found = pandas.concat(parts, names=["variant", "seed"]).reset_index(["variant", "seed"])
    return found.reset_index(drop=True).astype({"step": int})


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise DipError("dip.compare needs pandas: pip install 'deep-image-prior[pandas]'") from None
    return pandas


def _job(options: Mapping[str, Any]) -> tuple[Job, Pictures | None]:
    """The run with `options`, and its pictures if it must run in this process.

    For a process of its own, its arrays are written to files.
    """
    from dip.sweep.jobs import Job

    config, given = assemble(options)
    pictures = Pictures(config, given)
    if schema.unregistered(config) or config.target.raw:
        return Job(config, (), experiment.place(config, pictures)[1]), pictures
    for option, picture in given.items():
        group, _, name = option.rpartition(".")
        owner = getattr(config, group) if group else config
        setattr(owner, name, _stored(picture, option, pictures.digest(option), config.out))
    return Job(config, words(config), experiment.place(config)[1]), None


def _scored(config: schema.Config) -> bool:
    """Whether a run has a reference: given, or the image on which its target simulates the damage."""
    target = config.target
    real = isinstance(target, Degraded) or (isinstance(target, Simulated) and target.real_damage() is not None)
    return config.reference is not None or not (real or target.raw)


def _stored(picture: Picture, option: str, digest: str | None, out: str) -> str:
    """The path of a file with the same pixels."""
    exact = picture.mode == "float32" or picture.pixels.shape[1] not in (1, 3)
    path = Path(out) / "inputs" / f"{str(digest)[:16]}.{'tif' if exact else 'png'}"
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{path.parent}: cannot be written ({error.strerror}); choose another with out=FOLDER"
            ) from None
        images.save(path, picture.pixels, picture)
    if not images.load(path, option).pixels.equal(picture.pixels):
        raise DipError(f"{option}: this array cannot be stored exactly; give the path of a file")
    return str(path)


def _run(jobs: Mapping[Job, str], at_once: int | None, progress: bool) -> None:
    """Run the jobs that have not finished; the values are their names.

    A signal ends the others with a checkpoint and reaches the caller.
    """
    from dip.sweep import chosen
    from dip.sweep.dispatch import Loop
    from dip.sweep.progress import Progress

    launcher = chosen(jobs=at_once)
    launcher.prepare([*jobs])
    shown = Progress([*jobs], None if progress else io.StringIO(), jobs)
    loop = Loop([*jobs], launcher.start, shown, others=launcher.others)
    loop.run()
    if loop.signal is not None:
        signal.raise_signal(loop.signal)
        raise RunError("the comparison was interrupted; the same call resumes it unless out=None")


def _run_here(job: Job, pictures: Pictures, name: str | None) -> None:
    """Run one job in this process, and print its status after its `name`, unless that is None.

    An error is written into its `result.json`; a signal reaches the caller.
    """
    from dip import tiles
    from dip.sweep.outcomes import fail

    with isolated():
        try:
            prepare = tiles.prepare(job.config)
            result = experiment.run(job.config, progress=False, pictures=pictures, prepare=prepare)
        except Exception as error:
            failed = fail(job, error, write=(runs.read_result(job.folder) or {}).get("status") != "failed")
            result = {"status": "failed", "error": failed.error}
    if name is not None:
        print(": ".join([str(result["status"]), name, *filter(None, [result.get("error")])]), file=sys.stderr)
    raise_interrupt(result)


def _table(pandas: Any, planned: Mapping[tuple[str, int], Job]) -> pandas.DataFrame:
    from dip.report.collect import collect
    from dip.report.tables import results

    there = {run.path.resolve(): run for run in collect(next(iter(planned.values())).folder.parent)}
    rows = []
    for (variant, seed), job in planned.items():
        run = there[job.folder.resolve()]
        numbers = results(run)
        scores: dict[str, Any] = {name: numbers[name] for name in SCORES if name in numbers}
        scores |= {"status": run.status, "error": run.result.get("error")}
        scores |= {f"{name}_psnr": numbers.get(f"{name}_psnr") for name in run.result.get("baselines") or ()}
        rows.append({"variant": variant, "seed": seed, **scores, "folder": str(job.folder)})
    found = pandas.DataFrame(rows).set_index(["variant", "seed"])
    same = [name for name, other in REPEATS.items() if name in found and found[name].equals(found[other])]
    return found.drop(columns=[*same, *(["error"] if found["error"].isna().all() else [])])

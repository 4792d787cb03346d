"""The command line: `deep-image-prior`, `python -m dip` and `python train.py` are the same program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(composed: DictConfig) -> float | None:
    """Run one experiment. Returns its score (see `dip.sweep.score`), which an optimising sweeper should maximise."""
    from hydra.core.hydra_config import HydraConfig

    from dip import runs, sweep
    from dip.configuration import cli, composition

    with cli.errors_in_one_line():
        options = composition.read(composed, sys.argv[1:])
        from dip import tiles  # imported late: --help and sweeps do not need torch
        from dip.fitting import experiment

        hydra = HydraConfig.get()
        prepare = tiles.prepare(options, sweep.chosen(options.out, hydra))
        result = experiment.run(options, list(hydra.overrides.task), prepare=prepare)
        if runs.lacks_figures(result["folder"]):
            from dip.report.figures.run import draw

            draw(result["folder"])
    if result["status"] == "interrupted":
        sys.exit(128 + result["signal"])
    return sweep.score(result, result["folder"])


def main() -> None:
    """Run the command line in `sys.argv`."""
    try:
        _main()
    except KeyboardInterrupt:  # during the imports
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _main() -> None:
    from dip.configuration import cli, shipped

    cli.ignore_checkpoint_requests()  # first: the imports below take time
    if {"--help", "-h"} & set(sys.argv):
        # Hydra's own help takes three times as long.
        from dip.configuration.help import help_text

        with cli.closed_pipe_ignored():
            print(help_text(sys.argv[1:]))
        sys.exit()
    if "--version" in sys.argv:
        print(f"deep-image-prior {shipped.version()}")
        sys.exit()
    import hydra

    from dip import sweep
    from dip.configuration import aliases, composition

    composition.register()
    sweep.register()
    with cli.errors_in_one_line():
        cli.refuse_unknown_flags(sys.argv[1:])
        words = aliases.replaced(cli.flags_first(shipped.with_sweeps(sys.argv[1:])))
        sys.argv[1:] = cli.adapted(words)
        hydra.main(version_base="1.3", config_path=str(shipped.path("conf")), config_name="config")(run)()


if __name__ == "__main__":
    main()

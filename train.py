"""Fits one network to one image: `python train.py --help` lists what can be said."""

import sys

from dip.configuration import cli

if __name__ == "__main__":
    cli.outlive_requests()  # before all that takes time

import hydra
from omegaconf import DictConfig

from dip import runs, sweep
from dip.configuration import schema

schema.register()
sweep.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(composed: DictConfig) -> None:
    """One run, from the composed options to its folder."""
    with cli.errors_in_one_line():
        options = schema.read(composed)
        from dip.fitting import experiment  # only now: a launcher and --help need none of it

        result = experiment.run(options, cli.overrides())
        if runs.lacks_figures(result["folder"]):
            from dip.report.figures.run import draw

            draw(result["folder"])
    if result["status"] == "interrupted":
        sys.exit(128 + result["signal"])


if __name__ == "__main__":
    if {"--help", "-h"} & set(sys.argv):
        # Hydra takes three times as long, most of it for lists that ours has too.
        from dip.configuration.help import help_text

        with cli.shown_as_far_as_read():
            print(help_text())
        sys.exit()
    sys.argv[1:] = cli.files_quoted(cli.flags_first(sys.argv[1:]))
    with cli.errors_in_one_line():
        main()

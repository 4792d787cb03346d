"""The files that come with the package: `conf/` and `sweeps/`. They lie in the installed package or in the checkout."""

from collections.abc import Sequence
from pathlib import Path

from dip.errors import DipError

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = (_PACKAGE / "conf").is_dir()


def path(name: str) -> Path:
    """The file or folder `name`, for example "conf" or "sweeps/figure3.yaml"."""
    return (_PACKAGE if _INSTALLED else _PACKAGE.parent) / name


def names(folder: str) -> list[str]:
    """The names of the YAML files in `folder`, without suffix: `names("sweeps")`."""
    return sorted(file.stem for file in path(folder).glob("*.yaml"))


def version() -> str:
    """The version of the installed package, or of the checkout."""
    import importlib.metadata
    import tomllib

    if _INSTALLED:
        return importlib.metadata.version("deep-image-prior")
    return str(tomllib.loads(path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def program() -> list[str]:
    """The arguments with which a Python interpreter runs the command line in a new process, from any folder."""
    # -P: a folder called dip in the working directory must not replace the installed package.
    return ["-P", "-m", "dip"] if _INSTALLED else [str(path("train.py"))]


def with_sweeps(arguments: Sequence[str]) -> list[str]:
    """`arguments` with the folder of the shipped sweep files added, so that `-cn figure3` works from any folder.

    `-cd sweeps` means the same, unless the working directory has a folder of that name. Another `-cd` is kept. If it
    lacks the file that `-cn` names, and a shipped sweep has that name, both are searched: `-cd mine -cn leaderboard`.

    Raises:
        DipError: `-cd` names a folder of sweep files, and no `-cn` names one of them.
    """
    from hydra._internal.utils import get_args_parser

    from dip.configuration.commands import text

    typed = get_args_parser().parse_known_intermixed_args(arguments)[0]
    folder, name = typed.config_dir, typed.config_name
    ours = bool(name) if folder is None else folder.rstrip("/") == "sweeps" and not Path(folder).is_dir()
    place = path("sweeps") if ours else Path(folder or ".").absolute()
    # A folder of experiments or of other choices needs no -cn.
    if folder and not name and (found := names(str(place))) and not any(place.glob("*/*.yaml")):
        raise DipError(f"-cd {folder}: add -cn and one of {', '.join(found)}, for example -cd {folder} -cn {found[0]}")
    both = bool(folder and name) and name in names("sweeps") and not Path(folder, f"{name}.yaml").is_file()
    searched = (
        [f"hydra.searchpath=[{text(f'file://{Path(folder).resolve()}')}]"] if both and Path(folder).is_dir() else []
    )
    # The last --config-dir counts.
    return [*arguments, f"--config-dir={path('sweeps')}", *searched] if ours or searched else [*arguments]

"""The command line takes flags in any order and file names of any kind."""

import signal
from pathlib import Path

import pytest

from dip.configuration import cli, shipped
from dip.errors import DipError
from tests.conftest import TINY, Main, composed


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["target=noisy", "-m", "seed=0,1"], ["-m", "target=noisy", "seed=0,1"]),
        (["seed=1", "-cd", "a=b", "+x=1", "-cn", "c", "~y=2"], ["-cd", "a=b", "-cn", "c", "seed=1", "+x=1", "~y=2"]),
        (["seed=1", "~skips", "--cfg", "job"], ["--cfg", "job", "seed=1", "~skips"]),
        (["--cfg", "job", "skips=[3,4]"], ["--cfg", "job", "skips=[3,4]"]),
        (["image=-x=1.png", "--multirun"], ["--multirun", "image=-x=1.png"]),
        ([], []),
    ],
)  # fmt: skip
def test_flags_in_any_order(typed: list[str], taken: list[str]):
    assert cli.flags_first(typed) == taken


NAMES = ["plain.png", "photo (1).png", "Küche.png", "a[1].png", "a'b.png", 'a"b.png', "#1.png", "a,b.png", "{x}.png"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_name(name: str, tmp_path: Path):
    path = tmp_path / name
    path.touch()
    words = cli.adapted([f"{option}={path}" for option in ("image", "target.mask", "out")])
    found = composed("target=inpaint", *words)
    assert found.image == found.target.mask == found.out == str(path)


def test_a_comma_in_the_name_of_a_file_does_not_split_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.png").touch()
    assert cli.adapted(["-m", "image=a,b.png"]) == ["-m", "image='a,b.png'"]
    assert cli.adapted(["-m", "image=photos/*.jpg,c.png"]) == ["-m", "image=photos/*.jpg,c.png"]


def test_only_files_are_quoted():
    typed = ["-m", "image=a.png,b.png", "skips=[3,4]", "reference=null", "image='a (1).png'", "target.mask=black"]
    assert cli.adapted(typed) == typed
    assert cli.adapted(["image=a.png,b.png"]) == ["image=a.png,b.png"]  # two files, or a forgotten -m
    assert cli.adapted(["image=~/a.png"]) == [f"image={Path.home()}/a.png"]


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("size=(256,128)", "size=[256,128]"), ("skips=(3,)", "skips=[3]"), ("skips=()", "skips=()"),
        ("steps=1e4", "steps=10000"), ("net.depth=2E0", "net.depth=2"), ("steps=1.5e0", "steps=1.5e0"),
        ("lr=1e2", "lr=100"), ("lr=1e-2", "lr=1e-2"), ("image=1e4", "image=1e4"), ("image=a(1).png", "image='a(1).png'"),
    ],
)  # fmt: skip
def test_numbers_as_in_python(typed: str, taken: str):
    assert cli.adapted([typed]) == [taken]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--image=x.png"], "--image=x.png: an option is written without dashes, image=x.png; "),
        (["--steps", "100"], "--steps: an option is written without dashes, steps=...; "),
        (["-x", "steps=1"], "-x: there is no such flag; "),
        (["--config=x"], "ambiguous option: --config=x could match "),
        (["-cn"], "argument --config-name/-cn: expected one argument; "),
    ],
)
def test_flags_that_do_not_exist_are_one_line(typed: list[str], message: str):
    with pytest.raises(DipError) as caught:
        cli.refuse_unknown_flags(typed)
    assert str(caught.value) == f"{message}options are written name=value, for example image=photo.png" or (
        "could match" in message and str(caught.value).startswith(message)
    )


def test_the_version_and_a_flag_from_the_command_line(main: Main):
    assert main("--version") == (0, f"deep-image-prior {shipped.version()}\n", "")
    status, printed, error = main("--image=x.png")
    assert (status, printed, error.count("\n")) == (1, "", 1)
    assert error.startswith("error: --image=x.png: an option is written without dashes")
    status, printed, _ = main("steps=2", "--cfg", "job", "seed=7")
    assert status == 0
    assert "seed: 7" in printed


@pytest.mark.parametrize(("out", "reason"), [("file", "File exists"), ("file/outputs", "Not a directory")])
def test_an_out_folder_that_cannot_be_made_is_one_line(main: Main, tmp_path: Path, out: str, reason: str):
    (tmp_path / "file").touch()
    place = tmp_path / out
    line = f"error: out={place}: cannot be created ({reason}); choose another folder, for example out=outputs\n"
    assert main("-m", "steps=2", f"out={place}") == (1, "", line)
    status, printed, errors = main(*TINY, "steps=2", f"out={place}")
    assert (status, printed) == (1, "")
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert line.endswith(
        "cannot be used as a run folder (Not a directory); choose another with out=FOLDER, for example out=outputs"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupt_during_the_imports_is_one_word(main: Main, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dip.configuration.cli.ignore_checkpoint_requests", lambda: signal.raise_signal(signal.SIGINT))
    assert main("--version") == (130, "", "interrupted\n")

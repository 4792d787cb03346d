"""Minimal environments and unusual image shapes."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, TINY
from tests.fitting.test_lightning_alone import LAUNCHERS

ANY_LAUNCHER = {name: value for launcher in LAUNCHERS.values() for name, value in launcher.items()}
SOURCES = [path for path in [ROOT / "train.py", *(ROOT / "dip").rglob("*.py")] if path.is_file()]


@pytest.mark.fault(26)
def test_a_run_without_home_git_locale_and_network(tmp_path):
    """In a job of any launcher. The source tree is read-only, the network closed by a namespace if the system allows one."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("train.py", "conf", "dip"):
        place = ROOT / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, source / name)
    for path in [source, *source.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o555)
    python = [sys.executable, "-B", str(source / "train.py")]
    given = [*TINY, "steps=3", "device=cpu", "logger=tensorboard", f"out={tmp_path / 'outputs'}"]
    unshare = shutil.which("unshare")
    closed = [unshare, "--net"] if unshare and os.geteuid() == 0 else []
    if closed and subprocess.run([*closed, "true"], capture_output=True, check=False).returncode:
        closed = []
    done = subprocess.run(
        [*closed, *python, *given], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"LC_ALL": "C", "PATH": "/nowhere", "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)} | ANY_LAUNCHER,
    )  # fmt: skip
    for path in [source, *source.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "outputs").glob("*/images/restored.png"))) == 1
    assert list((tmp_path / "outputs").glob("*/events.out.tfevents.*"))


@pytest.mark.fault(26)
def test_tensorboard_listens_on_localhost_only():
    text = [path.read_text() for path in [*SOURCES, ROOT / "README.md", ROOT / "Makefile"]]
    assert any("tensorboard" in one for one in text)
    assert not any(word in one for one in text for word in ("--bind_all", "bind_all", "0.0.0.0"))

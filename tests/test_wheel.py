"""The wheel: everything works once it is installed, in an environment without the checkout."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, environment

pytest.importorskip("hatchling", reason="the wheel is built without network")

SMALL = ("size=32", "steps=6", "net.depth=2", "net.channels=4", "skips=[2]", "precision=fp32", "record_every=3")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """The folder of programs of a new environment. It has the wheel and the packages of the present environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", programs / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True)
    # Paths in a .pth file are importable, but their own .pth files, an editable install of ours among them, are not read.
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (next(folder.glob("lib/*/site-packages")) / "packages.pth").write_text("\n".join(packages) + "\n")
    return programs


@pytest.fixture
def run(programs, tmp_path):
    """`run("deep-image-prior", "steps=2")`: what a program of that environment prints, run in `tmp_path`."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 36, 3), np.uint8)).save(tmp_path / "photo.png")
    own = {name: value for name, value in environment().items() if name != "PYTHONPATH"}

    def call(program: str, *arguments: str) -> str:
        command = [str(programs / program), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def test_the_wheel_has_the_package_and_its_configuration_files_only(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert all(name.startswith("dip/") for name in names)
    for folder, pattern in (("conf", "**/*.yaml"), ("sweeps", "*.yaml"), ("dip/report/templates", "*")):
        files = {f"dip/{path.relative_to(ROOT)}".replace("dip/dip/", "dip/") for path in (ROOT / folder).glob(pattern)}
        assert files
        assert files <= set(names)
    assert not any(name.startswith("dip/sweeps/results") for name in names)


def test_from_python(run, programs):
    code = (
        "import dip; print(dip.__file__); "
        "result = dip.restore('photo.png', experiment='fast', size=32, steps=6, skips=[2], "
        "net={'channels': 4, 'depth': 2}, precision='fp32', progress=False); print(result.image.shape)"
    )
    file, shape = run("python", "-c", code).splitlines()[-2:]
    assert Path(file).is_relative_to(programs.parent)
    assert shape == "(32, 32, 3)"


def test_from_the_command_line(run):
    shown = run("deep-image-prior", "--help")
    shipped = [*(ROOT / "conf" / "experiment").glob("*.yaml"), *(ROOT / "sweeps").glob("*.yaml")]
    assert {path.stem for path in shipped} <= set(shown.split())


def test_a_sweep_file_and_a_report(run, tmp_path):
    (tmp_path / "dip").mkdir()
    (tmp_path / "dip" / "__init__.py").write_text("raise ImportError('not this one')")
    for flags, ended in (
        (["-cn", "figure3"], "1 finished"),
        (["-cd", "sweeps", "-cn", "figure3"], "1 finished before"),
    ):
        shown = run("deep-image-prior", *flags, "experiment=fast", "target=degraded", "image=photo.png", *SMALL)
        assert shown.splitlines()[-2].endswith(f": {ended}")
        assert "report: outputs/figure3/report.html" in shown
    (restored,) = tmp_path.glob("outputs/figure3/*/images/restored.png")
    with Image.open(restored) as image:
        assert image.size == (32, 32)
    (tmp_path / "dip" / "__init__.py").unlink()
    (tmp_path / "dip").rmdir()
    report = tmp_path / "outputs" / "figure3" / "report.html"
    report.unlink()
    run("python", "-m", "dip.report", "outputs/figure3")
    assert "photo.png" in report.read_text()

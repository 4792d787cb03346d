"""The examples of EXTENDING.md run as they stand, with smaller numbers, and are short."""

import re

import pytest
from PIL import Image

import dip
from tests.conftest import ROOT

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", (ROOT / ".github" / "EXTENDING.md").read_text(), re.MULTILINE | re.DOTALL
)


def test_there_is_a_short_one_for_each_part():
    for part in ("net=", "stop=", "loss=", "optimizer="):
        (found,) = (text for text in EXAMPLES if f'"photo.png", {part}' in text)
        assert len(found.strip().splitlines()) <= 15


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_runs(example, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Image.radial_gradient("L").convert("RGB").resize((24, 20)).save("photo.png")
    restore, small = dip.restore, {"steps": 3, "z": {"channels": 4}, "progress": False, "out": "outputs"}
    if "net=" not in example:
        small |= {"net": {"channels": 6, "depth": 2}, "skips": [1]}
    monkeypatch.setattr(dip, "restore", lambda *given, **options: restore(*given, **options, **small))
    made = {"dip": dip, "__name__": "example"}
    exec(compile(example, "example.py", "exec", dont_inherit=True), made)
    assert made["result"].metrics["status"] == "finished"
    assert made["result"].image.shape == (20, 24, 3)

"""The quality of a JPEG file, against the quality that Pillow was told."""

from __future__ import annotations

import pytest
from PIL import Image

from dip.images.jpeg_quality import file_quality


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [10, 20, 30, 50, 75, 95])
def test_the_quality_of_the_encoder_is_found(tmp_path, quality: int, mode: str) -> None:
    Image.new(mode, (20, 12)).save(tmp_path / "photo.jpg", quality=quality)
    assert file_quality(tmp_path / "photo.jpg") == pytest.approx(quality, abs=5 if quality == 10 else 1)


def test_other_files_have_none(tmp_path) -> None:
    Image.new("RGB", (20, 12)).save(tmp_path / "photo.png")
    (tmp_path / "text.jpg").write_text("no image")
    for name in ("photo.png", "text.jpg", "missing.jpg", "."):
        assert file_quality(tmp_path / name) is None

"""HEIC photographs, and the message where they cannot be decoded."""

import base64
import sys

import numpy as np
import pytest

from dip.errors import ImageError
from dip.images import load, to_array

# 48 x 32 pixels: red 5 x, green 7 y, blue 128; encoded once, because pi-heif only decodes.
PHOTO = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAQMAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5j"
    "bHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAADAAAAABAAAAIAAAAAH////wAAAAAv///+AAAAACAAAAEHBp"
    "eGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAQttZGF0AAAA/ygBrwY45cWD7qYjewdBzADqwE2onT8hClxTbnCk"
    "a75ZKvpB1Wu0j6DhkBqKzymAWpM32/gn2/2wma14KG65Bl75ZQP/AIPPQExRThMuOsiJhqlx++7NXGaWcsAcQPAIr7UPUY+8I/+R"
    "triPyk+C38jdVcroUbmGFYwgN95kKXLlU5gNGzSlMW4tX1a6k+vKv3CNHQlzA2oXgsK1dk7iKk3b7bEebRVQlfddaWPtziNpalMP"
    "XpjxM/TdWE6liw6jdbB7anYJ56EWZ8OC2Bm1sxSxwsjeVK4dM3aqtCDm85Jt476W1iCGQa9wo47ODvElD7PCn2G20oPYePMGHc5x"
    "gA=="
)


def test_a_photo_is_decoded(tmp_path):
    pytest.importorskip("pi_heif")
    (tmp_path / "a.heic").write_bytes(PHOTO)
    picture = load(tmp_path / "a.heic")
    y, x = np.mgrid[:32, :48]
    expected = np.stack([5 * x, 7 * y, np.full_like(x, 128)], axis=2) / 255
    assert picture.mode == "uint8"
    assert picture.alpha is None
    np.testing.assert_allclose(to_array(picture.pixels), expected, atol=0.03)
    with pytest.raises(ImageError, match="truncated, damaged"):
        load(PHOTO[:400])


def test_without_the_package_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    (tmp_path / "a.heic").write_bytes(PHOTO)
    with pytest.raises(ImageError, match=r"pi-heif; give .* for example pip install 'deep-image-prior\[heic\]'$"):
        load(tmp_path / "a.heic")

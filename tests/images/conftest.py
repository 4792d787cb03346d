"""Helpers of the tests of images: random pixels, the chunks of a PNG, files."""

import os
import struct
import zlib
from contextlib import contextmanager

import numpy as np
import pytest


def random(shape, dtype=np.uint8, seed=0):
    """Uniform random integers over the whole range of `dtype`."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def chunk(name, data):
    """A chunk of a PNG: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.fixture
def file(tmp_path):
    """`file(data, name)` writes bytes to a file and returns its path."""

    def write(data, name="photo.png"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@contextmanager
def nobody():
    """Act as the user nobody, since root may read and write every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)

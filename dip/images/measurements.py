"""Raw measurements: values of any shape, read from the same files as images but not interpreted as one."""

from __future__ import annotations

from typing import Any

from dip.images.decoding import read_array
from dip.images.picture import located, refused
from dip.images.stored import Array, Unreadable


def read_values(source: Any, option: str = "image") -> Array:
    """The values in a file or an object, as they are stored.

    Args:
        source: as for `dip.images.load`: a path, which may be FILE:KEY for files of several arrays, an open file, an
            array, a tensor, ...
        option: the option that the source was given for; error messages begin with it.

    Returns:
        Bool, integers, floats or complex numbers of any shape. NaN and infinite values are kept. A picture, such as a
        PNG file, is (H, W) or (H, W, C), without its alpha.

    Raises:
        ImageError: the source cannot be used. The message is one line.
    """
    place, key, _ = located(source)
    try:
        return read_array(place, key)
    except Unreadable as error:
        raise refused(source, option, error) from None

"""What a user is told when something cannot be done: one line, no traceback.

Everything that a user can cause derives from `DipError`; the entry point prints its message and exits with a
non-zero status. A broken invariant of our own is an `assert`, never one of these.
"""

from __future__ import annotations


class DipError(Exception):
    """Base of every error that a user can cause. Its text is one line, complete in itself."""


class OptionError(DipError, ValueError):
    """An option has a value that it cannot take.

    The message names the option, the value, what is legal and an example::

        target.sigma=-1: must be a number >= 0, for example target.sigma=0.1
    """

    def __init__(self, option: str, got: object, legal: str, example: str) -> None:
        self.option, self.got, self.legal, self.example = option, got, legal, example
        super().__init__(f"{option}={_plain(got)}: must be {legal}, for example {example}")

    def __reduce__(self) -> tuple[type[OptionError], tuple[str, object, str, str]]:
        # Exceptions travel between processes in sweeps; the default pickles only the message.
        return OptionError, (self.option, str(self.got), self.legal, self.example)


class ImageError(DipError, ValueError):
    """A file cannot be read as one image, or is not one that can be restored."""


class RunError(DipError, RuntimeError):
    """A run folder, its lock or its checkpoints do not allow what was asked."""


class NotFiniteError(RunError):
    """A checkpoint was not written, since its weights are not finite; the one before it stays."""


class DivergedError(DipError, RuntimeError):
    """The fit produced numbers that are not finite, and going back did not help."""


def _plain(value: object) -> str:
    """`value` as it is typed on a command line, on one line and not longer than a user can read."""
    text = "null" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= 80 else text[:77] + "..."

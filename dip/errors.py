"""Errors that a user can cause: one line, no traceback.

They derive from `DipError`; the entry point prints the message and exits with a non-zero status. A broken invariant of
this program is an `assert`.
"""

from __future__ import annotations

import re


class DipError(Exception):
    """Base of all errors that a user can cause. Its message is one complete line."""


class OptionError(DipError, ValueError):
    """An option has an illegal value.

    The message names the option, the value, the legal values and an example::

        seed=-1: must be an integer >= 0, for example seed=1
    """

    def __init__(self, option: str, got: object, legal: str, example: str) -> None:
        self.option, self.got, self.legal, self.example = option, got, legal, example
        text = "null" if got is None else re.sub(r" at 0x[0-9a-f]+>", ">", str(got)).replace("\n", " ")
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"{option}={shown}: must be {legal}, for example {example}")

    def __reduce__(self) -> tuple[type[OptionError], tuple[str, object, str, str]]:
        # Sweeps send exceptions from process to process; by default only the message would be pickled.
        return OptionError, (self.option, str(self.got), self.legal, self.example)


class ImageError(DipError, ValueError):
    """A file or an array cannot be read as an image, or cannot be restored."""


class RunError(DipError, RuntimeError):
    """A run folder, its lock or its checkpoints do not allow the request."""


class NotFiniteError(RunError):
    """A checkpoint was not written because its weights are not finite; the previous checkpoint is kept."""


class DivergedError(DipError, RuntimeError):
    """The fit diverged (values that are not finite), and the rollbacks did not help."""

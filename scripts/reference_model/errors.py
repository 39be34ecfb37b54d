"""The one error that users of the training script see: a single line, without a traceback."""

from __future__ import annotations


class UserInputError(ValueError):
    """Something the user gave or must provide is missing or wrong; the message says what to do."""

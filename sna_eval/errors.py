"""What a user can get wrong, said in one line.

`InputError` is raised wherever a plan, an argument, a file or a task cannot be used as given. On a
command line it ends the program with exit status 2 and its one line, no traceback; in Python it
is an ordinary `ValueError`.
"""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from sna_eval.launched import over, rank, takes

_MOST_PARTS, _DEEPEST = 10_000, 50


class InputError(ValueError):
    """A value from outside that cannot be used.

    **Arguments:**

    - `field`: what was being read, e.g. `"gate.low"` or `"tasks.sna_sst2.interventions[0].layer"`.
    - `expected`: what would have been right.
    - `got`: what came instead; shown with `repr`, shortened.
    - `hint`: what to do about it.
    """

    def __init__(self, field: str, *, expected: str, got: Any, hint: str = "") -> None:
        advice = f"; {hint}" if hint else ""
        super().__init__(f"{field}: expected {expected}, got {_shown(got)}{advice}")
        self.field = field
        self.expected = expected
        self.got = got
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.field, self.expected, self.got, self.hint))


def _shown(value: Any) -> str:
    """A value for a message, shortened."""
    try:
        shown = repr(value) if _parts(value, _MOST_PARTS) > 0 else reprlib.repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return f"a value of type {type(value).__name__} that is too long to show"
    return shown if len(shown) <= 120 else shown[:117] + "..."


def _parts(value: Any, left: int, depth: int = 0) -> int:
    """What is left of a number of parts once a value's are counted; 0 or less: it has more.

    A YAML file of a few lines can hold more parts than any memory, all of them aliases.
    """
    left -= 1
    if depth > _DEEPEST:
        return 0
    if isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            if left <= 0:
                break
            left = _parts(part, left, depth + 1)
    return left


def _rebuild(field: str, expected: str, got: Any, hint: str) -> InputError:
    return InputError(field, expected=expected, got=got, hint=hint)


_DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What reading a file may run into that holds anything in any place."""


@contextmanager
def reading(field: str, *, expected: str, got: Any, hint: str = "") -> Iterator[None]:
    """Whatever a damaged file runs the body into becomes an `InputError` with the reason.

    For the edge where files come in, around a body that only reads.
    """
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        shown = reason if len(reason) <= 200 else reason[:197] + "..."
        advice = f"{hint} ({shown})" if hint else shown
        raise InputError(field, expected=expected, got=got, hint=advice) from error


@contextmanager
def writing(path: Any, *, field: str = "output") -> Iterator[None]:
    """A full disk, a read-only folder and the like become an `InputError` that names the path.

    For the edge where files go out.
    """
    try:
        yield
    except Exception as error:
        reason = _system_reason(error)
        if reason is None:
            raise
        raise InputError(
            field, expected="a path that can be written", got=str(path), hint=reason
        ) from error


_RUST_SYSTEM_ERROR = re.compile(r"(?:.*: )?(?P<reason>[^:]+) \(os error \d+\)", re.DOTALL)


def _system_reason(error: Exception) -> str | None:
    """Why the operating system refused; `None` for errors of another kind.

    safetensors and tokenizers raise exceptions of their own with the system's words in them.
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)
    match = _RUST_SYSTEM_ERROR.search(str(error))
    return None if match is None else match["reason"].strip()


def report(error: InputError) -> None:
    """Prints the one line to standard error: once where several processes meet the same error.

    The line of another process than the first carries its rank.
    """
    line = " ".join(str(error).split())
    if not takes(line):
        return
    mark = f"[rank {rank()}] " if rank() else ""
    print(f"sna-eval: error: {mark}{line}", file=sys.stderr)


def exit_cleanly_on_input_error() -> None:
    """Uncaught `InputError`s end the program with status 2 and one line, under any launcher.

    lm_eval's own command line knows nothing of `InputError`; this reaches it through
    `sys.excepthook`. Every other exception goes to the hook that was there before, but for what
    PyTorch raises because another process of the launch has ended with its line: no more is said.
    """
    previous = sys.excepthook
    if getattr(previous, "_sna_eval", False):
        return

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, InputError):
            report(error)
        elif not (isinstance(error, RuntimeError) and over()):
            previous(kind, error, trace)
            return
        raise SystemExit(2)

    hook._sna_eval = True  # type: ignore[attr-defined]
    sys.excepthook = hook

"""What the processes of one launch print: each message once, before they know one another.

torchrun and accelerate start several processes of one command. An error that all of them meet,
such as a plan that does not exist, is the first one's to print; one that another process alone
meets must not be lost. Processes of a machine find out through files in the folder that the
launcher keeps for them; under one without such a folder the others only wait for their end.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

PATIENCE = 5.0
"""Seconds that the first process has for saying the same, before another one speaks."""
_PAUSE = 0.05
_SAID = "sna-eval-said-"


def rank() -> int:
    """This process's number among those of its launch; 0 where there is but one."""
    return _number("RANK") or _number("LOCAL_RANK")


def takes(text: str) -> bool:
    """Whether it falls to this process to print a text that others may want to print as well.

    The first of a machine's processes prints at once. The others wait: by then it has said the
    same, or their launcher has ended them, or nobody but them has anything to say.
    """
    said = _said(text)
    if _number("LOCAL_RANK"):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not (said and said.exists()):
            time.sleep(_PAUSE)
    return said is None or _created(said)


def over() -> bool:
    """Whether another process of this machine has ended the launch by what it printed."""
    folder = _folder()
    return folder is not None and any(folder.glob(f"{_SAID}*"))


def _said(text: str) -> Path | None:
    folder = _folder()
    name = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return None if folder is None else folder / f"{_SAID}{name}"


def _folder() -> Path | None:
    """Where torchrun, and accelerate with it, lets a launch's processes leave word."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE", "")
    folder = Path(file).parent.parent
    return folder if file and Path(file).parent.is_dir() and folder.is_dir() else None


def _created(path: Path) -> bool:
    """Whether the file was not there yet; true where none can be written, so that all speak."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _number(name: str) -> int:
    value = os.environ.get(name, "0")
    return int(value) if value.isdecimal() else 0

"""Loading a model and tasks for commands that do not evaluate, through lm_eval's own parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.paths import tasks_path


def load_lm(model_args: str | Mapping[str, Any], **extra: Any) -> Any:
    """An `SNALM` from lm_eval's `--model_args`, a string or a mapping.

    **Arguments:**

    - `extra`: arguments that count where `model_args` does not name them, e.g. `gate="never"`.
    """
    from lm_eval.utils import simple_parse_args_string

    from sna_eval.harness.lm import SNALM

    given = simple_parse_args_string(model_args) if isinstance(model_args, str) else model_args
    lm = SNALM(**{**extra, **given})
    if lm.ranks.size > 1:
        raise InputError(
            "processes", expected="one, for a command that does not evaluate", got=lm.ranks.size,
            hint="start it without torchrun or accelerate; Ray spreads a sweep",
        )  # fmt: skip
    return lm


def load_tasks(
    names: Sequence[str],
    *,
    include_path: str | Path | None = None,
    only_bundled: bool = False,
) -> dict[str, Any]:
    """lm_eval tasks by name, glob or group, the bundled ones included: `{name: task}`.

    **Arguments:**

    - `only_bundled`: whether lm_eval's own thousands of tasks are left out. It takes seconds to
        list them, so they are left out anyway where every name is found without.
    """
    paths = [tasks_path(), *([Path(include_path)] if include_path else [])]
    manager = _task_manager(names, paths, only_bundled)
    known = [match for name in names for match in manager.match_tasks([name])]
    missing = [name for name in names if not manager.match_tasks([name])]
    if missing:
        raise InputError(
            "tasks", expected="names that lm_eval knows", got=missing[0],
            hint="name a folder of task YAMLs with --include_path",
        )  # fmt: skip
    return dict(manager.load(list(dict.fromkeys(known)))["tasks"])


def _task_manager(names: Sequence[str], paths: list[Path], only_bundled: bool) -> Any:
    from lm_eval.tasks import TaskManager

    few = TaskManager(include_path=paths, include_defaults=False)
    plain = not any(mark in name for name in names for mark in "*?[")  # a glob may mean more
    if only_bundled or (plain and all(few.match_tasks([name]) for name in names)):
        return few
    return TaskManager(include_path=paths)

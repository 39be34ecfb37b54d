"""From what a user types after `--tasks` to what lm_eval loads: names, globs, files, folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.paths import tasks_path

Spec = str | dict[str, Any]
"""A name that lm_eval knows, or a task's configuration."""
_GLOB = "*?["


def is_path(name: str) -> bool:
    """Whether a task is named by where it lies: a YAML file, a glob of some, or a folder."""
    return name.endswith(".yaml") or Path(name).expanduser().is_dir()


def task_manager(
    names: Sequence[str],
    *,
    include_path: str | Path | None,
    only_bundled: bool,
    metadata: dict[str, Any],
) -> Any:
    """lm_eval's task manager, with its own thousands of tasks only where a name needs them.

    It takes seconds to list them.
    """
    from lm_eval.tasks import TaskManager

    paths = [tasks_path(), *([Path(include_path)] if include_path else [])]
    few = TaskManager(include_path=paths, include_defaults=False, metadata=metadata)
    unknown = [name for name in names if not few.match_tasks([name])]
    open_ones = [name for name in names if any(mark in name for mark in _GLOB)]  # may mean more
    if only_bundled or all(map(is_path, (*unknown, *open_ones))):
        return few
    return TaskManager(include_path=paths, metadata=metadata)


def named_tasks(manager: Any, names: Sequence[str]) -> list[Spec]:
    """What the names mean, each once.

    A name that lm_eval knows means that task, also where a folder is called so.

    **Raises:** `InputError` for a name that means nothing.
    """
    found: list[Spec] = []
    for name in names:
        matches = [] if name.endswith(".yaml") else manager.match_tasks([name])
        specs = matches or (_configurations(name) if is_path(name) else [])
        if not specs:
            raise InputError(
                "tasks", expected="names that lm_eval knows, YAML files or folders of them",
                got=name, hint="name a folder of task YAMLs with --include_path",
            )  # fmt: skip
        found += [spec for spec in specs if spec not in found]
    return found


def _configurations(name: str) -> list[dict[str, Any]]:
    """The tasks of YAML files, without files that others only include."""
    from lm_eval.tasks._yaml_loader import load_yaml

    place = Path(name).expanduser()
    folder, pattern = (place, "*.yaml") if place.is_dir() else (place.parent, place.name)
    read = [dict(load_yaml(path, resolve_func=True)) for path in sorted(folder.glob(pattern))]
    return [config for config in read if {"task", "group", "class"} & config.keys()]

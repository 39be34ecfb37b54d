"""Loading a model and tasks for commands that do not evaluate, through lm_eval's own parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, reading
from sna_eval.paths import REFERENCE_MODEL, tasks_path
from sna_eval.plan.reading import quoted


def model_arguments(model_args: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """lm_eval's `--model_args` as a mapping: a string `a=1,b=2`, JSON, or a mapping already.

    In the order of their names and without stray spaces, so that what was typed in another order
    is equal.

    **Raises:** `InputError` for what is none of these.
    """
    from lm_eval.utils import simple_parse_args_string

    if model_args is None or isinstance(model_args, Mapping):
        found = dict(model_args or {})
    elif model_args.lstrip().startswith("{"):
        found = _from_json(model_args)
    else:
        parts = (part.strip() for part in model_args.split(",") if part.strip())
        pairs = (part.partition("=") for part in parts)
        found = simple_parse_args_string(",".join(f"{k.strip()}={v}" for k, _, v in pairs))
    return {name: found[name] for name in sorted(found)}


def pretrained_name(model_args: str | Mapping[str, Any] | None) -> str:
    """The model that model arguments name, as it was typed: files then hold no machine's paths."""
    return str(model_arguments(model_args).get("pretrained") or REFERENCE_MODEL)


def arguments_of(name: str) -> dict[str, Any]:
    """The model arguments that a name alone stands for: of a folder, of the hub, or of a GGUF file.

    transformers loads such a file by the folder and the file's name in it.
    """
    if not name.endswith(".gguf"):
        return {"pretrained": name}
    path = Path(name)
    return {"pretrained": str(path.parent), "gguf_file": path.name}


def typed_arguments(arguments: Mapping[str, Any]) -> str:
    """Model arguments as `--model_args` takes them, so that `model_arguments` reads them again."""
    plain = ",".join(f"{name}={value}" for name, value in arguments.items())
    return plain if model_arguments(plain) == dict(arguments) else json.dumps(dict(arguments))


def _from_json(text: str) -> dict[str, Any]:
    with reading("model_args", expected="name=value pairs, or a JSON object", got=text):
        return dict(json.loads(text))


def load_lm(
    model_args: str | Mapping[str, Any],
    *,
    plan: str | None = None,
    otherwise: str | None = None,
    **extra: Any,
) -> Any:
    """An `SNALM` from lm_eval's `--model_args`, a string or a mapping.

    **Arguments:**

    - `plan`: as a command's `--plan` names it.
    - `otherwise`: the plan where neither `plan` nor `model_args` names one.
    - `extra`: arguments that count where `model_args` does not name them, e.g. `gate="never"`.

    **Raises:** `InputError` where both name a plan, and not the same one.
    """
    from sna_eval.harness.lm import SNALM

    given = model_arguments(model_args)
    if plan is not None and str(given.get("plan", plan)) != plan:
        raise InputError(
            "model_args.plan", expected=f"no other than --plan {plan}", got=given["plan"],
            hint="name one of them",
        )  # fmt: skip
    named = plan or otherwise
    if named is not None:
        extra["plan"] = named
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
    if not names:
        raise InputError("tasks", expected="at least one name", got="")
    paths = [tasks_path(), *([Path(include_path)] if include_path else [])]
    manager = _task_manager(names, paths, only_bundled)
    known = [match for name in names for match in manager.match_tasks([name])]
    missing = [name for name in names if not manager.match_tasks([name])]
    if missing:
        raise InputError(
            "tasks", expected="names that lm_eval knows", got=missing[0],
            hint="name a folder of task YAMLs with --include_path",
        )  # fmt: skip
    try:
        return dict(manager.load(list(dict.fromkeys(known)))["tasks"])
    except TypeError:  # lm_eval takes every choice for a text
        _check_choices(manager, known)
        raise


def _check_choices(manager: Any, names: Sequence[str]) -> None:
    """Raises `InputError` for a task whose YAML lists a choice that is no text, as `no` is none."""
    known = manager.task_index
    for name in dict.fromkeys([*names, *known]):
        config = getattr(known.get(name), "cfg", None) or {}
        choices = config.get("doc_to_choice")
        if isinstance(choices, dict):
            choices = list(choices.values())
        for number, own in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(own, str):
                raise InputError(
                    f"tasks.{name}.doc_to_choice[{number}]", expected="a text", got=own,
                    hint=quoted(own) or "put it in quotes",
                )  # fmt: skip


def _task_manager(names: Sequence[str], paths: list[Path], only_bundled: bool) -> Any:
    from lm_eval.tasks import TaskManager

    few = TaskManager(include_path=paths, include_defaults=False)
    plain = not any(mark in name for name in names for mark in "*?[")  # a glob may mean more
    if only_bundled or (plain and all(few.match_tasks([name]) for name in names)):
        return few
    return TaskManager(include_path=paths)

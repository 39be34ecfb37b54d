"""Loading a model and tasks for commands that do not evaluate, through lm_eval's own parts.

What a user types after `--tasks` may be names, globs, files or folders.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, reading
from sna_eval.files import REFERENCE_MODEL, tasks_path
from sna_eval.harness.tasks.contexts import TaskArguments
from sna_eval.plan.reading import quoted
from sna_eval.typed import Json

ModelArguments = str | Json
"""lm_eval's `--model_args`: as a command types them, or by name."""


def model_arguments(model_args: ModelArguments | None) -> dict[str, Any]:
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


def pretrained_name(model_args: ModelArguments | None) -> str:
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


def typed_arguments(arguments: Json) -> str:
    """Model arguments as `--model_args` takes them, so that `model_arguments` reads them again."""
    plain = ",".join(f"{name}={value}" for name, value in arguments.items())
    return plain if model_arguments(plain) == dict(arguments) else json.dumps(dict(arguments))


def _from_json(text: str) -> dict[str, Any]:
    with reading("model_args", expected="name=value pairs, or a JSON object", got=text):
        return dict(json.loads(text))


def load_lm(
    model_args: ModelArguments,
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
            hint="start it without torchrun or accelerate; Ray spreads a sweep and a verdict",
        )  # fmt: skip
    return lm


def load_tasks(
    names: Sequence[str],
    *,
    include_path: str | Path | None = None,
    only_bundled: bool = False,
    model_args: ModelArguments | None = None,
    arguments: TaskArguments | None = None,
) -> dict[str, Any]:
    """lm_eval tasks as its `--tasks` names them, the bundled ones included: `{name: task}`.

    **Arguments:**

    - `names`: names, globs, groups, tags, YAML files, folders of them.
    - `only_bundled`: whether lm_eval's own tasks are left out.
    - `model_args`: the model's, which lm_eval hands on to tasks.
    - `arguments`: what else is said of the tasks.

    **Raises:** `InputError` for a name that means nothing, and for a task that does not load.
    """
    import sna_eval.harness.metric_names  # noqa: F401  (tasks may name our metrics)

    if not names:
        raise InputError("tasks", expected="at least one name", got="")
    arguments = arguments or TaskArguments()
    metadata = {**model_arguments(model_args), **arguments.metadata}
    manager = task_manager(
        names, include_path=include_path, only_bundled=only_bundled, metadata=metadata
    )
    specs: list[Spec] = []
    try:
        specs = named_tasks(manager, names)
        tasks = dict(manager.load(specs)["tasks"])
    except InputError:
        raise
    except Exception as error:  # whatever its YAML or its own code stumbles over
        _check_choices(manager, [spec for spec in specs if isinstance(spec, str)])
        raise _not_loaded(names, error) from error
    for task in tasks.values():
        arguments.settle(task)
    return tasks


def _not_loaded(names: Sequence[str], error: Exception) -> InputError:
    """The complaint about a task that cannot be made, with the place where it went wrong."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return InputError(
        "tasks", expected=f"tasks that load: {', '.join(map(str, names))}",
        got=" ".join(f"{type(error).__name__}: {error}".split()),
        hint=f"raised at {last.filename}:{last.lineno}; "
        "what a task's own code asks for is given by --metadata",
    )  # fmt: skip


def _check_choices(manager: Any, names: Sequence[str]) -> None:
    """Raises `InputError` for a task whose YAML lists a choice that is no text, as `no` is none."""
    known = manager.task_index
    for name in dict.fromkeys([*names, *known]):
        config = getattr(known.get(name), "cfg", None) or {}
        choices = config.get("doc_to_choice")
        if isinstance(choices, dict):
            choices = list(choices.values())
        for number, choice in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(choice, str):
                raise InputError(
                    f"tasks.{name}.doc_to_choice[{number}]", expected="a text", got=choice,
                    hint=quoted(choice) or "put it in quotes",
                )  # fmt: skip


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

"""Writes one task's amplification as a PEFT adapter or a checkpoint, for other engines to serve.

The gate is not part of an export; `docs/serving.md` shows how a client applies it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sna_eval.cli.common import (
    add_include_path,
    add_metadata,
    add_model,
    add_prompting,
    task_arguments,
)
from sna_eval.registry import module_names

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM
    from sna_eval.plan import TaskPlan

HELP = "write a plan as an adapter or a checkpoint that other engines serve"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--plan", required=True, help="name of a bundled plan, or a plan file")
    parser.add_argument("--task", required=True, help="the task whose part of the plan is written")
    parser.add_argument(
        "--format", required=True, choices=module_names("sna_eval.export.formats"),
        help="what is written; docs/serving.md says which engine takes which",
    )  # fmt: skip
    parser.add_argument("--output", required=True, help="folder to write, new or empty")
    add_include_path(parser)
    add_metadata(parser)
    add_prompting(parser)


def run(args: argparse.Namespace) -> int:
    from sna_eval.export import Source, export_plan
    from sna_eval.harness.loading import load_lm, model_arguments

    _check_base(args)
    lm = load_lm(args.model_args, plan=args.plan)
    source = Source(
        model=lm.model,
        tokenizer=lm.tokenizer,
        sites=lm.sites,
        task=args.task,
        plan=_task_plan(lm, args),
        name=str(lm.pretrained),
        revision=_revision(lm),
        gguf_file=model_arguments(args.model_args).get("gguf_file"),
        whole_plan=lm.plan,
    )
    folder = export_plan(source, args.output, format=args.format)
    for scaling in source.scalings:
        factors = ", ".join(f"{factor:g}" for factor in dict.fromkeys(scaling.factors.values()))
        units = source.sites.of(scaling.unit).units
        print(f"{source.name_of(scaling)}: {len(scaling.neurons)} {units} x {factors}")
    for vector in source.vectors:
        print(f"block {vector.layer}: a vector of norm {float(vector.values.norm()):.4g}")
    print(f"{folder}: {args.format}, plan {source.plan_hash}, ungated")
    return 0


def _check_base(args: argparse.Namespace) -> None:
    """Raises `InputError` for a model that an adapter's `base_model_name_or_path` does not name."""
    from sna_eval.errors import InputError
    from sna_eval.export.formats import FORMATS
    from sna_eval.harness.loading import model_arguments

    given = model_arguments(args.model_args)
    for name in ("delta", "subfolder"):
        if FORMATS.find(args.format).library == "peft" and given.get(name):
            raise InputError(
                f"model_args.{name}", expected=f"a model by name alone, for {args.format}",
                got=given[name],
                hint="an adapter names its base and no more: save that model in a folder of its "
                "own, and name the folder",
            )  # fmt: skip


def _task_plan(lm: SNALM, args: argparse.Namespace) -> TaskPlan:
    """The task's plan, with neurons searched for where it says `select:`."""
    from sna_eval.errors import InputError
    from sna_eval.harness.loading import load_tasks
    from sna_eval.plan import match_task

    task = args.task
    plan = match_task(lm.plan, task)
    if plan is None:
        raise InputError(
            "task", expected=f"a task that the plan has an entry for ({', '.join(lm.plan.tasks)})",
            got=task,
        )  # fmt: skip
    if plan.resolved:
        return plan
    tasks = load_tasks(
        [task], include_path=args.include_path, model_args=args.model_args,
        arguments=task_arguments(args),
    )  # fmt: skip
    if list(tasks) != [task]:
        raise InputError(
            "task", expected="one task, not a group or glob", got=task,
            hint=f"name one of {', '.join(list(tasks)[:5])}",
        )  # fmt: skip
    resolved = lm.plans.for_task(tasks[task])
    assert resolved is not None, "the plan has an entry for the task"
    return resolved


def _revision(lm: SNALM) -> str | None:
    """The revision asked for; folders have none."""
    from pathlib import Path

    return None if Path(str(lm.pretrained)).is_dir() else lm.revision

"""Flags that several commands have, spelt and read as lm_eval's own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sna_eval.files import REFERENCE_MODEL

if TYPE_CHECKING:
    from sna_eval.harness.tasks.contexts import TaskArguments
    from sna_eval.plan import Plan


class _Joined(argparse.Action):
    """Words after a flag, joined by commas: lm_eval takes `a=1 b=2` as it takes `a=1,b=2`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        words = [values] if isinstance(values, str) else values or ()
        setattr(namespace, self.dest, ",".join(map(str, words)))


class _OldName(argparse.Action):
    """A flag that is called otherwise now: it is taken as ever, and its new name said."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values)
        print(f"sna-eval: note: {option_string} is called --{self.dest} now", file=sys.stderr)


def add_old_name(parser: argparse.ArgumentParser, old: str, *, now: str) -> None:
    """Keeps a flag's name of before working, unlisted."""
    parser.add_argument(
        f"--{old}", dest=now, action=_OldName, default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """`--model_args`, the bundled model where it is not given."""
    parser.add_argument(
        "--model_args", nargs="+", action=_Joined, metavar="NAME=VALUE",
        default=f"pretrained={REFERENCE_MODEL}",
        help=f"as for lm_eval; default: pretrained={REFERENCE_MODEL}",
    )  # fmt: skip


def add_tasks(
    parser: argparse.ArgumentParser,
    *,
    required: bool = False,
    default: str | None = None,
    otherwise: str = "",
) -> None:
    """`--tasks`, `--include_path`, and what else lm_eval lets say of tasks.

    **Arguments:**

    - `otherwise`: which tasks are meant where none is named, for the help.
    """
    known = f"; default: {otherwise or default}" if otherwise or default else ""
    parser.add_argument(
        "--tasks", nargs="+", action=_Joined, metavar="TASK", required=required, default=default,
        help=f"names, globs, groups, YAML files or folders of them, comma-separated{known}",
    )  # fmt: skip
    add_include_path(parser)
    add_metadata(parser)
    add_prompting(parser)


def add_prompting(parser: argparse.ArgumentParser) -> None:
    """The flags of lm_eval that say what stands around a task's prompts."""
    group = parser.add_argument_group("what an evaluation of the tasks says, as for lm_eval")
    add = group.add_argument
    add("--num_fewshot", type=int, metavar="N", help="examples; default: as the task says")
    add("--system_instruction", metavar="TEXT", help="stands before every prompt")
    add(
        "--apply_chat_template", nargs="?", const=True, default=False, metavar="TEMPLATE",
        help="prompts go through the tokenizer's chat template",
    )  # fmt: skip
    add(
        "--fewshot_as_multiturn", type=_truth, nargs="?", const=True, metavar="true|false",
        help="examples as turns of a conversation; default: with a chat template",
    )  # fmt: skip


def _truth(word: str) -> bool:
    return word.lower() in ("true", "1", "yes")  # as lm_eval reads it


def task_arguments(args: argparse.Namespace) -> TaskArguments:
    """What the flags of `add_metadata` and `add_prompting` say of tasks beside their names."""
    from sna_eval.harness.tasks.contexts import TaskArguments, parse_metadata

    return TaskArguments(
        parse_metadata(args.metadata),
        args.num_fewshot,
        args.system_instruction,
        args.apply_chat_template,
        args.fewshot_as_multiturn,
    )


def add_metadata(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metadata", nargs="+", metavar="NAME=VALUE",
        help="as for lm_eval: what tasks ask for that make their data themselves",
    )  # fmt: skip


def add_executor(parser: argparse.ArgumentParser) -> None:
    """The flags that say where to compute."""
    add = parser.add_argument
    add("--executor", default="local", choices=("local", "ray"), help="where to compute")
    add("--ray_address", help="of a running cluster, or `auto`; default: one on this machine")
    add("--ray_cpus", type=float, default=1, help="CPUs that a worker takes")
    add("--ray_gpus", type=float, default=0, help="GPUs that a worker takes")


def cluster_arguments(args: argparse.Namespace) -> tuple[str | None, float, float] | None:
    """A cluster's address, and the CPUs and GPUs a worker takes of it; `None`: compute here.

    **Raises:** `InputError` where `ray` is not installed, before anything is loaded.
    """
    from sna_eval.study.ray_cluster import ray_module

    if args.executor == "local":
        return None
    ray_module()
    return args.ray_address, args.ray_cpus, args.ray_gpus


def add_include_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--include_path", help="folder with further task YAMLs")


def say_descriptive(plan: Plan) -> None:
    """Says on standard error behind which gates of a plan gains are no evidence."""
    from sna_eval.gating import DESCRIPTIVE

    named = [name for name, task in plan.tasks.items() if task.gate.sees_answer]
    if named:
        print(
            f"sna-eval: note: {', '.join(named)}: {DESCRIPTIVE}; "
            "`max_prob` and `margin` do not look at them",
            file=sys.stderr,
        )


def say_draws(draws: int, tasks: int) -> None:
    """Says on standard error where so many random rankings cannot show anything over the tasks."""
    from sna_eval.study.statistics import draws_needed

    needed = draws_needed(tasks)
    if draws < needed:
        print(
            f"sna-eval: note: {draws} random rankings allow no p of 0.05 over {tasks} "
            f"task{'' if tasks == 1 else 's'} after Holm; --random_draws {needed} does",
            file=sys.stderr,
        )

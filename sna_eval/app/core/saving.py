"""What reproduces a state outside the app: a plan file, and the `lm_eval` command for it.

Items that were typed or uploaded become a task of their own, two small files beside the plan.
"""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sna_eval.app.core.question import TypedQuestion
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import ITEM_TASK, Workspace, plan_of
from sna_eval.files import is_file, is_folder
from sna_eval.harness.loading import arguments_of, typed_arguments
from sna_eval.plan.files import plan_text
from sna_eval.typed import Json

PLAN_FILE = "plan.yaml"
_FLAGS = ("device", "batch_size", "max_batch_size")
"""Model arguments that lm_eval's command takes as flags alone: it passes them on itself."""
_CHOICES = f"{ITEM_TASK}_choices"
_OURS = "!function sna_eval.harness.metrics."
_BY_ZONE = tuple(f"{name}_zone{zone}" for name in ("acc", "baseline_acc") for zone in (1, 2, 3))
_COUNTED = (*(f"n_zone{zone}" for zone in (1, 2, 3)), "flips_zone3")
_METRICS: dict[str, dict[str, str]] = {
    ITEM_TASK: {
        **dict.fromkeys(("prob", "baseline_prob", "delta_prob", "acc", "baseline_acc"), "mean"),
        "improvement_pct": f"{_OURS}improvement_pct",
    },
    _CHOICES: {
        **dict.fromkeys(("acc", "baseline_acc"), "mean"),
        **dict.fromkeys(_BY_ZONE, f"{_OURS}scored_mean"),
        **dict.fromkeys(_COUNTED, f"{_OURS}total"),
    },
}
"""Each kind of item's metrics, and how they are aggregated: as in the bundled tasks."""
_RESULTS = {ITEM_TASK: "generation_results", _CHOICES: "classification_results"}


@dataclass(frozen=True)
class Saved:
    """Files by name, and the command to run where they lie."""

    files: dict[str, str]
    command: str

    @property
    def plan(self) -> str:
        return self.files[PLAN_FILE]

    def archive(self) -> bytes:
        """All files and the command in one ZIP file."""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in {**self.files, "command.sh": f"{self.command}\n"}.items():
                archive.writestr(name, text)
        return stream.getvalue()


def save_state(workspace: Workspace, setting: Setting, questions: Sequence[TypedQuestion]) -> Saved:
    """Plan, items and command of a setting; the plan's neurons are resolved."""
    open_answers = [question for question in questions if not question.others]
    with_choices = [question for question in questions if question.others]
    files = {PLAN_FILE: plan_text(plan_of(workspace, setting, task=f"{ITEM_TASK}*"))}
    names = []
    for name, asked in ((ITEM_TASK, open_answers), (_CHOICES, with_choices)):
        if asked:
            names.append(name)
            files[f"{name}.yaml"] = _task_yaml(name)
            files[f"{name}.jsonl"] = "".join(_item_line(question) for question in asked)
    return Saved(files, lm_eval_command(arguments_of(_where(workspace.name)), names))


def _where(model: str) -> str:
    """A model as it is found from any folder: those on this machine by their whole path."""
    folder = Path(model)
    return str(folder.resolve()) if is_folder(folder) or is_file(folder) else model


def lm_eval_command(
    model_args: Json,
    tasks: Sequence[str],
    *,
    include_path: str = ".",
    options: Sequence[str] = (),
) -> str:
    """The command that evaluates the plan file beside it, as it is typed in a shell.

    **Arguments:**

    - `model_args`: what the model is loaded with, without a plan.
    - `include_path`: the tasks' folder, as the shell is to read it.
    - `options`: further words.
    """
    loading = {name: value for name, value in model_args.items() if name not in _FLAGS}
    flags = [word for name in _FLAGS if model_args.get(name) is not None
             for word in (f"--{name}", str(model_args[name]))]  # fmt: skip
    arguments = typed_arguments({**loading, "plan": PLAN_FILE})
    words = ["--model_args", arguments, "--tasks", ",".join(tasks), *flags, *options]
    batch = "" if "--batch_size" in flags else "--batch_size 1 "
    return (
        f"lm_eval --model sna {shlex.join(words)} --include_path {include_path} "
        f"{batch}--output_path out --log_samples"
    )


def _task_yaml(name: str) -> str:
    """A task of the items beside it; fields are named, so nothing in a prompt is a template."""
    choices = name == _CHOICES
    described = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
        "output_type": "multiple_choice" if choices else "loglikelihood",
        "test_split": "test",
        "doc_to_text": "prompt",
        **({"doc_to_choice": "choices"} if choices else {}),
        "doc_to_target": "label" if choices else "target",
        "target_delimiter": "",
    }
    metrics = "".join(
        f"  - metric: {metric}\n    aggregation: {aggregation}\n    higher_is_better: true\n"
        for metric, aggregation in _METRICS[name].items()
    )
    return (
        f"{yaml.safe_dump(described, sort_keys=False)}"
        f"process_results: {_OURS}{_RESULTS[name]}\nmetric_list:\n{metrics}"
    )


def _item_line(question: TypedQuestion) -> str:
    row: dict[str, object] = {"prompt": question.prompt, "target": question.target}
    if question.others:
        row |= {"choices": list(question.choices), "label": 0}
    return json.dumps(row, ensure_ascii=False) + "\n"

"""A sweep's best configuration as the app's setting, so that it can be tried by hand."""

from __future__ import annotations

from dataclasses import dataclass

from sna_eval.app.core.question import development_examples, task_names
from sna_eval.app.core.setting import PromptSource, Setting
from sna_eval.errors import InputError
from sna_eval.harness.tasks.development import Half
from sna_eval.study.summary import TaskSummary
from sna_eval.study.sweep import SweepStore, task_gate


@dataclass(frozen=True)
class BestSetting:
    """The setting, and the model that it belongs to."""

    setting: Setting
    model: str
    """As the sweep's user named it."""
    model_hash: str
    """Of the weights that were swept; a model of that name may have others here."""


def take_best(store: SweepStore, best: TaskSummary) -> BestSetting:
    """The setting that finds the same neurons again and does the same with them.

    **Raises:** `InputError` where the app has no such setting.
    """
    manifest, choice = store.manifest, best.best
    described = manifest["tasks"][best.task]
    half: Half | None = "ranking" if described.get("ranked_apart") else None
    _check_prompts(best.task, half, described["prompts_hash"])
    if described["select"] == "random":
        raise InputError(
            "select", expected="neurons that are found again", got="random",
            hint="the app draws random neurons of its own",
        )  # fmt: skip
    if manifest.get("sinks", "keep") != "drop":  # stores of before have no such key
        raise InputError(
            "sinks", expected="neurons ranked without position 0", got="keep",
            hint="the app leaves position 0 out; sna-eval select writes the plan of any sweep",
        )  # fmt: skip
    if choice.oracle:
        raise InputError(
            "direction", expected="one that does not know the right answer", got=choice.direction,
            hint="the app amplifies by directions that a deployed model has",
        )  # fmt: skip
    setting = Setting(
        source=PromptSource(best.task, half=half),
        layer=choice.layer,
        count=choice.n_neurons,
        multiplier=float(choice.multiplier),
        method=described["select"],
        pooling=manifest["pooling"],
        unit=manifest.get("unit", "mlp"),
        direction=choice.direction,
        gate=task_gate(store, best.task),
    )
    return BestSetting(setting, manifest["model"], manifest["model_hash"])


def _check_prompts(task: str, half: Half | None, swept: str) -> None:
    """The app searches on the bundled tasks' prompts alone."""
    if task not in task_names() or development_examples(task, half).fingerprint != swept:
        raise InputError(
            "task", expected="a bundled task with the prompts that were swept", got=task,
            hint="the app finds neurons on these; sna-eval select writes the plan of any task",
        )  # fmt: skip

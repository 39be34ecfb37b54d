"""A run as logs of inspect_ai, written by its own Python interface, for `inspect view` to show.

One log for each task and filter. What the gated model answered is the sample's output; what the
unmodified model answered stands in its metadata, and every metric is there twice, as `acc` and
`baseline_acc`. `flip`, `zone`, `confidence` and `amplified` are scores as well: those are what the
viewer's columns and filters know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, writing
from sna_eval.files import expanded
from sna_eval.study.results.answered import AnsweredTask, answered_tasks
from sna_eval.study.results.answers import Choice, ItemAnswers
from sna_eval.study.results.reading import read_run
from sna_eval.study.results.records import BASELINE, Run, filtered

try:
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalSample,
        EvalScore,
        EvalSpec,
        write_eval_log,
    )
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score
except ImportError as error:  # an extra: it brings much with it
    raise InputError(
        "log", expected="inspect_ai", got=None, hint="pip install 'sna-eval[inspect]'"
    ) from error

_DATE = re.compile(r"_(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)")
_FLIPS = {-1: "right to wrong", 0: "none", 1: "wrong to right"}


def write_logs(
    folder: str | Path, output: str | Path, *, tasks: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Writes a run's logs.

    **Arguments:**

    - `folder`: what lm_eval wrote with `--output_path` and `--log_samples`.
    - `output`: folder for the logs; made where there is none. Logs of the same run are replaced.
    - `tasks`: names or globs; empty for all.

    **Returns:** the files.

    **Raises:** `InputError` where there are no samples, and for a name that no task has.
    """
    run = read_run(folder, scored=False)
    target = expanded(output)
    written = []
    for task in answered_tasks(run, tasks):
        log = _log(run, task)
        with writing(target, field="--output"):
            target.mkdir(parents=True, exist_ok=True)
            path = target / f"{_file_name(run, task)}.eval"
            write_eval_log(log, path)
        written.append(path)
    return tuple(written)


def _log(run: Run, task: AnsweredTask) -> Any:
    samples = [_sample(run, item) for item in task.items()]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=_created(run),
            task=filtered(task.record.name, task.filter),
            task_version=task.record.version or 0,
            dataset=EvalDataset(
                name=task.record.name,
                samples=len(samples),
                sample_ids=[sample.id for sample in samples],
            ),
            model=run.model,
            config=EvalConfig(),
            metadata=_facts(run, task),
        ),
        results=EvalResults(
            total_samples=len(samples), completed_samples=len(samples),
            scores=list(_reported(task)),
        ),
        samples=samples,
    )  # fmt: skip


def _facts(run: Run, task: AnsweredTask) -> dict[str, Any]:
    """What the run says of itself beside its scores."""
    gate = task.record.gate
    return {
        "lm_eval_model": run.kind,
        "result_file": run.path.name,
        "plan_fingerprint": run.plan,
        "filter": task.filter,
        "gate": None if gate is None else f"{gate.signal}, {gate.low:g} to {gate.high:g}",
        "oracle": task.record.oracle,
        "gate_sees_answer": task.record.sees_answer,
    }


def _reported(task: AnsweredTask) -> Iterator[Any]:
    """The values of the result file, each beside its baseline."""
    for name, found in task.record.scores.items():
        if name.filter != task.filter:
            continue
        values = {"value": found.value, "stderr": found.stderr}
        metrics = {
            metric: EvalMetric(name=metric, value=value)
            for metric, value in values.items()
            if value is not None
        }
        yield EvalScore(name=name.metric, scorer="lm_eval", metrics=metrics)


def _sample(run: Run, item: ItemAnswers) -> Any:
    before, after = _answer(item, baseline=True), _answer(item, baseline=False)
    return EvalSample(
        id=item.doc,
        epoch=1,
        input=item.prompt,
        choices=[choice.text for choice in item.choices] if len(item.choices) > 1 else None,
        target=item.target,
        messages=[ChatMessageUser(content=item.prompt), ChatMessageAssistant(content=after or "")],
        output=ModelOutput.from_content(run.model, after or ""),
        scores=_scores(item, before, after),
        metadata={
            "unmodified": before,
            "amplified": after,
            "zone": item.zone,
            "confidence": item.confidence,
            "gate_opened": item.amplified,
            "oracle": item.oracle,
            "log_likelihoods": [
                [choice.text, choice.before, choice.after] for choice in item.choices
            ],
        },
    )


def _scores(item: ItemAnswers, before: str | None, after: str | None) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for name, values in item.scores.items():
        for prefix, value, answer in zip(
            ("", BASELINE), values[::-1], (after, before), strict=True
        ):
            if value is not None:
                scores[prefix + name] = Score(value=value, answer=answer)
    known = {"zone": item.zone, "confidence": item.confidence, "amplified": int(item.amplified)}
    scores |= {name: Score(value=value) for name, value in known.items() if value is not None}
    if (flip := _flip(item)) is not None:
        scores["flip"] = Score(
            value=_FLIPS[flip], explanation=f"unmodified: {before}\n\namplified: {after}"
        )
    return scores


def _flip(item: ItemAnswers) -> int | None:
    """By the first metric that says right or wrong of both answers."""
    for before, after in item.scores.values():
        if before in (0, 1) and after in (0, 1):
            return int(after - before)
    return None


def _answer(item: ItemAnswers, *, baseline: bool) -> str | None:
    """What a model answered: its text, its likeliest choice, or how likely it found the target."""
    if item.texts is not None:
        return item.texts.before if baseline else item.texts.after

    def likelihood(choice: Choice) -> float | None:
        return choice.before if baseline else choice.after

    known = [
        (value, choice.text) for choice in item.choices if (value := likelihood(choice)) is not None
    ]
    if not known:
        return None
    value, text = max(known, key=lambda pair: pair[0])
    return text if len(item.choices) > 1 else f"log-likelihood {value:.6g} of {text!r}"


def _created(run: Run) -> str:
    """When lm_eval wrote the results, by their name, or else by their file."""
    found = _DATE.search(run.path.name)
    if found:
        return "{}T{}:{}:{}+00:00".format(*found.groups())
    changed = datetime.fromtimestamp(run.path.stat().st_mtime, timezone.utc)
    return changed.isoformat(timespec="seconds")


def _file_name(run: Run, task: AnsweredTask) -> str:
    """As inspect_ai begins its own, with the time, so that runs stand in their order."""
    moment = _created(run).removesuffix("+00:00").replace(":", "-")
    name = re.sub(r"[^\w.-]+", "-", filtered(task.record.name, task.filter)).strip("-")
    return f"{moment}_{name}"

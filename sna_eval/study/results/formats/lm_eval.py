"""Today's result files, as lm_eval writes them since 0.4.0.

They say how a task was asked and amplified, and on what machine.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sna_eval.clusters import metadata_field
from sna_eval.gating import Gate
from sna_eval.plan.applying import follows_answer
from sna_eval.plan.files import parse_gate
from sna_eval.study.results.leaderboard import with_normalized
from sna_eval.study.results.locating import sample_file
from sna_eval.study.results.nested import finite, mapping, text
from sna_eval.study.results.records import MetricName, Reported, Run, TaskRecord
from sna_eval.study.results.samples import read_items
from sna_eval.typed import Json

HOLDS = "`results` by task"


def handles(raw: Any) -> bool:
    """Whether a file holds `results` whose metrics are named with their filters, as `acc,none`, or
    the tasks' `configs`, which older ones have not.
    """
    results = raw.get("results") if isinstance(raw, Mapping) else None
    if not isinstance(results, Mapping) or not results:
        return False
    entries = [values for values in results.values() if isinstance(values, Mapping)]
    return "configs" in raw or any("," in key for values in entries for key in values)


def parse(raw: Json, path: Path) -> Run:
    """A run from the content of its result file."""
    config = mapping(raw, "config")
    done = mapping(config, "sna")
    records = {name: _record(raw, name, path) for name in mapping(raw, "results")}
    return Run(
        path=path,
        model=str(raw.get("model_name") or _pretrained(config) or "unknown"),
        kind=str(config.get("model") or raw.get("model_source") or "unknown"),
        tasks=with_normalized(records),
        environment=environment(raw),
        amplified=any(_acts(task) for task in mapping(done, "tasks").values()),
        plan=done.get("plan_fingerprint"),
    )


def _record(raw: Json, name: str, path: Path) -> TaskRecord:
    done = mapping(raw, "config", "sna", "tasks", name)
    samples = sample_file(path, name)
    subtasks = tuple(_leaves(mapping(raw, "group_subtasks"), name))
    gate = done.get("gate")
    named = done.get("cluster") or metadata_field(mapping(raw, "configs", name).get("metadata"))
    cluster = str(named) if named else None
    entries = [mapping(raw, "config", "sna", "tasks", task) for task in (subtasks or (name,))]
    return TaskRecord(
        name=name,
        scores=dict(_scores(mapping(raw, "results", name))),
        facts=task_facts(raw, name, subtasks),
        definitions=dict(metric_definitions(mapping(raw, "configs", name))),
        higher_is_better=mapping(raw, "higher_is_better", name),
        version=shown_version(raw, name),
        items=functools.cache(functools.partial(read_items, samples, cluster)) if samples else None,
        subtasks=subtasks,
        gate=None if gate is None else parse_gate(gate, f"{path}: gate of {name}", Gate()),
        cluster=cluster,
        oracle=any(map(is_oracle, entries)),
        sees_answer=any(bool(entry.get("sees_answer")) for entry in entries),
    )


def _scores(values: Json) -> Iterator[tuple[MetricName, Reported]]:
    """`acc,none` and `acc_stderr,none` as one entry; values that are no numbers are left out."""
    for key, given in values.items():
        metric, comma, filter_name = key.partition(",")
        value = finite(given)
        if comma and value is not None and not metric.endswith("_stderr"):
            stderr = finite(values.get(f"{metric}_stderr,{filter_name}"))
            yield MetricName(metric, filter_name), Reported(value, stderr)


def _acts(task: Json) -> bool:
    return mapping(task, "gate").get("mode") != "never" and bool(task.get("interventions"))


def _pretrained(config: Json) -> str | None:
    given = config.get("model_args")
    if isinstance(given, Mapping):
        return given.get("pretrained")
    found = re.search(r"(?:pretrained|model)=([^,]+)", str(given))
    return found.group(1) if found else None


def _leaves(children: Json, name: str) -> Iterator[str]:
    """The tasks below a group, groups within groups resolved."""
    for child in children.get(name) or ():
        if children.get(child):
            yield from _leaves(children, child)
        else:
            yield child


_PROMPT_FIELDS = (
    "doc_to_text", "doc_to_choice", "doc_to_target", "description", "target_delimiter",
    "fewshot_delimiter", "use_prompt",
)  # fmt: skip
_PROMPT_SETTINGS = ("system_instruction_sha", "chat_template_sha", "fewshot_as_multiturn")
_SPLITS = ("test_split", "validation_split", "training_split")  # lm_eval takes the first there is


def task_facts(raw: Json, name: str, subtasks: tuple[str, ...]) -> dict[str, Any]:
    """What another run of the task must agree on; `None` for what the file does not say."""
    config = mapping(raw, "configs", name)
    members = subtasks or (name,)
    shots = {mapping(raw, "n-shot").get(task) for task in members}
    return {
        "task version": _version(raw, name),
        "shots": shots.pop() if len(shots) == 1 else None,
        "split": next((config[key] for key in _SPLITS if config.get(key)), None),
        **_counts([mapping(raw, "n-samples", task) for task in members]),
        "data set": _joined([config.get("dataset_path"), config.get("dataset_name")]),
        "output type": config.get("output_type"),
        "generation": _generation(raw, config),
        "task hash": mapping(raw, "task_hashes").get(name),
        **{f"prompt.{key}": _readable(config.get(key)) for key in _PROMPT_FIELDS},
        **{f"prompt.{key}": text(raw[key]) or "none" for key in _PROMPT_SETTINGS if key in raw},
    }


def shown_version(raw: Json, name: str) -> str:
    """A task's version as the file writes it."""
    version = _version(raw, name)
    return "" if version is None else str(version)


def metric_definitions(config: Json) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Per metric the settings that say how it is computed."""
    entries = config.get("metric_list")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping):
            continue
        settings = {
            key: _readable(value)
            for key, value in entry.items()
            if key not in ("metric", "higher_is_better")
        }
        yield str(entry.get("metric")), settings


def environment(raw: Json) -> dict[str, str | None]:
    """What may move scores in the last digits."""
    config = mapping(raw, "config")
    loaded = mapping(config, "model_args")  # what lm_eval's flags say otherwise does not count
    details = str(raw.get("pretty_env_info", ""))
    torch = re.search(r"PyTorch version: (\S+)", details)
    graphics = re.search(r"^GPU 0: (.+)$", details, re.MULTILINE)
    seeds = [config.get(f"{name}_seed") for name in ("random", "numpy", "torch", "fewshot")]
    return {
        "dtype": text(config.get("model_dtype")),
        "batch size": text(loaded.get("batch_size", config.get("batch_size"))),
        "device": text(loaded.get("device", config.get("device"))),
        "GPU": graphics.group(1) if graphics else None,
        "lm_eval": text(raw.get("lm_eval_version")),
        "transformers": text(raw.get("transformers_version")),
        "torch": torch.group(1) if torch else None,
        "maximum length": text(raw.get("max_length")),
        "seeds": _joined(seeds),
    }


def is_oracle(task: Json) -> bool:
    """What the file says; files from before it was written are known by their directions.

    **Arguments:**

    - `task`: the task's entry under `config.sna.tasks`; empty for other models' runs.
    """
    if "oracle" in task:
        return task["oracle"] is True
    entries = task.get("interventions")
    return isinstance(entries, list) and any(
        isinstance(entry, Mapping) and follows_answer(entry.get("direction", ""))
        for entry in entries
    )


def _version(raw: Json, name: str) -> Any:
    """`1` and `1.0` are the same version; some releases wrote words."""
    version = mapping(raw, "versions").get(name)
    if version in (None, "N/A"):
        return None
    return float(version) if isinstance(version, (int, float)) else str(version)


def _counts(counts: list[Json]) -> dict[str, Any]:
    """How many documents were asked, and whether that is all of them."""
    asked = [finite(count.get("effective")) for count in counts]
    there = [finite(count.get("original")) for count in counts]
    if None in asked:
        return {"documents": None, "limit": None}
    asked_sum = int(sum(filter(None, asked)))
    there_sum = int(sum(filter(None, there)))
    limited = None not in there and asked_sum < there_sum
    limit = f"{asked_sum} of {there_sum} documents" if limited else "none"
    return {"documents": asked_sum, "limit": limit}


def _generation(raw: Json, config: Json) -> str | None:
    if config.get("output_type") != "generate_until":
        return None
    given = mapping(raw, "config", "gen_kwargs")
    return text([config.get("generation_kwargs"), dict(given), config.get("repeats")])


def _readable(value: Any) -> str | None:
    """A field as text; a function's address says nothing, so it counts as unknown."""
    shown = text(value)
    return None if shown is None or shown.startswith(("<function", "functools.partial")) else shown


def _joined(values: list[Any]) -> str | None:
    known = [str(value) for value in values if value is not None]
    return ", ".join(known) or None

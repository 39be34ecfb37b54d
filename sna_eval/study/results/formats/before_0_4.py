"""Result files from before lm_eval 0.4, and others with plain metric names.

`{"results": {task: {"acc": 0.3, "acc_stderr": 0.01}}, "versions": ..., "config": ...}`, as
EleutherAI published them for Pythia; the Open LLM Leaderboard's archive (version 1) names its tasks
`harness|arc:challenge|25`. A paper's figures are easily written down in the same way. There are no
items in these files, and no hashes: what can be checked is shots, versions and counts.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sna_eval.study.results.formats import lm_eval
from sna_eval.study.results.nested import finite, mapping
from sna_eval.study.results.records import MetricName, Reported, Run, TaskRecord
from sna_eval.typed import Json

HOLDS = "`results` by task"

_TASKS = {
    "lambada": "lambada_openai",
    "math_asdiv": "asdiv",
    "mnli_mismatched": "mnli_mismatch",
    "squad2": "squadv2",
    "sst": "sst2",
}
_MATH = "algebra|counting_and_prob|geometry|intermediate_algebra|num_theory|prealgebra|precalc"
_PATTERNS = (
    (re.compile(r"hendrycksTest-(.+)"), r"mmlu_\1"),
    (re.compile(rf"math_({_MATH})"), r"hendrycks_math_\1"),
    (re.compile(r"lambada_(openai|standard)_cloze"), r"lambada_\1_cloze_yaml"),
    (re.compile(r"mgsm_([a-z]{2})"), r"mgsm_direct_\1"),
    (re.compile(r"pawsx_([a-z]{2})"), r"paws_\1"),
    (re.compile(r"iwslt17-(.+)"), r"iwslt2017-\1"),
    (
        re.compile(r"bigbench_((?:(?!_multiple_choice|_generate_until).)+)"),
        r"bigbench_\1_multiple_choice",
    ),
)
_METRICS = {"ppl": "perplexity", "em": "exact_match", "likelihood_difference": "likelihood_diff"}
_TRUTHFULQA = re.compile(r"truthfulqa[:_]mc")
_ARCHIVED = re.compile(r"harness\|(?P<task>[^|]+)\|(?P<shots>\d+)")
_SHARES = ("acc", "acc_norm", "exact_match")
_HIGHER_IS_BETTER = {
    **dict.fromkeys((*_SHARES, "f1", "mcc", "bleu", "rouge1", "rougeL"), True),
    **dict.fromkeys(("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"), False),
}


def handles(raw: Any) -> bool:
    """Whether a file holds `results`, but not today's."""
    results = raw.get("results") if isinstance(raw, Mapping) else None
    return isinstance(results, Mapping) and bool(results) and not lm_eval.handles(raw)


def parse(raw: Json, path: Path) -> Run:
    """A run from the content of its result file."""
    config, general = mapping(raw, "config"), mapping(raw, "config_general")
    arguments = str(config.get("model_args", ""))
    pretrained = re.search(r"pretrained=([^,]+)", arguments)
    dtype = re.search(r"dtype=([^,]+)", arguments)
    named = general.get("model_name") or config.get("model_name") or raw.get("model")
    return Run(
        path=path,
        model=str(named or (pretrained and pretrained.group(1)) or "unknown"),
        kind=str(config.get("model", "published")),
        tasks=_records(raw, config),
        environment={
            "dtype": general.get("model_dtype") or (dtype.group(1) if dtype else None),
            "batch size": str(config["batch_size"]) if "batch_size" in config else None,
            "device": config.get("device"),
            "lm_eval": "before 0.4",
        },
    )


def _records(raw: Json, config: Json) -> dict[str, TaskRecord]:
    """Records by today's names; one old task may become two."""
    scores: dict[str, dict[MetricName, Reported]] = defaultdict(dict)
    source: dict[str, str] = {}
    for key, values in raw["results"].items():
        if not isinstance(values, dict) or key == "all":
            continue
        archived = _ARCHIVED.fullmatch(key)
        for metric, score in _scores(values).items():
            name, todays_metric = todays_names(archived["task"] if archived else key, metric)
            scores[name][MetricName(todays_metric)] = score
            source[name] = key
    return {name: _record(name, score, raw, config, source[name]) for name, score in scores.items()}


def _record(
    name: str,
    scores: Mapping[MetricName, Reported],
    raw: Json,
    config: Json,
    key: str,
) -> TaskRecord:
    archived = _ARCHIVED.fullmatch(key)
    version = mapping(raw, "versions").get(key)
    counts = (_documents(scores.get(MetricName(metric))) for metric in _SHARES)
    return TaskRecord(
        name,
        scores,
        facts={
            "task version": None if version is None else f"{version} (before lm_eval 0.4)",
            "shots": int(archived["shots"])
            if archived
            else config.get("num_fewshot", raw.get("num_fewshot")),
            "documents": next((count for count in counts if count), None),
            "limit": _limit(config),
        },
        higher_is_better={name.metric: _HIGHER_IS_BETTER.get(name.metric) for name in scores},
        version="" if version is None else str(version),
    )


def _scores(values: Json) -> dict[str, Reported]:
    return {
        metric: Reported(value, finite(values.get(f"{metric}_stderr")))
        for metric, given in values.items()
        if not metric.endswith("_stderr") and (value := finite(given)) is not None
    }


def _documents(score: Reported | None) -> int | None:
    """How many documents an accuracy was taken over, from `se^2 = p (1 - p) / (n - 1)`.

    Trusted only where both the count and the right ones among them come out whole: figures may be
    rounded, and other metrics may carry the name of a share.
    """
    if score is None or not score.stderr or not 0 < score.value < 1:
        return None
    variance = score.stderr * score.stderr  # a product overflows to infinity, a power raises
    if not variance:
        return None
    count = score.value * (1 - score.value) / variance + 1
    if not math.isfinite(count):
        return None
    whole = all(abs(number - round(number)) < 1e-3 for number in (count, score.value * count))
    return round(count) if whole else None


def _limit(config: Json) -> str | None:
    if "limit" not in config:
        return None
    return "none" if config["limit"] is None else f"{config['limit']}"


def todays_names(task: str, metric: str) -> tuple[str, str]:
    """Today's names of an old task and metric.

    Where today's prompt or scoring is another one the name is mapped all the same: the two are then
    refused for their task versions, not silently kept apart.

    The old `truthfulqa_mc` had two metrics, `mc1` and `mc2`; today they are two tasks' `acc`.
    """
    if _TRUTHFULQA.fullmatch(task) and metric in ("mc1", "mc2"):
        return f"truthfulqa_{metric}", "acc"
    if task == "gsm8k" and metric == "acc":
        return task, "exact_match"
    return _task(task), _METRICS.get(metric, metric)


def _task(name: str) -> str:
    if name in _TASKS:
        return _TASKS[name]
    for pattern, replacement in _PATTERNS:
        if pattern.fullmatch(name):
            return pattern.sub(replacement, name)
    return name.replace(":", "_")

"""lm_eval's own task configurations on a few rows of our own: everything but the data is theirs.

A configuration's name begins with how it is asked: `mc_` choices, `ll_` one continuation,
`rolling_` whole texts, `gen_` generated texts. Their prompts, filters, metrics and
`process_results` are read from the installed lm_eval.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lm_eval

TASKS = Path(lm_eval.__file__).parent / "tasks"
_SPLITS = ("train", "validation", "test", "dev", "train_r1", "dev_r1", "test_r1")
_WORDS = ("river", "stone", "winter", "market", "silver", "garden", "engine", "morning")
_SHORT = {"until": ["\n"], "max_gen_toks": 10, "do_sample": False}


def _word(number: int) -> str:
    return _WORDS[number % len(_WORDS)]


def _sentence(number: int) -> str:
    return f"The {_word(number)} by the {_word(number + 3)} was cold and quiet."


def _four(number: int) -> list[str]:
    return [f"a {_word(number + place)}" + " indeed" * place for place in range(4)]


def _lettered(number: int) -> dict[str, Any]:
    return {"text": _four(number), "label": ["A", "B", "C", "D"]}


def _pair(number: int, **more: Any) -> dict[str, Any]:
    return {
        "premise": _sentence(number), "hypothesis": _sentence(number + 1), "label": number % 2,
        "sentence1": _sentence(number), "sentence2": _sentence(number + 2),
        "sentence": _sentence(number), "question": f"Is the {_word(number)} cold", **more,
    }  # fmt: skip


def _drop(number: int) -> dict[str, Any]:
    answer = {"number": str(number), "date": {"day": "", "month": "", "year": ""}, "spans": []}
    validated = {"number": [str(number + 1)], "date": [answer["date"]], "spans": [[]]}
    return {
        "query_id": str(number), "passage": _sentence(number), "question": "How many stones?",
        "answer": answer, "validated_answers": validated,
    }  # fmt: skip


def _sums(number: int) -> dict[str, Any]:
    return {
        "question": f"What is {number} plus 2?",
        "answer": f"{number} plus 2 is {number + 2}.\n#### {number + 2}",
    }


def _truthful(number: int) -> dict[str, Any]:
    targets = {"choices": _four(number), "labels": [1, 1, 0, 0]}
    return {
        "question": f"What is a {_word(number)}?",
        "mc1_targets": targets,
        "mc2_targets": targets,
    }


def _wic(number: int) -> dict[str, Any]:
    return _pair(number, start1=4, end1=4 + len(_word(number)))


@dataclass(frozen=True)
class Config:
    """One of lm_eval's configurations, and what stands in for its data."""

    path: str
    row: Any
    """From a number to a document as the configuration's data set has it."""
    more: dict[str, Any] = field(default_factory=dict)
    """Keys that are shortened for a small model."""


def _metrics(*names: str) -> dict[str, Any]:
    return {"metric_list": [{"metric": name} for name in names]}


CONFIGS: dict[str, Config] = {
    "mc_arc_easy": Config(
        "arc/arc_easy.yaml",
        lambda n: {"question": _sentence(n), "choices": _lettered(n), "answerKey": "ABCD"[n % 4]},
    ),
    "mc_arc_all_metrics": Config(
        "arc/arc_challenge.yaml",
        lambda n: {"question": _sentence(n), "choices": _lettered(n), "answerKey": "ABCD"[n % 4]},
        _metrics("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "brier_score", "exact_match"),
    ),
    "mc_hellaswag": Config(
        "hellaswag/hellaswag.yaml",
        lambda n: {
            "activity_label": _word(n), "ctx_a": _sentence(n), "ctx_b": "then it",
            "endings": _four(n), "label": str(n % 4),
        },
    ),
    "mc_winogrande": Config(
        "winogrande/default.yaml",
        lambda n: {
            "sentence": f"The {_word(n)} met the {_word(n + 1)} and _ was glad of it.",
            "option1": _word(n), "option2": _word(n + 1), "answer": str(n % 2 + 1),
        },
    ),
    "mc_piqa": Config(
        "piqa/piqa.yaml",
        lambda n: {"goal": _sentence(n), "sol1": _word(n), "sol2": _sentence(n), "label": n % 2},
    ),
    "mc_boolq": Config("super_glue/boolq/default.yaml", lambda n: _pair(n, passage=_sentence(n))),
    "mc_cb": Config("super_glue/cb/default.yaml", lambda n: _pair(n, label=n % 3)),
    "mc_wic": Config("super_glue/wic/default.yaml", _wic),
    "mc_copa": Config(
        "super_glue/copa/default.yaml",
        lambda n: _pair(n, question="cause", choice1=_sentence(n), choice2=_word(n)),
    ),
    "mc_multirc": Config(
        "super_glue/multirc/default.yaml",
        lambda n: _pair(n, paragraph=_sentence(n), answer=_word(n)),
    ),
    "mc_truthfulqa_mc1": Config("truthfulqa/truthfulqa_mc1.yaml", _truthful),
    "mc_truthfulqa_mc2": Config("truthfulqa/truthfulqa_mc2.yaml", _truthful),
    "mc_cola": Config("glue/cola/default.yaml", _pair),
    "mc_mrpc": Config("glue/mrpc/default.yaml", _pair, {"num_fewshot": 2}),
    "mc_commonsense_qa": Config(
        "commonsense_qa/default.yaml",
        lambda n: {
            "question": _sentence(n), "choices": {"text": [*_four(n), "none"]},
            "answerKey": "ABCDE"[n % 5],
        },
    ),
    "mc_openbookqa": Config(
        "openbookqa/openbookqa.yaml",
        lambda n: {
            "question_stem": _sentence(n), "choices": _lettered(n), "answerKey": "ABCD"[n % 4]
        },
    ),
    "mc_sciq": Config(
        "sciq/sciq.yaml",
        lambda n: {
            "support": _sentence(n), "question": "What was cold?", "correct_answer": _word(n),
            **{f"distractor{place}": _word(n + place) for place in (1, 2, 3)},
        },
        {"num_fewshot": 1},
    ),
    "mc_blimp": Config(
        "blimp/anaphor_gender_agreement.yaml",
        lambda n: {"sentence_good": _sentence(n), "sentence_bad": f"The the {_sentence(n)}"},
    ),
    "mc_anli": Config("anli/anli_r1.yaml", lambda n: _pair(n, label=n % 3)),
    "mc_mmlu_anatomy": Config(
        "mmlu/default/mmlu_anatomy.yaml",
        lambda n: {"question": _sentence(n), "choices": _four(n), "answer": n % 4},
        {"num_fewshot": 2},
    ),
    "mc_mmlu_virology": Config(
        "mmlu/default/mmlu_virology.yaml",
        lambda n: {"question": _sentence(n + 1), "choices": _four(n), "answer": (n + 1) % 4},
    ),
    "mc_agieval_sat_math": Config(
        "agieval/sat-math.yaml",
        lambda n: {"query": _sentence(n), "choices": _four(n), "gold": [n % 4, (n + 1) % 4]},
    ),
    "mc_bbh_boolean_expressions": Config(
        "leaderboard/bbh_mc/boolean_expressions.yaml",
        lambda n: {"input": "not " * n + "True is", "target": str(n % 2 == 0)},
    ),
    "ll_lambada_openai": Config("lambada/lambada_openai.yaml", lambda n: {"text": _sentence(n)}),
    "ll_arithmetic": Config(
        "arithmetic/arithmetic_1dc.yaml",
        lambda n: {"context": f"Q: What is {n} + 2?\n\nA:", "completion": f" {n + 2}"},
    ),
    "ll_asdiv": Config(
        "asdiv/default.yaml",
        lambda n: {"body": _sentence(n), "question": "How many?", "answer": f"{n} (stones)"},
    ),
    "rolling_wikitext": Config(
        "wikitext/wikitext.yaml", lambda n: {"page": " ".join(map(_sentence, range(n + 1)))}
    ),
    "gen_gsm8k": Config(
        "gsm8k/gsm8k.yaml", _sums, {"num_fewshot": 1, "generation_kwargs": _SHORT}
    ),
    "gen_gsm8k_majority": Config(
        "gsm8k/gsm8k-cot-self-consistency.yaml",
        _sums,
        {
            "num_fewshot": 0, "repeats": 8,
            "generation_kwargs": {**_SHORT, "do_sample": True, "temperature": 0.9},
        },
    ),
    "gen_triviaqa": Config(
        "triviaqa/default.yaml",
        lambda n: {"question": _sentence(n), "answer": {"aliases": [_word(n), _word(n + 1)]}},
        {"generation_kwargs": _SHORT},
    ),
    "gen_nq_open": Config(
        "nq_open/nq_open.yaml",
        lambda n: {"question": _sentence(n), "answer": [_word(n)]},
        {"generation_kwargs": _SHORT},
    ),
    "gen_drop": Config("drop/default.yaml", _drop, {"generation_kwargs": _SHORT}),
    "gen_anagrams1": Config(
        "unscramble/anagrams1.yaml",
        lambda n: {"context": _sentence(n), "completion": _word(n)},
        {"generation_kwargs": _SHORT},
    ),
    "gen_wmt16": Config(
        "translation/wmt16_en-de.yaml",
        lambda n: {"translation": {"en": _sentence(n), "de": _sentence(n + 1)}},
        {"generation_kwargs": _SHORT},
    ),
}  # fmt: skip

GROUPS: dict[str, dict[str, Any]] = {
    "both_plain": {"task": ["mc_mmlu_virology", "mc_cb"], "weight_by_size": False},
    "both_weighted": {"task": ["mc_mmlu_anatomy", "both_plain"], "weight_by_size": True},
}
"""By name, the outermost last; all of their tasks are among the few."""
DOCUMENTS = 6


def write_configs(folder: Path, names: Sequence[str]) -> Path:
    """YAML files of these configurations and of the groups."""
    for name in names:
        config = CONFIGS[name]
        rows = [config.row(number) for number in range(DOCUMENTS)]
        data = folder / f"{name}.jsonl"
        data.write_text("\n".join(map(json.dumps, rows)))
        settings = {
            "include": str(TASKS / config.path),
            "task": name, "tag": "own", "dataset_path": "json", "dataset_name": None,
            "dataset_kwargs": {"data_files": dict.fromkeys(_SPLITS, str(data))},
            **config.more,
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(json.dumps(settings))  # JSON is YAML
    for name, group in GROUPS.items():
        metric = {"metric": "acc", "weight_by_size": group["weight_by_size"]}
        settings = {"group": name, "task": group["task"], "aggregate_metric_list": [metric]}
        (folder / f"{name}.yaml").write_text(json.dumps(settings))
    return folder

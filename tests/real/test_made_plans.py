"""`plan=auto` on tasks of a user's own, and on lm_eval's configurations with files of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval
import pytest

from tests.real.conftest import Load, evaluate

Rows = list[dict[str, Any]]
LM_EVAL_TASKS = Path(lm_eval.__file__).parent / "tasks"
COUNT = 12
"""Documents to look for a plan on, and as many to score."""
CHOICES = """
output_type: multiple_choice
target_delimiter: ""
metric_list: [{metric: acc}]
"""


def pairs(data: Path) -> Rows:
    """Whole sentences, one of them wrong, and no context."""
    verbs = (("barks", "bark"), ("runs", "run"), ("is tall", "are tall"), ("was late", "were late"))
    subjects = ("The dog", "She", "My friend", "A bird", "This child", "It")
    return [
        {"good": f"{who} {right}.", "bad": f"{who} {wrong}."}
        for who in subjects
        for right, wrong in verbs
    ]


def by_choice(data: Path) -> Rows:
    """What is scored is the same; the choices stand before it."""
    names = ("Ann", "Bob", "Carla", "David")
    return [
        {"before": [f"{a} thanked {b} because {one}" for one in (a, b)], "right": right, "end": end}
        for a in names
        for b in names
        if a != b
        for right, end in ((1, " had helped."), (0, " had been helped."))
    ]


def sums(data: Path) -> Rows:
    """Answers of three digits, which tokenizers cut differently."""
    return [{"sum": f"{a} + {2 * a + 7} =", "is": f" {3 * a + 7}"} for a in range(101, 125)]


def boolean(data: Path) -> Rows:
    return _lines(data / "bbh" / "boolean_expressions.json")


def logiqa(data: Path) -> Rows:
    found = _lines(data / "agieval" / "logiqa-en.jsonl")
    return [
        {
            "query": f"{one['passage'][-300:]} Q: {one['question']} A:",
            "choices": one["options"],
            "gold": ["ABCD".index(one["label"])],
        }
        for one in found
    ]


TASKS: dict[str, tuple[Callable[[Path], Rows], str]] = {
    "pairs": (pairs, CHOICES + 'doc_to_text: ""\ndoc_to_choice: "{{[good, bad]}}"\n'
                     "doc_to_target: 0\n"),
    "by_choice": (by_choice, CHOICES + 'doc_to_text: "{{right}}"\ndoc_to_choice: "{{before}}"\n'
                             'doc_to_target: "{{end}}"\n'),
    "sums": (sums, "output_type: loglikelihood\ndoc_to_text: '{{sum}}'\ndoc_to_target: '{{is}}'\n"
                   "target_delimiter: ''\nmetric_list: [{metric: acc}]\n"),
    "leaderboard_bbh_boolean_expressions": (
        boolean, f"include: {LM_EVAL_TASKS}/leaderboard/bbh_mc/boolean_expressions.yaml\n"
    ),
    "agieval_logiqa_en": (logiqa, f"include: {LM_EVAL_TASKS}/agieval/logiqa-en.yaml\n"),
}  # fmt: skip


def _lines(file: Path) -> Rows:
    if not file.is_file():
        pytest.skip(f"needs {file.name}")
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        return list(json.loads(text)["examples"])
    return [json.loads(line) for line in text.splitlines() if line.strip()]


@pytest.fixture(params=["smollm2", pytest.param("gemma3", marks=pytest.mark.slow)])
def folder(request: pytest.FixtureRequest) -> Path:
    """Of one model; of the other in `make test-real REAL=real`."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("name", TASKS)
def test_a_plan_is_made_and_both_answers_are_those_of_hf(
    folder: Path, load: Load, shared_data: Path, tmp_path: Path, name: str
) -> None:
    make, text = TASKS[name]
    rows = make(shared_data)[: 2 * COUNT]
    for split, one in (("validation", rows[:COUNT]), ("test", rows[COUNT:])):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, one)))
    files = "".join(f"    {split}: {tmp_path}/{split}.jsonl\n" for split in ("validation", "test"))
    (tmp_path / "own.yaml").write_text(
        f"{text}task: {name}\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs:\n  data_files:\n{files}"
        "test_split: test\nvalidation_split: validation\n"
    )
    lm = load(folder, plan="auto", auto_budget=6)
    results = evaluate(lm, [name], limit=None, include=tmp_path)
    assert len(results["samples"][name]) == COUNT
    assert lm.describe()["tasks"][name]["interventions"]
    plain = evaluate(load(folder), [name], limit=None, include=tmp_path)["results"][name]
    one = {
        key: value for key, value in plain.items() if key.partition(",")[0] in ("acc", "acc_norm")
    }
    assert one
    for key, value in one.items():
        assert results["results"][name][f"baseline_{key}"] == value

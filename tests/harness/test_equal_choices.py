"""Choices that read the same tie, in every way of scoring: rounding decides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager

from sna_eval.study.sweep import Sweep, SweepOptions

PAIR = ("the cat sat on a mat", "rain fell over the town")
DOCS = [
    {"text": f"{'and then ' * count}it was said", "choices": [PAIR[0], PAIR[1], PAIR[0], PAIR[1]]}
    for count in range(1, 9)
]
YAML = """
task: own_equal
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/test.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: 3
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, DOCS)))
    (tmp_path / "own_equal.yaml").write_text(YAML.format(folder=tmp_path))
    return TaskManager(include_path=[tmp_path], include_defaults=False).load(["own_equal"])


@pytest.mark.parametrize("packs", [True, False])
def test_equal_choices_have_one_score(make_sna: Any, loaded: Any, packs: bool) -> None:
    """The later of two equal choices is right: it never wins, as under `hf`."""
    from dataclasses import replace

    from lm_eval.evaluator import evaluate

    lm = make_sna(layer=1, neurons="1;5;7", multiplier=6.0, gate="always", batch_size=3)
    lm.engine.abilities = replace(lm.engine.abilities, packs=packs)
    results = evaluate(lm=lm, task_dict=loaded, bootstrap_iters=0)
    for sample in results["samples"]["own_equal"]:
        scores = [float(answer[0]) for answer in sample["filtered_resps"]]
        before = [float(value) for value, _ in sample["baseline_filtered_resps"]]
        for one in (scores, before):
            assert one[0] == one[2] != one[1] == one[3]
    assert results["results"]["own_equal"]["acc,none"] == 0
    assert results["results"]["own_equal"]["baseline_acc,none"] == 0


def test_a_sweep_has_them_tie_too(make_sna: Any, loaded: Any, tmp_path: Path) -> None:
    lm = make_sna(gate="never")
    options = SweepOptions(
        tasks=("own_equal",), split="test", layers=(1,), n_neurons=(2,), multipliers=(1.5, 3.0)
    )
    sweep = Sweep(options, lm=lm, tasks=loaded["tasks"])
    (unit,) = sweep.compute("own_equal", [1])
    rows = unit.tables["configurations"].to_pylist()
    assert [(row["baseline_acc"], row["acc"]) for row in rows] == [(0, 0), (0, 0)]

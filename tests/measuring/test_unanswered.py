"""Documents without a right answer: left out of what needs one, counted and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager

from sna_eval.errors import InputError
from sna_eval.harness.tasks.development import examples_of
from sna_eval.measuring.items import _say_left_out, load_items

HEAD = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rows.jsonl, validation: {folder}/rows.jsonl,
  dev: {folder}/rows.jsonl}}}}
test_split: test
validation_split: dev
doc_to_text: "{{{{text}}}}"
doc_to_target: {target}
"""
GENERATED = """
output_type: generate_until
generation_kwargs: {until: ["zzz"], max_gen_toks: 4}
metric_list: [{metric: exact_match}]
"""
CHOSEN = """
output_type: multiple_choice
doc_to_choice: ["so on", "the end"]
metric_list: [{metric: acc}]
"""
ROWS = [
    {"text": "the cat sat", "several": ["on a mat", "here"], "blank": "on", "number": 0},
    {"text": "rain fell", "several": [], "blank": " ", "number": -1},
    {"text": "over the town", "several": ["a"], "blank": "a", "number": 1},
    {"text": "while it", "several": ["", "rain"], "blank": "", "number": 7},
]
TASKS = {
    "several": (GENERATED, [0, 2, 3]),
    "blank": (GENERATED, [0, 2]),
    "number": (CHOSEN, [0, 2]),
}
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0, "gate": "always"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unanswered")
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    for name, (kind, _) in TASKS.items():
        (folder / f"{name}.yaml").write_text(
            HEAD.format(name=name, folder=folder, target=name) + kind
        )
    none = HEAD.format(name="none", folder=folder, target="'[]'") + GENERATED
    (folder / "none.yaml").write_text(none)
    return folder


@pytest.fixture(scope="module")
def load(folder: Path) -> Any:
    manager = TaskManager(include_path=folder, include_defaults=False)
    return lambda name: manager.load([name])["tasks"][name]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("split", ["test", "development"])
def test_they_are_left_out_and_counted(
    load: Any, lm: Any, name: str, split: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = TASKS[name][1]
    _say_left_out.cache_clear()
    for _ in range(2):  # said once, however often they are loaded
        items = load_items(load(name), lm, split=split)
    assert [item.instance.doc["text"] for item in items.items] == [ROWS[n]["text"] for n in kept]
    assert items.unanswered == len(ROWS) - len(kept)
    said = f"{name}: {len(ROWS) - len(kept)} of 4 {split} items have no right answer"
    assert capsys.readouterr().err.count(said) == 1


def test_prompts_are_searched_on_all_the_same(load: Any) -> None:
    for name in TASKS:
        assert examples_of(load(name)).prompts == tuple(row["text"] for row in ROWS)


def test_where_none_has_one(load: Any, lm: Any) -> None:
    with pytest.raises(InputError, match=r"none: expected a right answer for some of the dev"):
        load_items(load("none"), lm, split="development")

"""Tasks of items in zone 2: which are chosen, how they are split, and that lm_eval runs them."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from sna_eval.cli import main
from sna_eval.files import reference_model_path
from sna_eval.study.transition import TransitionItem, split_items

TASK = "sna_transition_sna_reference"


def item(number: int, cluster: str, source: str = "") -> TransitionItem:
    return TransitionItem(f"p{number}", f" {cluster}", cluster, source or f"s{number}", 0.08)


def pool(clusters: int, each: int) -> list[TransitionItem]:
    return [item(number, f"c{number % clusters}") for number in range(clusters * each)]


def test_splits_share_no_answer_and_no_source() -> None:
    several = [
        item(number, f"c{number % 12}", source=f"s{number // 2}") for number in range(12 * 40)
    ]
    found = split_items(several, scored=999, development=20, test=50)
    assert (len(found.development), len(found.test)) == (20, 50)
    assert (found.inside, found.scored) == (480, 999)
    both = [*found.development, *found.test]
    assert len({one.source for one in both}) == 70
    assert {one.cluster for one in found.development}.isdisjoint(one.cluster for one in found.test)


def test_answers_are_asked_equally_often() -> None:
    found = split_items(pool(12, 30), scored=360, development=20, test=50)
    for split in (found.development, found.test):
        counts = Counter(one.cluster for one in split).values()
        assert max(counts) - min(counts) <= 1


def test_an_answer_that_every_source_has_is_not_taken_from_every_source() -> None:
    several = [
        one
        for number in range(240)
        for one in (
            item(2 * number, "common", source=f"s{number}"),
            item(2 * number + 1, f"c{number % 12}", source=f"s{number}"),
        )
    ]
    found = split_items(several, scored=480, development=70, test=170)
    counts = Counter(one.cluster for one in [*found.development, *found.test])
    assert counts["common"] <= 240 / 13 + 2


def test_a_draw_is_repeated_by_its_seed_and_by_nothing_else() -> None:
    draws = [
        split_items(pool(12, 30), scored=1, development=20, test=50, seed=s) for s in (1, 1, 2)
    ]
    assert draws[0] == draws[1]
    assert set(draws[0].test) != set(draws[2].test)


def test_too_few_items_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    narrow = ["--low", "0.5", "--high", "0.5", "--tasks", "sna_logic_hard"]
    assert main(["transition", *narrow, "--output", str(tmp_path / "new")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "sna-eval: " in line]
    assert "zone 2: expected 8 items or more for either split" in line
    assert "got '0 and 0; of 250 items 0 lie in it'; name tasks with more items" in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "../mine"], "--name: expected letters, digits, - and _"),
        (["--test", "0"], "--test: expected 1 or more, got 0"),
        (["--signal", "mood"], "--signal: expected"),
        (["--low", "0.2"], "gate.low: expected at most gate.high = 0.1"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transition", "--output", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_choices_have_no_single_continuation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.yaml").write_text(
        "task: two\noutput_type: multiple_choice\ndataset_path: json\ntest_split: train\n"
        f"dataset_kwargs: {{data_files: {json.dumps(str(tmp_path / 'two.jsonl'))}}}\n"
        'doc_to_text: "{{q}}"\ndoc_to_choice: [" a", " b"]\ndoc_to_target: 0\n',
        encoding="utf-8",
    )
    (tmp_path / "two.jsonl").write_text('{"q": "One"}\n{"q": "Two"}\n', encoding="utf-8")
    words = ["--tasks", "two", "--include_path", str(tmp_path), "--low", "0", "--high", "1"]
    assert main(["transition", *words, "--output", str(tmp_path / "new")]) == 2
    assert "--tasks: expected tasks with one continuation an item, got 'two'" in (
        capsys.readouterr().err
    )


def test_what_is_written_lies_in_the_zone_and_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sizes = ["--tasks", "sna_poetry_hard", "--low", "0.001", "--high", "0.2", "--test", "20"]
    assert main(["transition", *sizes, "--output", str(tmp_path)]) == 0
    assert f"--tasks {TASK}" in capsys.readouterr().out
    docs = [
        json.loads(line)
        for split in ("development", "test")
        for line in (tmp_path / "data" / TASK / f"{split}.jsonl").read_text("utf-8").splitlines()
    ]
    tokenizer = AutoTokenizer.from_pretrained(reference_model_path())
    model = AutoModelForCausalLM.from_pretrained(reference_model_path()).eval()
    for doc in docs[::9]:  # each on its own, without anything of ours
        prompt, whole = tokenizer(doc["prompt"]).input_ids, tokenizer(doc["prompt"] + doc["target"])
        with torch.inference_mode():
            logits = model(torch.tensor([whole.input_ids])).logits[0].log_softmax(-1)
        at = range(len(prompt), len(whole.input_ids))
        alone = sum(logits[place - 1, whole.input_ids[place]] for place in at)
        assert doc["confidence"] == pytest.approx(math.exp(float(alone)), abs=1e-5)
        assert 0.001 <= doc["confidence"] <= 0.2
    import lm_eval
    from lm_eval.tasks import TaskManager

    results = lm_eval.simple_evaluate(
        "sna",
        model_args="pretrained=sna-reference,layer=4,multiplier=2,top_k=5,low=0.001,high=0.2",
        tasks=[TASK],
        task_manager=TaskManager(include_path=str(tmp_path)),
        bootstrap_iters=0,
    )
    assert results["results"][TASK]["zone,none"] == 2
    assert results["n-samples"][TASK]["effective"] == len(docs) - sum(
        1 for _ in (tmp_path / "data" / TASK / "development.jsonl").open(encoding="utf-8")
    )

"""The page of a run's items: what is in it, and what cannot get out of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.reporting.view import write_view
from sna_eval.study.results.answers import answers_of
from sna_eval.study.results.samples import Sample
from tests.reporting.runs import DATE, HOSTILE, choices, continued, lay_out, small_run, written

_SCRIPT = re.compile(r'<script type="application/octet-stream" id="([\w-]+)">([^<]*)</script>')


def unpacked(page: Path) -> dict[str, Any]:
    """The data of a page by the ids of their elements."""
    found = _SCRIPT.findall(page.read_text("utf-8"))
    return {name: json.loads(gzip.decompress(base64.b64decode(data))) for name, data in found}


def test_all_items_are_in_the_page(tmp_path: Path) -> None:
    view = write_view(small_run(tmp_path))
    assert view.path == tmp_path / "view.html"
    assert (view.items, view.tasks) == (8, 3)
    data = unpacked(view.path)
    columns = {(task["task"], task["filter"]): task for task in data["index"]["tasks"]}
    assert list(columns) == [("colours", "none"), ("sums", "strict-match"), ("sums", "last-word"),
                             ("words", "none")]  # fmt: skip
    assert columns["colours", "none"]["zone"] == [3, 1, 1]
    assert columns["colours", "none"]["open"] == [0, 1, 1]
    (acc,) = columns["colours", "none"]["scores"]
    assert (acc["name"], acc["before"], acc["after"]) == ("acc", [1, 0, 1], [1, 1, 0])
    assert columns["colours", "none"]["shift"] == [0, 3, 2]
    texts = data["block-0"]
    assert len(texts) == 8
    assert texts[1]["choices"] == [[" red", -1, -4], [" blue", -2, -2], [" green", -3, -3]]
    assert (texts[1]["gold"], texts[1]["target"]) == (1, " blue")
    assert texts[3]["before"] == "one and one make 3"
    assert texts[3]["taken"] == ["3", "2"]


def test_many_items_lie_in_several_blocks(tmp_path: Path) -> None:
    run = lay_out(tmp_path, {"words": [continued(n, -2.0, -1.0) for n in range(1000)]})
    data = unpacked(write_view(run).path)
    starts = data["index"]["blocks"]
    assert len(starts) > 2
    sizes = [len(data[f"block-{n}"]) for n in range(len(starts))]
    assert starts == [sum(sizes[:n]) for n in range(len(sizes))]
    assert sum(sizes) == 1000
    place = starts[1]
    assert data["block-1"][0]["prompt"].endswith(f"head {place}")


def test_documents_are_no_markup(tmp_path: Path) -> None:
    """All that is a model's or a data set's is packed; the title, a model's name, is escaped."""
    text = write_view(small_run(tmp_path)).path.read_text("utf-8")
    assert "hacked" not in text
    assert "<b>tiny" not in text
    assert "&lt;b&gt;tiny" in text
    assert unpacked(tmp_path / "view.html")["block-0"][0]["prompt"] == f"Colour 0? {HOSTILE}"


def test_the_page_asks_nothing_of_a_network(tmp_path: Path) -> None:
    text = write_view(small_run(tmp_path)).path.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|src=|@import|url\(", _SCRIPT.sub("", text).split("<body>")[0])
    assert "fetch(" not in text


def test_the_same_run_makes_the_same_page(tmp_path: Path) -> None:
    first, second = (write_view(small_run(tmp_path / name)).path for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_command(tmp_path: Path, capsys: Any) -> None:
    run, page = small_run(tmp_path / "run"), tmp_path / "new" / "page.html"
    assert main(["view", str(run), "--output", str(page), "--tasks", "s*,words"]) == 0
    assert capsys.readouterr().out.startswith(f"{page}: 5 items of 2 tasks, 0.0 MB")
    assert {task["task"] for task in unpacked(page)["index"]["tasks"]} == {"sums", "words"}
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_refusals(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    with pytest.raises(InputError, match="tasks: expected one of colours, sums, words"):
        write_view(run, tasks=["colors"])
    (tmp_path / f"samples_sums_{DATE}.jsonl").write_text(json.dumps({"doc_id": "x"}))
    with pytest.raises(InputError, match=r"jsonl:1: expected a sample of lm_eval's"):
        write_view(run)
    for file in tmp_path.glob("samples_*"):
        file.unlink()
    with pytest.raises(InputError, match="samples beside the result file"):
        write_view(run)


# Answers, by kind of request


def answers(raw: dict[str, Any]) -> Any:
    return answers_of(Sample(raw, "here:1"))


def test_answers_of_another_model_have_no_baseline() -> None:
    raw = {key: choice for key, choice in choices(0, [-1, -2], [-3, -2], 1).items()
           if not key.startswith("baseline")}  # fmt: skip
    found = answers({**raw, "zone": None, "confidence": None})
    assert [(choice.before, choice.after) for choice in found.choices] == [(None, -3), (None, -2)]
    assert found.scores == {"acc": (None, 1.0)}
    assert (found.zone, found.shift) == (None, 0)
    bare = {key: one for key, one in written(0, "a b", "a c", "c").items()
            if not key.startswith("baseline")}  # fmt: skip
    assert (answers(bare).texts.before, answers(bare).shift) == (None, 0)


def test_choices_that_are_contexts() -> None:
    """As in Winogrande: the continuation is the same, what is before it is not."""
    raw = choices(0, [-1, -2], [-1, -3], 0)
    for number, context in enumerate(("He saw Ann", "He saw Tom")):
        raw["arguments"][f"gen_args_{number}"] = {"arg_0": context, "arg_1": " and waved"}
    found = answers(raw)
    assert [choice.text for choice in found.choices] == ["Ann and waved", "Tom and waved"]
    assert found.prompt == "He saw "


def test_requests_without_a_context_are_no_choices() -> None:
    """Mutual information asks for every choice again."""
    raw = choices(0, [-1, -2], [-1, -3], 0)
    for number, word in enumerate((" red", " blue")):
        raw["arguments"][f"gen_args_{2 + number}"] = {"arg_0": "", "arg_1": word}
    raw |= {"acc_mutual_info": 1.0, "filtered_resps": raw["filtered_resps"] * 2}
    found = answers(raw)
    assert [(choice.text, choice.after) for choice in found.choices] == [
        (" red", -1),
        (" blue", -3),
    ]
    assert found.prompt == f"Colour 0? {HOSTILE}"


def test_rolling_texts_and_lists_of_requests() -> None:
    raw = {"doc_id": 1, "target": "", "arguments": [["A whole passage."]], "filtered_resps": ["-9"],
           "baseline_filtered_resps": ["-8.5"], "metrics": ["bits_per_byte"],
           "bits_per_byte": [-9, 16]}  # fmt: skip
    found = answers(raw)
    assert [(choice.text, choice.before, choice.after) for choice in found.choices] == [
        ("A whole passage.", -8.5, -9)
    ]
    assert found.scores == {}


@pytest.mark.parametrize(
    ("target", "gold"),
    [("1", 1), (" blue", 1), ("blue", 1), ("7", None), ("[1, 0]", 1), ("[]", None)],
)
def test_the_right_choice_is_a_number_or_words(target: str, gold: int | None) -> None:
    found = answers({**choices(0, [-1, -2], [-1, -3], 0), "target": target})
    assert found.gold == gold
    assert found.target == (target if gold is None else " blue")


def test_texts_are_as_far_apart_as_their_words() -> None:
    assert answers(written(0, "a b c d", "a b c e", "e")).shift == pytest.approx(0.25)
    assert answers(written(0, "a b", "a b", "b")).shift == 0

"""What was found in items of tasks and other data, each with the file that brought it to light."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sna_eval.app.core.batch_file import read_prompt_file
from sna_eval.errors import InputError
from sna_eval.harness.datasets import load_sst2, read_split
from sna_eval.study.interference import InterferenceOptions
from tests.hostile.loaders import laid_out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": ', "test.jsonl:2: expected an item in JSON"),
        (b"[1, 2]", "test.jsonl:1: expected an item, a JSON object"),
        (b'{"a": "\xff"}', "test.jsonl: expected a text file in UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "test.jsonl:1: expected an item in JSON"),
        (b"[" * 100_000, "test.jsonl:1: expected an item in JSON"),
    ],
)
def test_items(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_split(laid_out("items", tmp_path, content))


def test_sst2_that_is_no_text(tmp_path: Path) -> None:
    laid_out("sst2", tmp_path, b"a film \xff\t1\n")
    with pytest.raises(InputError, match=r"train.tsv: expected a text file in UTF-8"):
        load_sst2(sst2_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "x"}\n{"a": "x", "b": 1}', r"items with the same fields.*\['a', 'b'\] beside"),
        (b'{"a": "x"}\n{"a": 1}', "items with the same fields"),
        (b'{"a": "\\ud83e"}', "items with the same fields.*surrogates not allowed"),
        (b'{"a": 100000000000000000000000000}', "items with the same fields"),
    ],
)
def test_items_that_make_no_table(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_split(laid_out("items", tmp_path, content))


def test_a_line_separator_in_an_item_ends_no_line(tmp_path: Path) -> None:
    """U+2028 and U+0085 end lines for Python, and may stand in JSON."""
    text = "one\u2028two\u0085three"
    content = json.dumps({"a": text}, ensure_ascii=False) + "\r\n" + json.dumps({"a": "b"})
    assert read_split(laid_out("items", tmp_path, content))["a"] == [text, "b"]


def test_a_line_separator_in_a_sentence_ends_no_line(tmp_path: Path) -> None:
    laid_out("sst2", tmp_path, "a film\u2028of two halves\t1\r\nanother\t0\n")
    assert load_sst2(sst2_dir=str(tmp_path))["development"].to_list() == [
        {"sentence": "a film\u2028of two halves", "label": 1}, {"sentence": "another", "label": 0}
    ]  # fmt: skip


def test_sst2_without_a_sentence(tmp_path: Path) -> None:
    laid_out("sst2", tmp_path, b"")
    with pytest.raises(InputError, match=r"train.tsv: expected sentence TAB 0 or 1 in each line"):
        load_sst2(sst2_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["~nobody-known/sst2", "x" * 5000, "a\0b"])
def test_folders_that_are_no_paths(name: str) -> None:
    with pytest.raises(InputError, match=r"sst2_dir: expected a folder with train\.tsv"):
        load_sst2(sst2_dir=name)


@pytest.mark.parametrize("content", [b"\xff", b"\x00\xff"])
def test_texts_that_are_none(content: bytes, tmp_path: Path) -> None:
    file = laid_out("text", tmp_path, content)
    with pytest.raises(InputError, match="text: expected a text file, one text a line"):
        InterferenceOptions(text=str(file)).texts()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own.jsonl", b'{"prompt": "a", "target": "\\ud83e"}', "rows with `prompt` and `target`"),
        ("own.jsonl", b"[" * 100_000, "line 1: no JSON"),
        ("own.csv", b"prompt,target\n\xff,b", "expected UTF-8 text"),
        ("own.csv", b'prompt,target\n"a', "line 2: no CSV"),
        ("own.csv", b"prompt,target\na,b,c\n", "line 2: 3 cells under 2 headings"),
    ],
)
def test_prompts(name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_prompt_file(name, content, space=True)

"""The shipped model, loaded once, and where the data lies that a user may not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "sna_eval" / "reference"


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """So small a model gains nothing from two threads, and loses much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    return REFERENCE


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data folder beside the project; a test that needs it is skipped where it is missing."""
    folder = Path(os.environ.get("SNA_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data folder {folder}; name it in SNA_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def model():
    """The model as a user gets it who names no dtype."""
    loaded = AutoModelForCausalLM.from_pretrained(REFERENCE).eval()
    assert loaded.dtype == torch.float32
    return loaded


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(REFERENCE)


@pytest.fixture(scope="session")
def mini_corpus(tmp_path_factory) -> Path:
    """A folder in the layout of --corpus with a few lines per source, and sst2 within."""
    folder = tmp_path_factory.mktemp("corpus")
    article = "\n = Rivers = \n\n" + "The river runs to the sea , and the sea is wide . \n" * 30
    for name in ("wikitext2-valid.txt", "wikitext2-test.txt"):
        (folder / name).write_text(article * 4)
    speech = "First Citizen:\nThe night is long and the road is dark.\n\n"
    (folder / "shakespeare.txt").write_text(speech * 80)
    problem = '{"question": "What is 2 and 3?", "answer": "2+3 = <<2+3=5>>5\\n#### 5"}\n'
    (folder / "gsm8k-train.jsonl").write_text(problem * 30)
    reviews = folder / "sst2"
    reviews.mkdir()
    lines = [f"film number {i} is a {('dull', 'fine')[i % 2]} one\t{i % 2}\n" for i in range(40)]
    (reviews / "train.tsv").write_text("".join(lines))
    (reviews / "dev.tsv").write_text("Film number 7 is a fine one .\t1\n")
    (reviews / "test.tsv").write_text("quite another film\t0\n")
    return folder

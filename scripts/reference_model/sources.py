"""Raw text by domain: from a folder of files, or from the hub through `datasets`.

`read_sources(corpus_dir, sst2_dir)` gives a `Sources`: documents per natural-text domain, and
labelled reviews. With `corpus_dir=None` the same data sets are fetched from the hub. It does not
tokenize, split off held-out text or repeat anything; `documents` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import UserInputError
from .stdlib_text import read_stdlib

WIKITEXT_FILES = ("wikitext2-valid.txt", "wikitext2-test.txt")
SHAKESPEARE_FILE = "shakespeare.txt"
GSM8K_FILE = "gsm8k-train.jsonl"
SHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
SPEECHES_PER_DOCUMENT = 12


@dataclass(frozen=True)
class Review:
    """One labelled sentence of the Stanford Sentiment Treebank."""

    sentence: str
    positive: bool


@dataclass(frozen=True)
class Sources:
    """All natural text: documents by domain, and the reviews."""

    texts: dict[str, list[str]]
    """Domain name -> documents, in the order of the source."""
    reviews: list[Review]
    """SST-2 train, without any sentence that also stands in dev or test."""
    reviews_dropped: int
    """How many training sentences were dropped because dev or test holds them too."""


def read_sources(*, corpus_dir: Path | None, sst2_dir: Path | None) -> Sources:
    """Read every source from `corpus_dir` and `sst2_dir`, or from the hub where they are None."""
    wikitext, shakespeare, gsm8k = (
        _corpus_from_hub() if corpus_dir is None else _corpus_from_folder(corpus_dir)
    )
    train, forbidden = _sst2_from_hub() if sst2_dir is None else read_sst2_folder(sst2_dir)
    reviews = [r for r in train if normalised(r.sentence) not in forbidden]
    texts = {
        "wikitext": split_articles(wikitext),
        "shakespeare": split_speeches(shakespeare),
        "gsm8k": [f"Question: {q}\nAnswer: {clean_gsm8k(a)}" for q, a in gsm8k],
        "python": read_stdlib(),
    }
    return Sources(texts=texts, reviews=reviews, reviews_dropped=len(train) - len(reviews))


def normalised(sentence: str) -> str:
    """Only the letters and digits of `sentence`, in lower case: overlap is checked in this form."""
    return re.sub(r"[^a-z0-9]+", "", sentence.lower())


def split_articles(wikitext: str) -> list[str]:
    """WikiText cut at its top headings (` = Title = `), with its `@-@` joiners undone."""
    joined = re.sub(r" @([-,.])@ ", r"\1", wikitext)
    parts = re.split(r"(?m)^(?= = [^=\n]+ = *$)", joined)
    return [text for part in parts if len(text := part.strip()) > 200]


def split_speeches(plays: str) -> list[str]:
    """The plays as documents of a dozen speeches each."""
    speeches = [s.strip() for s in plays.split("\n\n") if s.strip()]
    starts = range(0, len(speeches), SPEECHES_PER_DOCUMENT)
    return ["\n\n".join(speeches[i : i + SPEECHES_PER_DOCUMENT]) for i in starts]


def clean_gsm8k(answer: str) -> str:
    """A GSM8K solution without its `<<48/2=24>>` calculator marks."""
    return re.sub(r"<<[^>]*>>", "", answer)


def read_sst2_folder(folder: Path) -> tuple[list[Review], set[str]]:
    """Training reviews, and the normalised sentences of dev and test where those are there."""
    train = read_reviews(folder / "train.tsv")
    forbidden: set[str] = set()
    for name in ("dev.tsv", "test.tsv"):
        if (folder / name).is_file():
            forbidden |= {normalised(r.sentence) for r in read_reviews(folder / name)}
    return train, forbidden


def read_reviews(path: Path) -> list[Review]:
    """A file of `sentence TAB label` lines, label 0 or 1."""
    pairs = [line.rsplit("\t", 1) for line in _text(path).splitlines() if line.strip()]
    if any(len(pair) != 2 or pair[1].strip() not in ("0", "1") for pair in pairs):
        raise UserInputError(f"{path}: expected lines `sentence TAB 0|1`; check the file")
    return [Review(sentence.strip(), label.strip() == "1") for sentence, label in pairs]


def _corpus_from_folder(folder: Path) -> tuple[str, str, list[tuple[str, str]]]:
    """WikiText, Shakespeare and GSM8K question-answer pairs from the files of `folder`."""
    wikitext = "\n".join(_text(folder / name) for name in WIKITEXT_FILES)
    records = [json.loads(line) for line in _text(folder / GSM8K_FILE).splitlines() if line]
    return (
        wikitext,
        _text(folder / SHAKESPEARE_FILE),
        [(record["question"], record["answer"]) for record in records],
    )


def _text(path: Path) -> str:
    if not path.is_file():
        raise UserInputError(
            f"training text: expected the file {path}, which is not there; "
            "name its folder with --corpus or --sst2, or leave both out to use the hub"
        )
    return path.read_text(encoding="utf-8")


def _corpus_from_hub() -> tuple[str, str, list[tuple[str, str]]]:
    """The same three data sets through `datasets`."""
    lines: list[str] = []
    for split in ("validation", "test"):
        lines += _hub("Salesforce/wikitext", "wikitext-2-v1", split=split)["text"]
    plays = _hub("text", data_files=SHAKESPEARE_URL, split="train")["text"]
    gsm8k = _hub("openai/gsm8k", "main", split="train")
    pairs = list(zip(gsm8k["question"], gsm8k["answer"], strict=True))
    return "".join(lines), "\n".join(plays), pairs


def _sst2_from_hub() -> tuple[list[Review], set[str]]:
    """SST-2 by whole sentences (6,920 / 872 / 1,821) through `datasets`."""
    train = _hub("SetFit/sst2", split="train")
    forbidden: set[str] = set()
    for split in ("validation", "test"):
        forbidden |= {normalised(s) for s in _hub("SetFit/sst2", split=split)["text"]}
    pairs = zip(train["text"], train["label"], strict=True)
    return [Review(sentence, bool(label)) for sentence, label in pairs], forbidden


def _hub(*names: str, **options: str) -> dict[str, list]:
    """One split from the hub as columns; one clear line where the hub cannot be reached."""
    from datasets import load_dataset

    load: Callable = load_dataset
    try:
        return load(*names, **options)[:]
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserInputError(
            f"training text: {'/'.join(names)} could not be loaded from the hub ({reason}); "
            "give local files with --corpus DIR and --sst2 DIR"
        ) from error

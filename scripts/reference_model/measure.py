"""Everything the card and the tests state about a shipped model, measured on the shipped files."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from .documents import Document
from .held_out import held_out_texts, losses_of, write_held_out
from .occurrences import Occurrences, count_occurrences
from .pipeline import Material, evaluation_items, sst2_folder
from .probes import ReviewProbe, TaskProbe, probe_reviews, probe_task
from .sources import read_reviews

LOSSES_FILE = "losses.json"
BAND = 0.15


@dataclass(frozen=True)
class Measurements:
    """What a finished model was found to do."""

    losses: dict[str, float]
    """Nats per token on held-out text, by domain."""
    development: dict[str, TaskProbe]
    test: dict[str, TaskProbe]
    occurrences: dict[str, Occurrences]
    """Test items in the training text, by task."""
    held_reviews: ReviewProbe
    """Training reviews that were held out; used to choose settings."""
    dev_reviews: ReviewProbe | None
    """SST-2 dev; used for nothing but this measurement."""
    source_tokens: dict[str, int]
    """Training tokens by source."""


def measure(
    model: GPT2LMHeadModel,
    tokenizer: Tokenizer,
    *,
    material: Material,
    documents: list[Document],
    options: Namespace,
) -> Measurements:
    """Measure losses, tasks, occurrences and reviews; ships the held-out texts on the way."""
    texts = held_out_texts(material.held_texts, material.held_reviews, options.tasks)
    write_held_out(options.out, texts)
    items = {split: evaluation_items(options.tasks, split) for split in ("development", "test")}
    probes = {
        split: {name: probe_task(model, tokenizer, chosen) for name, chosen in by_task.items()}
        for split, by_task in items.items()
    }
    return Measurements(
        losses=losses_of(model, tokenizer, texts),
        development=probes["development"],
        test=probes["test"],
        occurrences=count_occurrences(documents, items["test"]),
        held_reviews=probe_reviews(model, tokenizer, material.held_reviews),
        dev_reviews=_dev_reviews(model, tokenizer, options),
        source_tokens=_source_tokens(tokenizer, documents),
    )


def write_losses(folder: Path, measured: Measurements, run: dict[str, object]) -> None:
    """Record the losses, the band in which a rerun should lie, and the run they came from."""
    content = {"losses": measured.losses, "band": BAND, "run": run}
    (folder / LOSSES_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def recorded_run(folder: Path) -> dict[str, object]:
    """The run stated beside a finished model."""
    return json.loads((folder / LOSSES_FILE).read_text(encoding="utf-8"))["run"]


def _dev_reviews(
    model: GPT2LMHeadModel, tokenizer: Tokenizer, options: Namespace
) -> ReviewProbe | None:
    folder = sst2_folder(options)
    path = folder / "dev.tsv" if folder else None
    if path is None or not path.is_file():
        return None
    return probe_reviews(model, tokenizer, read_reviews(path))


def _source_tokens(tokenizer: Tokenizer, documents: list[Document]) -> dict[str, int]:
    lengths: dict[str, int] = {}
    totals: dict[str, int] = {}
    for document in documents:
        if document.text not in lengths:
            lengths[document.text] = len(tokenizer.encode(document.text).ids) + 1
        totals[document.source] = totals.get(document.source, 0) + lengths[document.text]
    return totals

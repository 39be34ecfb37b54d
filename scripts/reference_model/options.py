"""The training script's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from .mixture import SKILLS
from .training import TrainingSpec

ROOT = Path(__file__).resolve().parents[2]


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """Options with their defaults; the defaults made the shipped model."""
    spec = TrainingSpec()
    parser = argparse.ArgumentParser(
        prog="train_reference_model.py",
        description="Train the bundled model sna-reference and write it as a model folder.",
    )
    add = parser.add_argument
    # fmt: off
    add("--corpus", type=Path, metavar="DIR",
        help="folder with WikiText-2, Shakespeare and GSM8K files (default: from the hub)")
    add("--sst2", type=Path, metavar="DIR",
        help="folder with SST-2's train.tsv (default: sst2 in or beside --corpus, or the hub)")
    add("--tasks", type=Path, metavar="DIR", default=ROOT / "task_configs" / "data",
        help="folder with the bundled tasks' items, to measure with")
    add("--out", type=Path, metavar="DIR", default=ROOT / "sna_eval" / "reference",
        help="where the finished model goes (default: the bundled model)")
    add("--work", type=Path, metavar="DIR", default=ROOT / "build" / "reference",
        help="where checkpoints and the log go")
    add("--tokens", type=float, default=9.5e6, help="training tokens (default: 9.5e6)")
    add("--rate", action="append", default=[], metavar="SKILL=N",
        help=f"documents per million tokens for one of: {', '.join(SKILLS)}; may be repeated")
    add("--label-weight", type=float, default=10.0,
        help="weight of a review's label in the loss (default: 10)")
    add("--layers", type=int, default=spec.layers)
    add("--width", type=int, default=spec.width)
    add("--heads", type=int, default=spec.heads)
    add("--vocab-size", type=int, default=4096)
    add("--learning-rate", type=float, default=spec.learning_rate)
    add("--seed", type=int, default=spec.seed)
    add("--threads", type=int, default=spec.threads, help="CPU threads (default: 2)")
    add("--device", default="cpu", help="cpu or cuda; with a GPU raise --tokens (default: cpu)")
    add("--resume", action="store_true", help="go on from the checkpoint in --work")
    add("--measure-only", action="store_true",
        help="do not train: measure the model in --out again and rewrite its card")
    # fmt: on
    return parser.parse_args(arguments)

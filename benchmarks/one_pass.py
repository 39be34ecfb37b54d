"""Both answers in one `sna` run against one plain `--model hf` run.

    python benchmarks/one_pass.py [--cases NAME ...] [--repeats 5] [--device cpu] [--dtype float32]
    python benchmarks/one_pass.py --model PATH    # on a model of yours, with its own tokenizer

Models, unless one is named, are GPT-2 shapes built from a config with random weights (speed does
not depend on what they know), with GPT-2's tokenizer; sentences are SST-2's. Every case alternates
the two sides in one process, each through lm_eval's `simple_evaluate`, and prints the median ratio,
the share of open gates, and the largest difference of the `sna` scores from plain passes of the
same model with hooks. A case's layer is taken as deep in a model that is named. `--memory` runs
each side in a process of its own and compares peak memory. Results of a run stand in
`benchmarks/RESULTS.md`.

Sentences and tokenizer are read from the folder that `SNA_SHARED_DATA` names: `sst2/dev.tsv` (a
sentence, a tab, its label) and GPT-2's `gpt2-tokenizer/vocab.json` and `merges.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset, DatasetDict
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tqdm import tqdm

from sna_eval.harness.lm import SNALM
from sna_eval.intervention import find_sites

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("SNA_SHARED_DATA", _BESIDE))
SHAPES = {
    "tiny": {"n_layer": 4, "n_embd": 64, "n_head": 4},
    "small": {"n_layer": 12, "n_embd": 768, "n_head": 12},
    "medium": {"n_layer": 24, "n_embd": 1024, "n_head": 16},
}
SHARE_OPEN = 0.33


@dataclass(frozen=True)
class Case:
    """One workload: documents, the layer that is intervened on, and the bound on the ratio."""

    shape: str
    layer: int
    documents: Callable[[], list[tuple[str, list[str]]]]
    share_open: float
    bound: float


def sentences() -> list[str]:
    lines = (DATA / "sst2" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    return [line.rpartition("\t")[0].strip() for line in lines]


def sst2(count: int = 200) -> list[tuple[str, list[str]]]:
    """The SST-2 prompt with its two one-token labels."""
    chosen = random.Random(42).sample(sentences(), count)
    return [(f"Review: {sentence} Sentiment:", [" negative", " positive"]) for sentence in chosen]


def whole_sentences(count: int = 100) -> list[tuple[str, list[str]]]:
    """Two whole sentences to choose from, no context."""
    chosen = random.Random(42).sample(sentences(), 2 * count)
    pool = sorted(
        chosen, key=lambda sentence: len(sentence.split())
    )  # of like length, so margins differ
    return [("", [pool[2 * n], pool[2 * n + 1]]) for n in range(count)]


def _words(rng: random.Random, pool: list[str], count: int) -> str:
    return " ".join(rng.choice(pool) for _ in range(count))


def few_shot_choices(count: int = 100) -> list[tuple[str, list[str]]]:
    """Four choices of about 15 tokens after a context of about 300 that is the document's own."""
    rng, pool = random.Random(0), " ".join(sentences()).split()
    return [
        (_words(rng, pool, 250), [" " + _words(rng, pool, 12) for _ in range(4)])
        for _ in range(count)
    ]


def fixed_shots(count: int = 100) -> list[tuple[str, list[str]]]:
    """About 400 fixed tokens, 60 of question, four one-token choices."""
    rng, pool = random.Random(0), " ".join(sentences()).split()
    shots = _words(rng, pool, 330)
    choices = [" A", " B", " C", " D"]
    return [(f"{shots} {_words(rng, pool, 50)}", choices) for _ in range(count)]


CASES = {
    "sst2-small-8": Case("small", 8, sst2, SHARE_OPEN, 0.72),
    "sst2-small-closed": Case("small", 8, sst2, 0.0, 0.60),
    "sst2-medium-8": Case("medium", 8, sst2, SHARE_OPEN, 0.97),
    "sst2-medium-21": Case("medium", 21, sst2, SHARE_OPEN, 0.84),
    "choices-small-8": Case("small", 8, few_shot_choices, SHARE_OPEN, 0.25),
    "fixed-shots-small-8": Case("small", 8, fixed_shots, SHARE_OPEN, 0.30),
    "sentences-small-8": Case("small", 8, whole_sentences, 0.35, 1.18),
}
GENERATION = {
    "generate-closed": (0.0, False, 1.05),
    "generate-open": (1.0, False, 1.25),
    "generate-both-half": (0.5, True, 1.5 * 1.15),
    "generate-both-open": (1.0, True, 2.0 * 1.15),
}
"""Share of open gates, whether both texts are generated, and the bound of the ratio."""


def build(args: argparse.Namespace, shape: str) -> tuple[Any, Any]:
    """The model that was named and its tokenizer, or a random one of a shape with GPT-2's."""
    dtype = getattr(torch, args.dtype)
    if args.model:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        named = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype)
        return named.eval().to(args.device), AutoTokenizer.from_pretrained(args.model)
    return _random(args.shape or shape, args.device, dtype)


def _random(shape: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    torch.manual_seed(0)
    config = GPT2Config(**SHAPES[shape])
    model = GPT2LMHeadModel(config).eval().to(device, dtype)
    folder = DATA / "gpt2-tokenizer"
    tokenizer = GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def instances(documents: list[tuple[str, list[str]]]) -> list[Instance]:
    """Log-likelihood requests as lm_eval makes them of multiple-choice documents."""
    return [
        Instance("loglikelihood", {}, (context, choice), place, metadata=("case", number, 1))
        for number, (context, choices) in enumerate(documents)
        for place, choice in enumerate(choices)
    ]


def as_task(documents: list[tuple[str, list[str]]]) -> ConfigurableTask:
    """The documents as an lm_eval task."""
    rows = [{"context": context, "choices": choices} for context, choices in documents]
    return ConfigurableTask(
        config={
            "task": "benchmark",
            "custom_dataset": lambda **_: DatasetDict(test=Dataset.from_list(rows)),
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "context",
            "doc_to_choice": "choices",
            "doc_to_target": 0,
            "target_delimiter": "",
        }
    )


@cache
def no_other_tasks() -> TaskManager:
    """Reading lm_eval's 14,000 task files takes longer than scoring, and is no part of it."""
    return TaskManager(include_defaults=False)


def evaluate(lm: HFLM, documents: list[tuple[str, list[str]]]) -> None:
    """One run of lm_eval."""
    simple_evaluate(
        lm,
        tasks=[as_task(documents)],
        task_manager=no_other_tasks(),
        bootstrap_iters=0,
        log_samples=False,
    )


def opening(values: list[float], share: float) -> float:
    """Threshold below which a share of the values lies, halfway between two of them."""
    ordered = sorted(values)
    place = int(share * len(ordered))
    return (ordered[place - 1] + ordered[place]) / 2 if share else -1.0


def make_sna(model: Any, tokenizer: Any, layer: int, low: float, **more: Any) -> SNALM:
    plan = {"layer": layer, "neurons": ";".join(map(str, range(15))), "multiplier": 2.5}
    gate = {"gate": "margin", "low": low, "high": max(low, 1.0)}
    return SNALM(model, tokenizer=tokenizer, batch_size=16, **{**plan, **gate, **more})


def margins(answers: list[tuple[float, bool]], choices: int) -> list[float]:
    from sna_eval.gating.signals.margin import margin

    values = [value for value, _ in answers]
    return [margin(values[n : n + choices]) for n in range(0, len(values), choices)]


def alternate(
    first: Callable[[], Any], second: Callable[[], Any], repeats: int
) -> dict[str, float]:
    """Medians of second / first over alternating runs, on the clock and in processor time.

    Both sides have run before. On a machine with other work the clock says little.
    """
    ratios: dict[str, list[float]] = {"ratio": [], "processor": []}
    for _ in range(repeats):
        taken = [_seconds(side) for side in (first, second)]
        for of_side, (before, after) in zip(ratios.values(), zip(*taken, strict=True), strict=True):
            of_side.append(after / before)
    return {name: round(statistics.median(of_side), 3) for name, of_side in ratios.items()}


def _seconds(side: Callable[[], Any]) -> tuple[float, float]:
    """On the clock, and of this process."""
    clock, processor = time.perf_counter(), time.process_time()
    side()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - clock, time.process_time() - processor


def as_deep(layer: int, shape: str, model: Any) -> int:
    """The layer that lies as deep in a model as one of a shape lies in that."""
    return layer * find_sites(model).n_layers // int(SHAPES[shape]["n_layer"])


def run_case(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One line of the result table."""
    case = CASES[name]
    model, tokenizer = build(args, case.shape)
    layer = as_deep(case.layer, case.shape, model)
    documents = case.documents()[: args.documents]
    requests = instances(documents)
    hf = HFLM(model, tokenizer=tokenizer, batch_size=16)
    baseline = hf.loglikelihood(requests, disable_tqdm=True)
    low = opening(margins(baseline, len(documents[0][1])), case.share_open)
    sna = make_sna(model, tokenizer, layer, low)
    answers = sna.loglikelihood(requests, disable_tqdm=True)
    ratios = alternate(
        lambda: evaluate(hf, documents), lambda: evaluate(sna, documents), args.repeats
    )
    strict = make_sna(model, tokenizer, layer, low, strict=True)
    slow = strict.loglikelihood(requests, disable_tqdm=True)
    opened = sum(value.evidence.amplified for value, _ in answers) / len(answers)
    return {
        "case": name,
        **ratios,
        "bound": case.bound,
        "open": round(opened, 2),
        "baseline difference": max(
            abs(score.evidence.baseline - value)
            for (score, _), (value, _) in zip(answers, baseline, strict=True)
        ),
        "amplified difference": max(
            abs(score - other) for (score, _), (other, _) in zip(answers, slow, strict=True)
        ),
        "shared tokens": sna.describe()["passes"]["shared_tokens"] // (args.repeats + 1),
    }


def run_generation(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """32 greedy tokens for 32 prompts."""
    share, both, bound = GENERATION[name]
    model, tokenizer = build(args, "small")
    model.generation_config.eos_token_id = None  # random models must not stop early
    requests = [
        Instance("generate_until", {}, (context, {"until": ["\x00"], "max_gen_toks": 32}), 0,
                 metadata=("case", number, 1))
        for number, (context, _) in enumerate(sst2(32))
    ]  # fmt: skip
    hf = HFLM(model, tokenizer=tokenizer, batch_size=16)
    layer = as_deep(8, "small", model)
    hf.generate_until(requests, disable_tqdm=True)

    def gated(low: float) -> Any:
        gated_lm = make_sna(
            model, tokenizer, layer, low, gate="max_prob", high=3.0, report_baseline=both
        )
        return gated_lm, gated_lm.generate_until(requests, disable_tqdm=True)

    sna, texts = gated(2.0)
    confidences = sorted(text.decision.confidence for text in texts)
    if share < 1:  # gates open below a bound
        sna, _ = gated(confidences[int(share * len(confidences))] if share else -1.0)
    ratios = alternate(
        lambda: hf.generate_until(requests, disable_tqdm=True),
        lambda: sna.generate_until(requests, disable_tqdm=True),
        args.repeats,
    )
    return {"case": name, **ratios, "bound": bound, "open": share}


def peak_memory(side: str, documents: int, args: argparse.Namespace) -> int:
    """Peak resident memory in MiB of one run in this process; called in a child process."""
    model, tokenizer = build(args, "small")
    repeated = [(f"{n} {context}", choices) for n in range(documents // 200 + 1)
                for context, choices in sst2()][:documents]  # fmt: skip
    lm = (
        HFLM(model, tokenizer=tokenizer, batch_size=16)
        if side == "hf"
        else make_sna(model, tokenizer, as_deep(8, "small", model), 0.3)
    )
    lm.loglikelihood(instances(repeated), disable_tqdm=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run_memory(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of either side in processes of their own."""
    peaks = {}
    few, many = (50, 250) if args.model else (1000, 10_000)  # a real one takes minutes for more
    named = ["--model", args.model] if args.model else []
    for side, documents in (("hf", 200), ("sna", 200), ("sna", few), ("sna", many)):
        command = [sys.executable, __file__, *named, "--peak", side, str(documents)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[side, documents] = int(done.stdout.strip().splitlines()[-1])
    return [
        {"case": "memory, sna / hf, 200 documents", "bound": 0.9,
         "ratio": round(peaks["sna", 200] / peaks["hf", 200], 3)},
        {"case": f"memory, sna, {many:,} / {few:,} documents", "bound": 1.05,
         "ratio": round(peaks["sna", many] / peaks["sna", few], 3)},
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=[*CASES, *GENERATION])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--documents", type=int, help="fewer documents than the cases have")
    parser.add_argument("--model", help="folder of a model to measure instead of random shapes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--shape", choices=SHAPES, help="another shape than the cases name")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", nargs=2, metavar=("SIDE", "DOCUMENTS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.model or (DATA / "gpt2-tokenizer").is_dir()) or not (DATA / "sst2").is_dir():
        parser.error(f"SNA_SHARED_DATA: expected a folder with sst2 and gpt2-tokenizer, got {DATA}")
    if args.peak:
        print(peak_memory(args.peak[0], int(args.peak[1]), args))
        return 0
    rows = run_memory(args) if args.memory else []
    for name in tqdm([] if args.memory else args.cases):
        rows.append(run_case(name, args) if name in CASES else run_generation(name, args))
        print(json.dumps(rows[-1]), flush=True)
    for row in rows:
        kept = "within" if row["ratio"] <= row["bound"] else "OVER"
        print(f"{row['case']:<40} {row['ratio']:.3f}  {kept} {row['bound']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the gate costs in front of a server: `sna-completions` against plain `local-completions`.

    python benchmarks/served.py --url http://127.0.0.1:8000/v1 --base base --adapter sna \
        --plan plan.yaml --tokenizer FOLDER [--task sna_sst2] [--documents 200] [--repeats 3] \
        [--server PID] [--texts]

The server runs already (docs/serving.md), with nothing else to do. Both sides send the same
documents in turn, in this process, with as many requests at a time; tasks and tokenizer are loaded
before the clock starts. Printed are medians, and the ratio beside what it may be at most: a share f
of open gates is asked twice, so (1 + f) times 1.1. With `--server`, the same of processor time, of
the server's processes and this one together: on a machine with other work the clock says little,
and the ratio that is judged is that one. With `--texts` both sides send prompts as texts, and
answers are echoed, each choice by itself: so are choices of several tokens in any case.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, NamedTuple


def main() -> int:
    args = _arguments()
    plain = {
        "base_url": f"{args.url}/completions", "model": args.base, "tokenizer": args.tokenizer,
        "tokenizer_backend": "huggingface", "num_concurrent": args.concurrent,
        **({"tokenized_requests": False} if args.texts else {}),
    }  # fmt: skip
    gated = {**plain, "adapter": args.adapter, "plan": args.plan}
    taken: dict[str, list[Taken]] = {"local-completions": [], "sna-completions": []}
    opened = 0.0
    for _ in range(args.repeats):
        for model, arguments in (("local-completions", plain), ("sna-completions", gated)):
            seconds, samples = evaluate(model, arguments, args)
            taken[model].append(seconds)
            if model == "sna-completions":
                opened = sum(sample["decision"] for sample in samples) / len(samples)
    most = 1.1 * (1 + opened)
    kinds = ("clock", "processor") if args.server else ("clock",)
    for kind in kinds:
        medians = [
            statistics.median(getattr(usage, kind) for usage in of_model)
            for of_model in taken.values()
        ]
        for name, median in zip(taken, medians, strict=True):
            print(f"{name:18} {median:7.1f} s ({kind}), {args.documents / median:6.1f} documents/s")
        ratio = medians[1] / medians[0]
        print(f"ratio {ratio:.2f} ({kind}), share open {opened:.2f}, at most {most:.2f}")
    return int(ratio > most)


class Taken(NamedTuple):
    """Seconds that an evaluation took."""

    clock: float
    processor: float
    """Of this process, and of the server's where it is known."""


def _processor(server: int | None) -> float:
    import psutil

    seconds = time.process_time()
    if server is not None:
        process = psutil.Process(server)
        for each in (process, *process.children(recursive=True)):
            spent = each.cpu_times()
            seconds += spent.user + spent.system
    return seconds


def evaluate(
    model: str, arguments: dict[str, Any], args: argparse.Namespace
) -> tuple[Taken, list[dict[str, Any]]]:
    """What the answers took, and the samples."""
    from lm_eval.api.registry import get_model
    from lm_eval.evaluator import evaluate as run
    from lm_eval.tasks import TaskManager

    from sna_eval.files import tasks_path
    from sna_eval.harness.plugin.registration import register

    register()
    tasks = TaskManager(include_path=str(tasks_path()), include_defaults=False).load([args.task])
    lm = get_model(model)(batch_size=args.batch_size, **arguments)
    started, spent = time.perf_counter(), _processor(args.server)
    results = run(lm=lm, task_dict=tasks, limit=args.documents, bootstrap_iters=0)
    taken = Taken(time.perf_counter() - started, _processor(args.server) - spent)
    return taken, results["samples"][args.task]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("--url", "--base", "--adapter", "--plan", "--tokenizer"):
        parser.add_argument(name, required=True)
    parser.add_argument("--task", default="sna_sst2")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--concurrent", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--server", type=int, metavar="PID", help="the server's process")
    parser.add_argument("--texts", action="store_true", help="send prompts as texts")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

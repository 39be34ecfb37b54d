"""Whether a served or loaded export does what its plan does, on the model it was made for.

Scores neutral sentences in this process and by the copy, and ends with status 1 where they differ:
an adapter that was not loaded, one on another base model, one that is scaled, a server that ignores
the adapter's name, or mixes both up when it is asked for them at the same time. docs/serving.md has
an example.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sna_eval.serving.verifying import Verification

HELP = "hold a served or loaded export against its plan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("export", type=Path, help="folder of `sna-eval export`")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="server with OpenAI's completions, up to /v1")
    where.add_argument("--local", action="store_true", help="load it here, with PEFT")
    parser.add_argument("--base", help="the base model's name on the server")
    parser.add_argument("--adapter", help="the export's name on the server")
    parser.add_argument(
        "--model_args", default="", metavar="NAME=VALUE",
        help="the base model here, as for lm_eval; default: as the export names it, in float32",
    )  # fmt: skip
    parser.add_argument("--texts", type=int, default=32, help="sentences (default 32)")
    parser.add_argument(
        "--tolerance", type=float, metavar="NATS",
        help="how far log-likelihoods may be apart (default 0.01; half precision needs more)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from sna_eval.serving.verification import verify

    _check(args)
    found = verify(
        args.export, url=args.url, base=args.base, adapter=args.adapter,
        model_args=args.model_args, texts=args.texts, tolerance=args.tolerance,
    )  # fmt: skip
    print(_as_text(found))
    return 1 if found.problems else 0


def _check(args: argparse.Namespace) -> None:
    from sna_eval.errors import InputError

    for name in ("base", "adapter"):
        if args.url and not getattr(args, name):
            raise InputError(name, expected="a name that the server has, beside --url", got=None)
    if args.texts < 2:
        raise InputError("texts", expected="2 or more", got=args.texts)
    if args.tolerance is not None and not args.tolerance > 0:
        raise InputError("tolerance", expected="more than 0", got=args.tolerance)


def _as_text(found: Verification) -> str:
    said = [f"PROBLEM: {problem}" for problem in found.problems] or ["verified"]
    if math.isnan(found.base_difference):  # nothing was there to be compared
        return "\n".join(said)
    lines = [
        f"base model         differs by up to {found.base_difference:.2g} nats",
        f"amplified          differs by up to {found.amplified_difference:.2g} nats",
        f"effect             up to {found.effect:.2g} nats; served {found.strength:.3f} times that",
        f"gate               {found.agreed} of {found.items} decisions alike, "
        f"{found.ties} at a bound",
    ]
    if not math.isnan(found.company):
        lines.append(f"both at a time     differ by up to {found.company:.2g} nats from apart")
    return "\n".join([*lines, *said])

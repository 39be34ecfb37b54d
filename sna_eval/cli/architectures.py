"""Lists the architectures that were tried, and how; or tries a model of yours."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

HELP = "list supported architectures, or try one's own model"
TOLERANCE = 1e-5
"""Of log-probabilities in float32."""
_HALF_TOLERANCE = 1e-1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_args", help="as for lm_eval: try this model, not list")
    parser.add_argument("--refused", action="store_true", help="list what is refused, and why")


def run(args: argparse.Namespace) -> int:
    return _try(args.model_args) if args.model_args else _list(refused=args.refused)


def _list(*, refused: bool) -> int:
    from sna_eval.files import architectures_path

    table = json.loads(architectures_path().read_text(encoding="utf-8"))
    rows = [row for row in table["rows"] if (row["status"] == "verified") != refused]
    for row in rows:
        print(_refusal(row) if refused else _line(row))
    versions = ", ".join(f"{name} {number}" for name, number in table["versions"].items())
    print(f"{len(rows)} {'refused' if refused else 'verified'} with {versions}")
    return 0


def _line(row: dict[str, Any]) -> str:
    resumed = "full passes" if row["resumed"] is None else f"resumed {row['resumed']:.0e}"
    experts = f"{row['n_experts']} experts, " if row["n_experts"] else ""
    return (
        f"{row['architecture']:28} {row['model_type']:20} {row['projection']:26} "
        f"{experts}by {row['found_by']}, {row['layers']} layers, "
        f"folded {row['folded']:.0e}, {resumed}"
    )


def _refusal(row: dict[str, Any]) -> str:
    return f"{row['architecture']:28} {row['model_type']:20} {row['message']}"


def _try(model_args: str) -> int:
    import torch

    from sna_eval.harness.loading import load_lm
    from sna_eval.intervention.verification import verify

    model = load_lm(model_args, gate="never").model
    found = verify(model)
    sites, able = found.sites, found.abilities
    experts = f", {sites.n_experts} experts" if sites.n_experts else ""
    print(f"{sites.architecture}: {sites.block_path}.*.{sites.projection_path}, {sites.found_by}")
    print(f"layers with neurons: {len(sites.layers)} of {sites.n_layers}, {sites.d_mlp}{experts}")
    print(f"amplified, scores move by {found.effect:.2g} at least (layers {found.layers})")
    print(f"hooks against scaled weights: {found.folded:.1e}")
    print(
        f"resumed against full passes: {found.resumed:.1e}"
        if found.resumed is not None
        else "passes cannot be resumed: full passes are run"
    )
    if found.heads is None:
        print("attention heads: not known where")
    else:
        heads = sites.of("head")
        print(
            f"{heads.n_units} attention heads of {heads.channels} at {heads.projection_path}: "
            f"moved by {found.heads.effect:.2g}, against scaled weights {found.heads.folded:.1e}"
        )
    print(f"several choices in a row: {able.packs}; common beginnings once: {able.shares_prefix}")
    print(f"as before to the bit afterwards: {found.restored}")
    exact = next(model.parameters()).dtype in (torch.float32, torch.float64)
    if found.holds(TOLERANCE if exact else _HALF_TOLERANCE):
        return 0
    print("sna-eval: error: this model is not amplified as promised", file=sys.stderr)
    return 1

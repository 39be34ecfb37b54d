"""The paper's protocol on one model: sweep, selection, SST-2 grid, interference, report, verdicts.

    python scripts/reproduce_paper.py --model sna-reference --grid small --output out/paper

Writes two stores, the plan that was chosen on development items, the reports, and `claims.md`: the
paper's published figures beside the measured ones, each confirmed, not confirmed or not tested by
the rules in `scripts/paper/claims.py`. A run that was stopped goes on where it was. The `small`
grid is for a look and for continuous integration; verdicts are meant for `full`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from paper.claims import as_markdown, claims

from sna_eval.cli import main as sna_eval
from sna_eval.errors import InputError
from sna_eval.harness.datasets import load_sst2
from sna_eval.study.interference import Interference
from sna_eval.study.summary import summarise
from sna_eval.study.sweep import SweepStore

GRIDS = {
    "full": [],
    "small": ["--neurons", "5,15", "--multipliers", "1.2,1.6,2.0"],
}
SST2_GRIDS = {"full": [], "small": ["--neurons", "5,10", "--multipliers", "2,8"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="sna-reference", help="path or hub name")
    parser.add_argument("--output", default="out/paper", help="folder")
    parser.add_argument("--grid", default="full", choices=tuple(GRIDS))
    parser.add_argument("--tasks", default="sna_generation")
    parser.add_argument("--limit", type=int, help="items per task at most")
    args = parser.parse_args()
    folder = Path(args.output)
    model = ["--model_args", f"pretrained={args.model}"]
    limit = ["--limit", str(args.limit)] if args.limit else []
    store, plan = str(folder / "sweep"), str(folder / "plan.yaml")
    steps = [
        ["sweep", *model, "--tasks", args.tasks, "--output", store, *GRIDS[args.grid], *limit],
        ["select", store, "--output", plan],
        ["interference", *model, "--plan", plan, "--output", str(folder / "interference"), *limit],
        ["report", store, "--interference", str(folder / "interference"),
         "--output", str(folder / "report" / "index.html")],
    ]  # fmt: skip
    with_sst2 = _sst2_at_hand()
    if with_sst2:
        labels = str(folder / "sst2")
        steps.append(["sweep", *model, "--tasks", "sna_sst2", "--directions", "both,predicted",
                      "--output", labels, *SST2_GRIDS[args.grid], *limit])  # fmt: skip
        steps.append(["report", labels, "--output", str(folder / "sst2-report" / "index.html")])
    for step in steps:
        print("$ sna-eval " + " ".join(step), flush=True)
        status = sna_eval(step)
        if status:
            return status
    print(_claims(folder, with_sst2=with_sst2))
    return 0


def _claims(folder: Path, *, with_sst2: bool) -> str:
    """Writes the verdicts and returns them."""
    store = SweepStore.load(folder / "sweep")
    sst2 = SweepStore.load(folder / "sst2").configurations() if with_sst2 else None
    measured = Interference.load(folder / "interference")
    found = claims(summarise(store), store.manifest["n_layers"], sst2, measured)
    text = as_markdown(found)
    (folder / "claims.md").write_text(text, encoding="utf-8")
    return text


def _sst2_at_hand() -> bool:
    try:
        load_sst2()
    except InputError as error:
        print(f"sna_sst2 is left out: {error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

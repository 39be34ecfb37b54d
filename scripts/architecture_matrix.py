"""Builds every architecture tiny, tries what is promised, and writes the matrix.

    python scripts/architecture_matrix.py            # all, into docs/ and the package
    python scripts/architecture_matrix.py llama mpt  # some, printed only

Models are random and built from `scripts/architectures/configs.yaml`: no network, minutes on a CPU.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from architectures.matrix import as_markdown, rows, write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architectures.md"
DATA = ROOT / "sna_eval" / "data" / "architectures.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="transformers' model types; default: all")
    names = parser.parse_args().names
    table = rows(names)
    if names:
        print(as_markdown(table, ""))
    else:
        write(table, page=PAGE, data=DATA)
        print(f"{PAGE}: {sum(row.status == 'verified' for row in table)} verified")
    failed = [row.model_type for row in table if row.status == "failed"]
    print(*(f"failed: {name}" for name in failed), sep="\n", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

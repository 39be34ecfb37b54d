"""What the start-up hook costs a Python that never imports lm_eval.

    python benchmarks/startup.py

Imports the hook's module many times in one process, each time as if for the first, and prints the
median; the bound is 1 ms.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time

TIMES = 200
BOUND = 1e-3  # seconds


def once() -> float:
    """One import, in seconds."""
    sys.modules.pop("sna_eval_startup", None)
    before = time.perf_counter()
    module = importlib.import_module("sna_eval_startup")
    taken = time.perf_counter() - before
    if module._AfterLmEvalModels in sys.meta_path:
        sys.meta_path.remove(module._AfterLmEvalModels)
    return taken


def main() -> int:
    median = statistics.median(once() for _ in range(TIMES))
    print(f"start-up hook: {median * 1e3:.3f} ms, median of {TIMES} imports")
    return int(median > BOUND)


if __name__ == "__main__":
    sys.exit(main())

"""The tiny models of the harness's tests."""

from tests.harness.conftest import evaluate, make_hf, make_sna, own_tasks, tiny_gpt2

__all__ = ["evaluate", "make_hf", "make_sna", "own_tasks", "tiny_gpt2"]

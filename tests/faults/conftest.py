"""The tiny models of the harness's tests."""

from tests.harness.conftest import make_hf, make_sna, tiny_gpt2

__all__ = ["make_hf", "make_sna", "tiny_gpt2"]

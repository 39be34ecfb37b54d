"""Registers the model type `sna` in a running Python, for callers that cannot wait for start-up."""

from __future__ import annotations


def register() -> None:
    """Makes `get_model("sna")` work; does nothing where it already does."""
    import lm_eval.models  # noqa: F401  (fills the registry first: built-in models must stay)

    from sna_eval_startup import register_model

    register_model()

"""`sna-eval architectures`: the list that ships, and a trial of a model of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from sna_eval.files import architectures_path
from sna_eval.intervention import find_sites
from sna_eval.intervention.verification import verify
from tests.conftest import build_model


def test_lists_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(architectures_path().read_text(encoding="utf-8"))["rows"]
    for flags, status in (([], "verified"), (["--refused"], "refused")):
        assert main(["architectures", *flags]) == 0
        *lines, last = capsys.readouterr().out.splitlines()
        expected = [row["model_type"] for row in rows if row["status"] == status]
        assert [line.split()[1] for line in lines] == expected
        assert last.startswith(f"{len(expected)} {status} with transformers ")


def test_tries_the_bundled_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["architectures", "--model_args", "pretrained=sna-reference"]) == 0
    shown = capsys.readouterr().out
    assert "layers with neurons: 8 of 8, 768" in shown
    assert " attention heads of " in shown
    assert "as before to the bit afterwards: True" in shown


def test_an_unknown_model_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["architectures", "--model_args", f"pretrained={tmp_path / 'none'}"]) == 2
    assert "sna-eval: error: pretrained: expected" in capsys.readouterr().err


@pytest.mark.parametrize("unit", ["mlp", "head"])
def test_a_model_that_does_not_keep_its_promise_is_found(unit: Any) -> None:
    """Units that bypass their projection's weights: hooks and scaled weights disagree."""
    model = build_model("llama")
    projection = find_sites(model).of(unit).projections[2]
    plain = projection.forward
    projection.forward = lambda values: plain(values) + values.sum(-1, keepdim=True)
    found = verify(model)
    assert found.heads is not None
    assert (found.folded if unit == "mlp" else found.heads.folded) > 1e-3
    assert not found.holds(1e-5)
    assert found.restored

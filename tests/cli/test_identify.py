"""`sna-eval identify` on the ways to select that a plan has beside the paper's two."""

from __future__ import annotations

from pathlib import Path

import pytest

from sna_eval.cli import main
from sna_eval.cli.common import say_descriptive
from sna_eval.gating import Gate
from sna_eval.plan import Plan, TaskPlan, load_plan

PLAN = """
version: 1
tasks:
  sna_math_easy:
    gate: {{signal: max_prob, low: 0.3, high: 0.6}}
    interventions:
      - {{layer: 2, multiplier: 2.0, select: {{{}}}}}
"""


def identify(folder: Path, select: str, output: str) -> int:
    (folder / "plan.yaml").write_text(PLAN.format(select))
    arguments = ["--plan", str(folder / "plan.yaml"), "--tasks", "sna_math_easy"]
    return main(["identify", *arguments, "--output", str(folder / output)])


def test_attribution_and_random(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for select in ("method: attribution, top_k: 4", "method: random, top_k: 4, seed: 1"):
        assert identify(tmp_path, select, "first.yaml") == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0] == "sna_math_easy: layer 2, x2.0, neurons {'all': 4}"
        monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / select[8:14]))
        assert identify(tmp_path, select, "again.yaml") == 0  # searched anew, not remembered
        assert capsys.readouterr().out.splitlines()[-1].split()[1:] == said[-1].split()[1:]
        first, again = (load_plan(tmp_path / name) for name in ("first.yaml", "again.yaml"))
        assert first == again
        (entry,) = first.tasks["sna_math_easy"].interventions
        assert entry.found is not None
        assert entry.found.method == select.split(",")[0].split()[1]


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("method: attribution, pooling: last", "select.pooling: expected `mean` for `attribution`"),
        ("method: slope", "select.method: expected one of differential, absolute, attrib"),
        ("seed: 1", "select.seed: expected no such key for `differential`"),
        ("method: attribution, top_k: 769", "select.top_k: expected at most 768, the layer's"),
    ],
)
def test_bad_combinations_are_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, select: str, message: str
) -> None:
    assert identify(tmp_path, select, "out.yaml") == 2
    assert (
        capsys.readouterr().err.strip().splitlines()[-1].startswith(f"sna-eval: error: {message}")
    )
    assert not (tmp_path / "out.yaml").exists()


def test_a_gate_that_sees_answers_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Gains behind it are structural: random rankings have them too."""
    seeing, blind = TaskPlan(Gate("target_prob"), ()), TaskPlan(Gate("max_prob", 0.3, 0.6), ())
    say_descriptive(Plan({"a": seeing, "b": blind}))
    said = capsys.readouterr().err
    assert said.startswith("sna-eval: note: a: gains are descriptive: the gate looks at right")
    say_descriptive(Plan({"b": blind}))
    assert not capsys.readouterr().err


ACROSS = """
version: 1
tasks:
  sna_math_easy:
    gate: {mode: always}
    interventions:
      - {method: cna, multiplier: 2.0, select: {prompts: pairs.jsonl, share: 0.002}}
"""


def test_neurons_of_all_layers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A layer a line; the plan is read again, and its file says nothing by reference."""
    (tmp_path / "plan.yaml").write_text(ACROSS)
    (tmp_path / "pairs.jsonl").write_text('{"positive": "3 + 4 =", "negative": "the sea is"}\n')
    output = tmp_path / "out.yaml"
    arguments = ["--plan", str(tmp_path / "plan.yaml"), "--tasks", "sna_math_easy"]
    assert main(["identify", *arguments, "--output", str(output)]) == 0
    *layers, last = capsys.readouterr().out.splitlines()
    entries = load_plan(output).tasks["sna_math_easy"].interventions
    counts = [len(entry.neurons[""]) for entry in entries if entry.neurons]
    assert sum(counts) == round(0.002 * 8 * 768)
    assert layers == [
        f"sna_math_easy: layer {entry.layer}, x2.0, neurons {{'all': {count}}}"
        for entry, count in zip(entries, counts, strict=True)
    ]
    assert last.endswith("1 tasks")
    assert "&id" not in output.read_text()


def test_a_sweep_goes_layer_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in (["--share", "0.01"], ["--across_layers"]):
        assert main(["sweep", "--dry_run", *flag]) == 2
        assert "expected no such flag: a sweep goes layer by layer" in capsys.readouterr().err

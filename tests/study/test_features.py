"""Features of a dictionary through searches, sweeps and nulls: as hooks of the tests' own say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.cli import main
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_lm
from sna_eval.plan import Plan, PlannedIntervention, Selection, TaskPlan, save_plan
from sna_eval.study.methods import MethodsOptions, measure_methods, parse_variants
from sna_eval.study.nulls import NullOptions, searched_null
from sna_eval.study.sweep import ScreenOptions, Sweep, SweepOptions, SweepStore, run_sweep
from tests.intervention.dictionaries import amplified_by_hand, write_sae_lens
from tests.study.plain import target_prob

LAYERS = (0, 1)
BESIDE = ("bottom_neurons", "ungated", "cna", "caa", "ia3")
KINDS = {
    "relu": ("relu", "resid_post"), "jumprelu": ("jumprelu", "resid_post"),
    "behind the MLP": ("relu", "mlp_out"), "behind attention": ("relu", "attn_out"),
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def described(
    request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, str, str]:
    """A model with two dictionaries, what their encoders do, and whose output they describe."""
    kind, place = KINDS[request.param]
    folder = tmp_path_factory.mktemp("dictionaries")
    for layer in LAYERS:
        write_sae_lens(
            folder / str(layer), 32, f"blocks.{layer}.hook_{place}",
            architecture="standard" if kind == "relu" else kind,
        )  # fmt: skip
    named = ";".join(str(folder / str(layer)) for layer in LAYERS)
    lm = load_lm(f"pretrained={checkpoint},dictionary={named}", gate="never")
    return lm, kind, place


@contextmanager
def changed(
    described: tuple[Any, str, str], layer: int, features: tuple[int, ...], factor: float
) -> Iterator[None]:
    """Passes in the body run with features amplified: encoded, scaled, the difference added."""
    lm, kind, place = described
    block = lm.model.transformer.h[layer]

    def hook(module: Any, args: Any, output: Any) -> Any:
        state = output[0] if isinstance(output, tuple) else output
        new = amplified_by_hand(state, features, factor, kind=kind)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    module = {"resid_post": block, "mlp_out": block.mlp, "attn_out": block.attn}[place]
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def swept(lm: Any, tasks: Any, folder: Path, **options: Any) -> tuple[Sweep, SweepStore]:
    asked = SweepOptions(
        tasks=tuple(tasks), unit="feature", n_neurons=(2, 5), multipliers=(0.98, 3.0),
        tokens_per_pass=200, **options,
    )  # fmt: skip
    sweep = Sweep(asked, lm=lm, tasks=tasks)
    return sweep, run_sweep(sweep, folder, quiet=True)


@pytest.mark.parametrize("screen", [None, ScreenOptions(verify=1.0, sample=1.0)])
def test_a_sweep_equals_hooks(
    described: tuple[Any, str, str], load: Callable[..., dict[str, Any]], tmp_path: Path,
    screen: ScreenOptions | None,
) -> None:  # fmt: skip
    lm, _, place = described
    tasks = load("own_open")
    sweep, store = swept(lm, tasks, tmp_path, screen=screen)
    assert store.manifest["unit"] == "feature"
    assert set(sweep.routes.values()) == {"at" if place == "attn_out" else "behind"}
    rows = store.configurations().to_pylist()
    assert len(rows) == len(LAYERS) * 4
    ranked = store.neurons().to_pandas().sort_values("rank")
    docs = list(tasks["own_open"].validation_docs())
    before = [target_prob(lm, doc["text"], f" {doc['answer']}") for doc in docs]
    for row in rows:
        features = tuple(ranked[ranked["layer"] == row["layer"]]["neuron"][: row["n_neurons"]])
        with changed(described, row["layer"], features, row["multiplier"]):
            after = [target_prob(lm, doc["text"], f" {doc['answer']}") for doc in docs]
        assert row["baseline_prob"] == pytest.approx(np.mean(before), rel=1e-5)
        assert row["amplified_prob"] == pytest.approx(np.mean(after), rel=1e-5)
    assert max(abs(row["amplified_prob"] / row["baseline_prob"] - 1) for row in rows) > 1e-3
    if screen is not None:
        small = [row for row in rows if row["multiplier"] == 0.98]
        predicted = [row["predicted_prob"] - row["baseline_prob"] for row in small]
        measured = [row["amplified_prob"] - row["baseline_prob"] for row in small]
        np.testing.assert_allclose(predicted, measured, atol=0.05 * max(map(abs, measured)))


def log_odds(prob: float) -> float:
    return float(np.log(prob / (1 - prob)))


def test_nulls_equal_hooks(
    described: tuple[Any, str, str], load: Callable[..., dict[str, Any]]
) -> None:
    """Claim and random controls: specific gains of test items, and pushes that are equal."""
    lm, _, _ = described
    (task,) = load("own_open").values()
    asked = NullOptions(
        unit="feature", n_neurons=(2, 5), multipliers=(1.5, 3.0), draws=3, others=0,
        tokens_per_pass=200,
    )  # fmt: skip
    found = searched_null(lm, "own_open", task, asked, quiet=True)
    docs = list(task.eval_docs)
    before = [log_odds(target_prob(lm, doc["text"], f" {doc['answer']}")) for doc in docs]
    claimed = set(found.claim.neurons[""])
    for one in (found.claim, *found.nulls):
        (features,) = one.neurons.values()
        with changed(described, one.layer, features, one.multiplier):
            after = [log_odds(target_prob(lm, doc["text"], f" {doc['answer']}")) for doc in docs]
        np.testing.assert_allclose(one.after.log_odds, after, atol=2e-5)
        assert one.gain == pytest.approx(np.mean(np.subtract(after, before)), abs=2e-5)
    for null in found.nulls:
        assert null.layer != found.claim.layer or not claimed & set(null.neurons[""])
        assert null.kl == pytest.approx(null.kl_wanted, rel=0.06) or not null.push_reached
    assert any(null.push_reached for null in found.nulls)


def feature_plan(layer: int | None, **select: Any) -> Plan:
    entry = PlannedIntervention(
        layer or 0, 4.0, unit="feature", select=Selection(top_k=3, **select)
    )
    return Plan({"own_open": TaskPlan(Gate("max_prob", 0.5, 0.9), (entry,))})


@pytest.mark.parametrize("described", ["relu"], indirect=True)
@pytest.mark.parametrize("plan", [feature_plan(1), feature_plan(None, across_layers=True)])
def test_methods_stand_beside_features(
    described: tuple[Any, str, str], load: Callable[..., dict[str, Any]], plan: Plan
) -> None:
    """Those on neurons of layers that no dictionary describes, too; the plan's row by hooks."""
    lm, _, _ = described
    tasks = load("own_open")
    options = MethodsOptions(random_draws=2, draws=50)
    variants = parse_variants([*BESIDE, "other_layer"], seed=0)
    with lm.under(plan):
        table = measure_methods(lm, tasks, variants, options, quiet=True)
        resolved = lm.plans.for_task(tasks["own_open"])
    rows = {row.method: row for row in table.rows}
    wide = len({entry.layer for entry in resolved.interventions}) == len(LAYERS)
    assert ("other_layer" in rows) != wide
    assert rows.keys() - {"other_layer"} == {"sna", "sna_searched", "random_neurons", *BESIDE}
    docs = list(tasks["own_open"].eval_docs)
    with ExitStack() as stack:
        for entry in resolved.interventions:
            (features,) = entry.neurons.values()
            stack.enter_context(changed(described, entry.layer, features, entry.multiplier))
        after = [target_prob(lm, doc["text"], f" {doc['answer']}") for doc in docs]
    assert rows["ungated"].amplified == pytest.approx(np.mean(after), rel=1e-5)
    before = [target_prob(lm, doc["text"], f" {doc['answer']}") for doc in docs]
    assert abs(rows["ungated"].amplified / np.mean(before) - 1) > 0.05


def test_the_commands_with_one_dictionary(
    checkpoint: Path, own_tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No other layer has features: that row is left out, and it is said; the method refuses."""
    folder = write_sae_lens(tmp_path / "sae", 32, "blocks.1.hook_resid_post")
    save_plan(feature_plan(1), tmp_path / "plan.yaml")
    model = ["--model_args", f"pretrained={checkpoint},dictionary={folder}", "--tasks", "own_open"]
    model += ["--include_path", str(own_tasks), "--plan", str(tmp_path / "plan.yaml")]
    asked = ["--methods", "other_layer,bottom_neurons", "--random_draws", "2", "--draws", "50"]
    assert main(["methods", *model, *asked, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "note: other_layer has no row of own_open: the plan leaves no layer alone" in said.err
    assert "other_layer" not in said.out
    assert main(["identify", *model, "--output", str(tmp_path / "found.yaml")]) == 0
    assert "own_open: layer 1, x4.0, features {'all': 3}" in capsys.readouterr().out
    entry = PlannedIntervention(
        1, 4.0, unit="feature", method="other_layer", select=Selection(top_k=3)
    )
    save_plan(Plan({"own_open": TaskPlan(Gate(), (entry,))}), tmp_path / "plan.yaml")
    assert main(["identify", *model, "--output", str(tmp_path / "found.yaml")]) == 2
    assert "method: expected another one: features are known in one" in capsys.readouterr().err

"""Interference against plain hooks, lm_eval's own rolling scores, and values worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import Intervention
from sna_eval.measuring.grid import Configuration
from sna_eval.plan import TaskPlan, load_plan, plain_interventions, plan_fingerprint, save_plan
from sna_eval.reporting.sections import random_neurons_text
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.interference import (
    ALL,
    PLAIN_TEXT,
    CrossEffect,
    Interference,
    InterferenceOptions,
    RandomNull,
    log_likelihoods,
    measure_interference,
    random_null,
    task_subject,
    text_subject,
)
from sna_eval.study.interference.controls import TaskNull, searched_nulls, task_null
from sna_eval.study.nulls import NullOptions, plan_null
from sna_eval.study.sweep import SweepStore
from sna_eval.typed import build

SETS = [
    [Intervention(0, (3, 5), 2.0)],
    [Intervention(2, (1,), 3.0), Intervention(0, (3, 5), 2.0)],
    [Intervention(1, (), 2.0)],
]
TASKS = ("own_open", "own_labels")
TEXTS = ["The cat sat on a mat.", "Rain fell over the town while the cat sat."]


def _hooked(lm: Any, tokens: Sequence[int], together: Sequence[Intervention]) -> torch.Tensor:
    """Log-probabilities after every token, by hooks written out here: `[position, vocabulary]`."""

    def hook(intervention: Intervention) -> Callable[..., Any]:
        def scale(module: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
            scaled = args[0].clone()
            scaled[..., list(intervention.neurons)] *= intervention.multiplier
            return (scaled,)

        return scale

    with ExitStack() as stack, torch.no_grad():
        for one in together:
            projection = lm.model.transformer.h[one.layer].mlp.c_proj
            stack.callback(projection.register_forward_pre_hook(hook(one)).remove)
        logits = lm.model(torch.tensor([tokens])).logits[0]
    return torch.log_softmax(logits, dim=-1)


def _score(
    lm: Any, context: Sequence[int], continuation: Sequence[int], together: Sequence[Intervention]
) -> float:
    log_probs = _hooked(lm, [*context, *continuation], together)
    first = len(context) - 1
    return sum(float(log_probs[first + n, token]) for n, token in enumerate(continuation))


@pytest.mark.parametrize("task", ["own_open", "own_choices"])
def test_items_against_plain_hooks(lm: Any, load: Callable[..., Any], task: str) -> None:
    subject = task_subject(task, load(task)[task], lm, split="test", limit=3)
    found = log_likelihoods(lm.engine, subject, SETS, tokens=60)
    assert subject.items is not None
    requests = [request for item in subject.items.items for request in item.requests]
    expected = [
        [_score(lm, request.context, request.continuation, together) for request in requests]
        for together in ([], *SETS)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found[3], found[0])  # no neurons: nothing at all
    assert np.abs(found[2] - found[1]).max() > 1e-3


def test_perplexity_against_lm_eval_and_plain_hooks(
    lm: Any, load: Callable[..., Any], store: SweepStore, tmp_path: Path
) -> None:
    """The second text is longer than the window, so that it is cut."""
    from lm_eval.api.instance import Instance

    texts = [TEXTS[0], " ".join(TEXTS * 12)]
    subject = text_subject("text", texts, lm)
    assert len(set(subject.text_of)) == 2  # type: ignore[arg-type]
    assert subject.n_requests > 2
    scores = log_likelihoods(lm.engine, subject, SETS[:1], tokens=500)
    requests = [
        Instance("loglikelihood_rolling", {}, (text,), n, task_name="text")
        for n, text in enumerate(texts)
    ]
    rolled = lm.loglikelihood_rolling(requests, disable_tqdm=True)
    np.testing.assert_allclose(np.bincount(subject.text_of, scores[0]), rolled, atol=1e-4)  # type: ignore[arg-type]
    tokens = lm.tok_encode(texts[0], add_special_tokens=False)
    first_text = subject.text_of == 0
    expected = _score(lm, [lm.prefix_token_id], tokens, SETS[0])
    assert scores[1][first_text].sum() == pytest.approx(expected, abs=1e-4)
    assert subject.tokens is not None
    assert subject.tokens[first_text].sum() == len(tokens)


@pytest.fixture(scope="module")
def measured(
    checkpoint: Path,
    load: Callable[..., Any],
    store: SweepStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Interference:
    """A plan of two tasks on both, and on two texts."""
    from sna_eval.harness.loading import load_lm

    folder = tmp_path_factory.mktemp("plan")
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="always")).plan
    tasks = {name: plan.tasks[name] for name in TASKS}
    save_plan(replace(plan, tasks=tasks), folder / "plan.yaml")
    (folder / "text.txt").write_text("\n\n".join(TEXTS))
    sna = load_lm(f"pretrained={checkpoint}", plan=str(folder / "plan.yaml"))
    asked = InterferenceOptions(
        split="development", text=str(folder / "text.txt"), random_draws=4, draws=99
    )
    return measure_interference(sna, load(*TASKS), asked, quiet=True)


def test_all_pairs_are_there(measured: Interference) -> None:
    assert measured.interventions == (*TASKS, ALL)
    assert measured.subjects == (*TASKS, PLAIN_TEXT)
    assert measured.matrix().shape == (3, 3)
    assert len(measured.effects) == 9


def test_a_task_s_own_effect_is_the_sweep_s(measured: Interference, store: SweepStore) -> None:
    rows = store.configurations().to_pandas()
    for source in measured.sources:
        (part,) = source.parts
        row = rows[
            (rows["task"] == source.task)
            & (rows["layer"] == part.layer)
            & (rows["n_neurons"] == part.n_neurons)
            & (rows["multiplier"] == part.multiplier)
        ]
        effect = measured.effect(source.task, source.task)
        assert effect.before == pytest.approx(float(row["baseline_prob"].iloc[0]), rel=1e-5)
        assert effect.change == pytest.approx(float(row["delta_prob"].iloc[0]), abs=1e-7)
        assert effect.low <= effect.change <= effect.high


def test_all_at_once_is_both_by_plain_hooks(
    measured: Interference, lm: Any, store: SweepStore
) -> None:
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="always")).plan
    together = [
        Intervention(
            entry.layer,
            tuple(n for one in (entry.neurons or {}).values() for n in one),
            entry.multiplier,
        )
        for name in TASKS
        for entry in plan.tasks[name].interventions
    ]
    rows = [lm.tok_encode(text, add_special_tokens=False) for text in TEXTS]
    total = sum(_score(lm, [lm.prefix_token_id], row, together) for row in rows)
    expected = math.exp(-total / sum(map(len, rows)))
    assert measured.effect(ALL, PLAIN_TEXT).after == pytest.approx(expected, rel=1e-5)


def _made(**percent: float) -> Interference:
    effects = tuple(
        CrossEffect(*key.split("_"), 5, 0.5, 0.5 * (1 + value / 100), 0.0, 0.0, 1.0)  # type: ignore[call-arg]
        for key, value in percent.items()
    )
    from sna_eval.study.interference import AppliedPlan

    sources = tuple(AppliedPlan(name, "", (Configuration(0, 1, 2.0),)) for name in ("a", "b"))
    return Interference("m", "f", "test", None, "t", sources, effects, (), {})


def test_asymmetry_by_hand() -> None:
    found = _made(a_a=10, a_b=-8, b_a=1, b_b=4)
    np.testing.assert_allclose(found.matrix(), [[10, -8], [1, 4]])
    np.testing.assert_allclose(found.matrix(percent=False), [[0.05, -0.04], [0.005, 0.02]])
    assert found.asymmetry("a", "b") == pytest.approx(-9)
    assert found.asymmetry("b", "a") == pytest.approx(9)
    assert found.asymmetry("a", "a") == 0


def test_random_null_by_hand() -> None:
    """Two of four draws reach the first task's change, none the second's."""
    randoms = [0.1, 0.2, 0.3, 0.4]
    first, second = random_null([("a", 0.3, randoms), ("b", 0.5, randoms)])
    assert first.p == pytest.approx(3 / 5)
    assert second.p == pytest.approx(1 / 5)
    assert (first.p_holm, second.p_holm) == pytest.approx((3 / 5, 2 / 5))
    assert (first.p_bh, second.p_bh) == pytest.approx((3 / 5, 2 / 5))
    assert first.random_mean == pytest.approx(0.25)


def test_searched_null_by_hand() -> None:
    """Of the specific gains, whatever P(target) does."""
    null = TaskNull((0.9, 0.9, 0.9), 0.2, (0.1, 0.2, 0.3), 1)
    (found,) = searched_nulls([("a", 0.3, null)])
    assert found.p == pytest.approx(3 / 4)
    assert (found.change, found.random_changes) == (0.3, (0.9, 0.9, 0.9))
    assert (found.gain, found.random_gains, found.searched) == (0.2, (0.1, 0.2, 0.3), True)
    assert found.out_of_reach == 1


def test_controls_are_searched(measured: Interference) -> None:
    """Draws choose layers, counts and multipliers of their own; before, they had the plan's."""
    assert [control.task for control in measured.controls] == list(TASKS)
    for control in measured.controls:
        assert control.searched
        assert control.change == pytest.approx(
            measured.effect(control.task, control.task).change, abs=1e-9
        )
        assert len(control.random_changes) == len(control.random_gains) == 4
        as_large = sum(gain >= control.gain for gain in control.random_gains)
        assert control.p == (1 + as_large) / 5


def test_draws_choose_and_push_as_far_as_the_plan(
    lm: Any, load: Callable[..., Any], store: SweepStore
) -> None:
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="always")).plan
    together = plain_interventions(plan.tasks["own_open"])
    options = NullOptions(draws=6, n_neurons=(2, 5), multipliers=(1.5, 3.0))
    found = plan_null(lm, "own_open", load("own_open")["own_open"], together, options, quiet=True)
    assert len({(null.layer, null.n_neurons) for null in found.nulls}) > 1
    assert {null.kl_wanted for null in found.nulls} == {found.claim.kl}
    assert all(null.kl == pytest.approx(found.claim.kl, rel=0.06) for null in found.nulls)
    assert len({null.multiplier for null in found.nulls}) == 6


def test_steering_has_no_random_neurons(lm: Any, load: Callable[..., Any]) -> None:
    steering: Any = object()
    plan = TaskPlan(Gate(), ())
    with pytest.raises(InputError, match="random_draws: expected 0 for a method that chooses no"):
        task_null(
            lm, "own_open", load("own_open")["own_open"], plan, (steering,), draws=1, seed=0,
            split="test", limit=None,
        )  # fmt: skip


def test_files_of_before_are_read() -> None:
    """Their draws borrowed the plan's configuration, and that is said."""
    raw = {"task": "a", "change": 0.1, "random_changes": [0.0], "p": 0.5, "p_holm": 0.5, "p_bh": 1}
    old = build(RandomNull, raw)
    assert not old.searched
    assert "p is too small" in random_neurons_text([old])
    assert "searches the whole grid" in random_neurons_text([replace(old, searched=True)])


def test_it_goes_on_where_it_was(
    lm: Any, load: Callable[..., Any], store: SweepStore, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What is kept is not measured again, and what is lost comes out the same."""
    from sna_eval.study.interference import running

    scored: list[str] = []

    def counted(engine: Any, subject: Any, sets: Any, **options: Any) -> Any:
        scored.append(subject.name)
        return log_likelihoods(engine, subject, sets, **options)

    monkeypatch.setattr(running, "log_likelihoods", counted)
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS))
    asked = InterferenceOptions(random_draws=1, draws=20, text=str(text))
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="always")).plan
    with lm.under(replace(plan, tasks={name: plan.tasks[name] for name in TASKS})):
        first = measure_interference(lm, load(*TASKS), asked, output=tmp_path, quiet=True)
        assert scored == [*TASKS, PLAIN_TEXT]
        (tmp_path / "parts" / "own_labels.json").unlink()
        again = measure_interference(lm, load(*TASKS), asked, output=tmp_path, quiet=True)
        assert scored[3:] == ["own_labels"]
        with pytest.raises(InputError, match=r"output.limit: expected .*, as .* got 3"):
            measure_interference(lm, load(*TASKS), replace(asked, limit=3), output=tmp_path)
        changed = load(*TASKS)
        changed["own_labels"].config.target_delimiter = " so "
        with pytest.raises(InputError, match=r"output: .*own_labels on its items as they"):
            measure_interference(lm, changed, asked, output=tmp_path, quiet=True)
        with monkeypatch.context() as patch:
            patch.setattr(lm, "softmax_dtype", torch.float64)
            with pytest.raises(
                InputError, match=r"output.softmax_dtype: expected .*, got 'float64'"
            ):
                measure_interference(lm, load(*TASKS), asked, output=tmp_path, quiet=True)
        with monkeypatch.context() as patch:
            patch.setattr(running, "versions", lambda: {"torch": "0"})
            with pytest.raises(InputError, match=r"output.versions.python: expected .*, as"):
                measure_interference(lm, load(*TASKS), asked, output=tmp_path, quiet=True)
        (tmp_path / "parts" / "own_open.json").write_text("[")
        with pytest.raises(InputError, match="output: expected a file that `sna-eval inter"):
            measure_interference(lm, load(*TASKS), asked, output=tmp_path, quiet=True)
    assert again == first


def test_saved_and_loaded(measured: Interference, tmp_path: Path) -> None:
    measured.save(tmp_path)
    assert Interference.load(tmp_path) == measured
    (tmp_path / "interference.json").write_text('{"version": 2}')
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="expected a folder that `sna-eval interference` wro"):
            Interference.load(folder)


def test_as_typed(
    checkpoint: Path,
    own_tasks: Path,
    store: SweepStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = tmp_path / "plan.yaml"
    assert main(["select", str(store.path), "--output", str(plan)]) == 0
    typed = ["interference", "--plan", str(plan), "--model_args", f"pretrained={checkpoint}"]
    typed += ["--include_path", str(own_tasks), "--tasks", "own_open", "--limit", "2"]
    typed += ["--random_draws", "0", "--draws", "20", "--output", str(tmp_path / "found")]
    capsys.readouterr()
    assert main(typed) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("own_open: itself ")
    assert lines[1].endswith(f"2 effects, plan {plan_fingerprint(load_plan(plan))}")
    found = Interference.load(tmp_path / "found")
    assert (found.split, found.limit, found.model) == ("test", 2, str(checkpoint))
    assert main([*typed, "--text", str(tmp_path / "none.txt")]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "text: expected a text file, one text a line" in line


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "training"}, "split: expected one of development, test, got 'training'"),
        ({"limit": 0}, "limit: expected at least 1, got 0"),
        ({"random_draws": -1}, "random_draws: expected at least 0, got -1"),
    ],
)
def test_impossible_settings(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        InterferenceOptions(**values)


def test_nothing_to_measure(lm: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plan: expected an entry for one of the tasks"):
        measure_interference(lm, load("own_open"))
    with pytest.raises(InputError, match="text: expected at least one line of text"):
        text_subject("text", [" "], lm)

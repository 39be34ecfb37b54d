"""A sweep's best configuration, taken into the app: same neurons, gate, model, or one line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sna_eval.app.core.question import development_examples
from sna_eval.app.core.runs import SweepFolder, open_folder
from sna_eval.app.core.setting import PromptSource
from sna_eval.app.core.taking import take_best
from sna_eval.app.core.workspace import Workspace, resolved_entry
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_tasks
from sna_eval.study.summary import TaskSummary
from sna_eval.study.sweep import Sweep, SweepOptions, SweepStore, row_intervention, run_sweep

TASK = "sna_logic_easy"
GATE = Gate("max_prob", 0.25, 0.75, transition="amplify")


@pytest.fixture(scope="module")
def opened(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    """A sweep that differs from the app's first look in all that can be set."""
    folder = tmp_path_factory.mktemp("sweep")
    options = SweepOptions(
        tasks=(TASK,), layers=(2, 5), n_neurons=(3, 6), multipliers=(1.5, 3.0), limit=4,
        spread=True, select="attribution", pooling="last", gate=GATE,
    )  # fmt: skip
    tasks = load_tasks([TASK], only_bundled=True)
    run_sweep(Sweep(options, lm=workspace.lm, tasks=tasks), folder, quiet=True)
    found = open_folder(str(folder), draws=10)
    assert isinstance(found, SweepFolder)
    return found


@pytest.fixture
def best(opened: SweepFolder) -> TaskSummary:
    (task,) = opened.summary.tasks
    return task


def with_manifest(store: SweepStore, **changes: Any) -> SweepStore:
    """The store, its task described otherwise."""
    manifest = json.loads(json.dumps(store.manifest))
    manifest["tasks"][TASK] |= changes
    return replace(store, manifest=manifest)


def test_it_finds_the_neurons_of_the_store(
    workspace: Workspace, opened: SweepFolder, best: TaskSummary
) -> None:
    taken = take_best(opened.store, best)
    place = best.best
    (row,) = (
        row
        for row in opened.store.configurations().to_pylist()
        if (row["layer"], row["n_neurons"], row["multiplier"])
        == (place.layer, place.n_neurons, place.multiplier)
    )
    expected = row_intervention(opened.store, row)
    entry = resolved_entry(workspace, taken.setting)
    assert (entry.layer, entry.multiplier, entry.neurons) == (
        expected.layer, expected.multiplier, expected.neurons,
    )  # fmt: skip
    assert taken.setting.source == PromptSource(TASK, half="ranking")
    assert taken.setting.pooling == "last"
    assert taken.setting.gate == GATE
    assert (taken.model, taken.model_hash) == ("sna-reference", workspace.lm.model_hash)


def test_a_sweep_that_ranked_on_all_prompts(opened: SweepFolder, best: TaskSummary) -> None:
    whole = development_examples(TASK).fingerprint
    store = with_manifest(opened.store, ranked_apart=False, prompts_hash=whole)
    assert take_best(store, best).setting.source == PromptSource(TASK)


def test_what_cannot_be_taken_is_said_in_a_line(opened: SweepFolder, best: TaskSummary) -> None:
    gold = replace(best, best=replace(best.best, direction="gold"))
    with pytest.raises(InputError, match=r"direction: expected one that does not know.*'gold'"):
        take_best(opened.store, gold)
    drawn = with_manifest(opened.store, select="random")
    with pytest.raises(InputError, match="select: expected neurons that are found again"):
        take_best(drawn, best)
    with pytest.raises(InputError, match="task: expected a bundled task with the prompts that"):
        take_best(with_manifest(opened.store, prompts_hash="00"), best)
    many = replace(best, best=replace(best.best, n_neurons=999))
    with pytest.raises(InputError, match="neurons: expected a count from 1 to 200, got 999"):
        take_best(opened.store, many)


def page(opened: SweepFolder) -> AppTest:
    def runs() -> None:
        from sna_eval.app.ui import runs_page, state

        state.keep()
        runs_page.show()

    app = AppTest.from_function(runs, default_timeout=60)
    app.session_state["opened"] = (opened, None)
    app.session_state["model"] = "gpt2"
    return app.run()


def take(app: AppTest) -> AppTest:
    (button,) = [button for button in app.button if button.label.startswith("Take the best")]
    app = button.click().run()
    assert not app.exception
    return app


def captions(app: AppTest) -> str:
    return "\n".join(caption.value.replace("\\", "") for caption in app.caption)


def test_one_click_sets_everything(
    workspace: Workspace, opened: SweepFolder, best: TaskSummary
) -> None:
    app = take(page(opened))
    expected = {
        "model": "sna-reference", "source": TASK, "halved": True, "method": "attribution",
        "pooling": "last", "layer": best.best.layer, "count": best.best.n_neurons,
        "multiplier": best.best.multiplier, "direction": "both", "positions": "all",
        "gate": "max_prob", "low": 0.25, "high": 0.75, "transition": True,
        "meant": ("sna-reference", workspace.lm.model_hash),
    }  # fmt: skip
    assert {name: app.session_state[name] for name in expected} == expected
    assert "Taken, with the model sna-reference" in captions(app)
    assert "looks at the right answer" not in captions(app)


def test_a_gate_that_sees_the_answer_is_called_so(opened: SweepFolder) -> None:
    seeing = with_manifest(
        opened.store, gate={"signal": "target_prob", "low": 0.07, "high": 0.1, "mode": "confidence"}
    )
    app = take(page(replace(opened, store=seeing)))
    assert "gate, P(target), which looks at the right answer" in captions(app)


def test_a_refusal_leaves_the_setting_alone(opened: SweepFolder) -> None:
    app = page(replace(opened, store=with_manifest(opened.store, select="random")))
    before = {name: app.session_state[name] for name in ("model", "source", "layer", "gate")}
    app = take(app)
    assert {name: app.session_state[name] for name in before} == before
    assert "Not taken. select: expected neurons that are found again" in captions(app)


@pytest.mark.parametrize("same", [True, False])
def test_other_weights_than_the_sweep_s_are_said(workspace: Workspace, same: bool) -> None:
    from tests.app.test_pages import opened as shown
    from tests.app.test_pages import try_it

    swept = workspace.lm.model_hash if same else "0" * 16
    app = shown(try_it, meant=("sna-reference", swept))
    said = [warning.value for warning in app.warning if "with other weights" in warning.value]
    assert len(said) == (0 if same else 1)


def test_any_model_can_be_put() -> None:
    def put() -> None:
        import streamlit as st

        from sna_eval.app.ui import state

        state.keep()
        state.put_model("org/model", model_hash="00")
        st.text(state.model_name())

    app = AppTest.from_function(put).run()
    assert (app.session_state["model"], app.text[0].value) == ("another model", "org/model")


@pytest.mark.parametrize("name", ["gpt2", "org/model"])
def test_pages_begin_with_the_server_s_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sna_eval.app import server

    def begin() -> None:
        import streamlit as st

        from sna_eval.app.ui import state

        state.keep()
        st.text(state.model_name())

    monkeypatch.setattr(server, "_started", server.Serving(model=name))
    assert AppTest.from_function(begin).run().text[0].value == name


def test_the_command_of_a_sweep_keeps_its_dtype(opened: SweepFolder) -> None:
    from sna_eval.app.core.runs import saved_choice

    assert "pretrained=sna-reference,dtype=float32,plan=plan.yaml " in saved_choice(opened).command

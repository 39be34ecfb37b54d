"""Every page without a browser: answers, and a message for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import boundary


def try_it() -> None:
    from sna_eval.app.ui import state, try_page

    state.keep()
    try_page.show()


def where() -> None:
    from sna_eval.app.ui import state, where_page

    state.keep()
    where_page.show()


def batch() -> None:
    from sna_eval.app.ui import batch_page, state

    state.keep()
    batch_page.show()


def runs() -> None:
    from sna_eval.app.ui import runs_page, state

    state.keep()
    runs_page.show()


def opened(page: Callable[[], None], **values: Any) -> AppTest:
    """A page with some of the session's values set."""
    app = AppTest.from_function(page, default_timeout=60)
    for name, value in values.items():
        app.session_state[name] = value
    return app.run()


def pressed(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label == label]
    return button.click().run()


def errors(app: AppTest) -> list[str]:
    assert not app.exception
    return [entry.value.replace("\\", "") for entry in app.error]


def texts(app: AppTest) -> str:
    return "\n".join(str(entry.proto.body) for entry in app.get("html"))


def test_a_first_look(workspace: Workspace) -> None:
    app = pressed(opened(try_it), "Amplify")
    assert errors(app) == []
    shown = texts(app)
    assert "zone 1, uncertain" in shown
    assert ">amplify<" in shown
    assert 'data-name="baseline_prob"' in shown
    (code,) = app.code
    assert code.value.startswith("lm_eval --model sna --model_args pretrained=sna-reference")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt": " "}, "prompt: expected a text, got ' '; type the text"),
        ({"target": ""}, "target: expected a text, got ''"),
        ({"layer": 99}, "layer: expected a layer from 0 to 7 (GPT2LMHeadModel), got 99"),
        ({"count": 0}, "neurons: expected a count from 1 to 200, got 0"),
        ({"low": 0.5}, "gate.low: expected at most gate.high = 0.1, got 0.5"),
        ({"multiplier": None}, "multiplier: expected a number, got None; type one"),
        ({"source": "own prompts"}, "task prompts: expected at least one prompt"),
        (
            {"source": "own prompts", "own_prompts": "x" * 300_000},
            "task prompts: expected at most 1,000 lines and 200,000 characters",
        ),
        ({"method": "contrastive"}, "select.method: expected a task with exactly two labels"),
        ({"gate": "margin", "low": 0.3, "high": 0.6}, "it needs two choices"),
    ],
)
def test_bad_input_is_a_message(values: dict[str, Any], message: str) -> None:
    app = pressed(opened(try_it, **values), "Amplify")
    assert any(message in error for error in errors(app)), errors(app)


def test_a_missing_model_is_a_message_and_not_asked_for_again() -> None:
    app = opened(try_it, model="another model", other_model="no/such-model")
    (error,) = errors(app)
    assert "expected a model folder or hub name, got 'no/such-model'" in error
    assert errors(app.run()) == [error]
    app.text_input(key="other_model").set_value("").run()
    assert "model: expected a hub name, a folder or a .gguf file" in errors(app)[0]
    app.selectbox(key="model").set_value("sna-reference").run()
    assert errors(app) == []


def test_a_target_of_several_tokens_is_said(workspace: Workspace) -> None:
    app = pressed(opened(try_it, target="ten apples"), "Amplify")
    assert errors(app) == []
    assert "The target is 2 tokens" in app.info[0].value.replace("\\", "") or (
        "tokens" in app.info[0].value
    )


def test_other_settings_than_the_answer_has_are_said(workspace: Workspace) -> None:
    app = pressed(opened(try_it), "Amplify")
    app.number_input(key="multiplier").set_value(3.0).run()
    assert any("settings have changed" in caption.value for caption in app.caption)


def test_multipliers_are_the_map_s_own() -> None:
    from sna_eval.app.core.mapping import MULTIPLIERS
    from sna_eval.argument_lists import parse_numbers

    typed = opened(where).session_state["multipliers"]
    assert parse_numbers("multipliers", typed) == MULTIPLIERS


@pytest.mark.parametrize(
    ("changed", "stale"),
    [({"layer": 2, "multiplier": 3.0, "gate": "always"}, False), ({"count": 7}, True),
     ({"prompt": "Two plus two is"}, True), ({"multipliers": "0, 2"}, True)],
)  # fmt: skip
def test_a_map_of_other_settings_says_so(
    workspace: Workspace, changed: dict[str, Any], stale: bool
) -> None:
    app = pressed(opened(where, multipliers="2"), "Draw the map")
    for name, value in changed.items():
        app.session_state[name] = value
    app.run()
    assert errors(app) == []
    assert any("draw the map again" in caption.value for caption in app.caption) is stale


def test_an_item_of_a_task_is_taken() -> None:
    app = opened(try_it)
    (box,) = [box for box in app.selectbox if box.label == "Item"]
    box.set_value(3).run()
    pressed(app, "Take it")
    from sna_eval.app.core.question import task_questions

    asked = task_questions("sna_math_easy", "development")[3]
    assert app.session_state["prompt"] == asked.prompt
    assert f" {app.session_state['target']}" == asked.target


def test_the_map_and_its_best_cell(workspace: Workspace) -> None:
    app = pressed(opened(where, multipliers="0, 2, 9"), "Draw the map")
    assert errors(app) == []
    found = app.session_state["map"][1]
    assert len(found.cells) == 3 * workspace.sites.n_layers
    best = found.best
    pressed(app, f"Take the best: layer {best.layer}, x{best.multiplier:g}")
    assert (app.session_state["layer"], app.session_state["multiplier"]) == (
        best.layer,
        best.multiplier,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"multipliers": "a, b"}, "multipliers: expected numbers such as 1.5,2,4"),
        ({"multipliers": ",".join(map(str, range(41)))}, "multipliers: expected at most 40"),
        ({"positions": "last"}, "positions: expected `all` for a map"),
        ({"prompt": ""}, "prompt: expected a text"),
    ],
)
def test_maps_that_cannot_be_drawn(values: dict[str, Any], message: str) -> None:
    app = pressed(opened(where, **values), "Draw the map")
    assert any(message in error for error in errors(app)), errors(app)


@pytest.mark.parametrize("changed", [{}, {"layer": 2}, {"low": 0.01}])
def test_a_batch_of_other_settings_says_so(workspace: Workspace, changed: dict[str, Any]) -> None:
    from sna_eval.app.core.batch import run_batch
    from sna_eval.app.core.batch_file import read_prompt_file
    from tests.app.conftest import a_setting

    file = read_prompt_file(
        "a.jsonl", b'{"prompt": "Five plus five is", "target": "ten"}', space=True
    )
    (rows,) = run_batch(workspace, a_setting(), file.rows)
    app = opened(batch, batch=("sna-reference", a_setting(), file, file, rows), **changed)
    assert errors(app) == []
    stale = any("press Run for new answers" in caption.value for caption in app.caption)
    assert stale is bool(changed)


def test_batch_waits_for_a_file() -> None:
    app = opened(batch)
    assert errors(app) == []
    (run,) = [button for button in app.button if button.label == "Run"]
    assert run.disabled


def test_a_folder_without_a_run_is_a_message(tmp_path: Any) -> None:
    for folder, message in (
        ("", "folder: expected the folder of a sweep"),
        (str(tmp_path / "none"), "folder: expected the folder of a sweep"),
        (str(tmp_path), "output: expected sample files of an `sna` run"),
    ):
        app = pressed(opened(runs, folder=folder), "Open")
        assert any(message in error for error in errors(app)), errors(app)


def test_what_nobody_foresaw_is_a_message_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from sna_eval.app.ui import try_page

    def broken(*args: object) -> None:
        raise KeyError("x_[1]")

    monkeypatch.setattr(try_page, "try_it", broken)
    app = pressed(opened(try_it), "Amplify")
    assert errors(app) == ["KeyError: 'x_[1]'; the server's terminal has the details"]


def test_messages_are_no_markdown() -> None:
    assert boundary.plain("a *b* <i> [c](d)\n e_f") == r"a \*b\* \<i\> \[c\]\(d\) e\_f"

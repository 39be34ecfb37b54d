"""What a first look begins with fits the model, and never undoes what somebody has set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sna_eval.app.core.models import SHELF
from sna_eval.app.core.question import FIRST_TASK, task_questions
from sna_eval.app.core.setting import PromptSource
from sna_eval.app.core.starting import BUNDLED, first_look
from sna_eval.app.core.trying import TryConfig, try_it
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import boundary
from tests.app.conftest import a_setting
from tests.conftest import VOCABULARY, build_model

CONTROLS = ("layer", "count", "multiplier", "low", "high", "prompt", "target")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> Workspace:
    """A random Llama of 4 layers and 64 neurons each, in a folder."""
    folder = tmp_path_factory.mktemp("other")
    build_model("llama", vocab_size=VOCABULARY, max_position_embeddings=256).save_pretrained(folder)
    word_tokenizer.save_pretrained(folder)
    return SHELF.get(str(folder))


def test_the_bundled_model_begins_with_its_plan_s(workspace: Workspace) -> None:
    assert workspace.first_look is BUNDLED
    tried = try_it(workspace, TryConfig(BUNDLED.question, a_setting()))
    assert tried.decision.zone == 1


def test_another_model_begins_with_what_fits_it(other: Workspace) -> None:
    look = other.first_look
    assert (look.layer, look.count) == (2, 2)
    questions = task_questions(FIRST_TASK, "development")
    setting = a_setting(layer=look.layer, count=look.count)
    probs = np.array(
        [try_it(other, TryConfig(question, setting, 1)).before.prob for question in questions[:12]]
    )
    few = first_look("other", other.lm, questions[:12])
    assert few.low == pytest.approx(np.quantile(probs, 1 / 3), rel=0.05)
    assert few.high == pytest.approx(np.quantile(probs, 1 / 2), rel=0.05)
    asked = questions.index(few.question)
    assert probs[asked] == max(probs[probs < few.low])


def try_page() -> None:
    from sna_eval.app.ui import state, try_page

    state.keep()
    try_page.show()


def opened(**values: Any) -> AppTest:
    app = AppTest.from_function(try_page, default_timeout=60)
    for name, value in values.items():
        app.session_state[name] = value
    return app.run()


def shown(app: AppTest) -> list[Any]:
    assert not app.exception
    return [app.session_state[name] for name in CONTROLS]


def chosen(app: AppTest, model: Workspace) -> AppTest:
    app.session_state["model"], app.session_state["other_model"] = "another model", model.name
    return app.run()


def test_untouched_controls_follow_the_model(other: Workspace, workspace: Workspace) -> None:
    app = opened()
    before = shown(app)
    look = other.first_look
    question = look.question
    app = chosen(app, other)
    assert shown(app) == [
        look.layer, look.count, look.multiplier, look.low, look.high,
        question.prompt, question.target.removeprefix(" "),
    ]  # fmt: skip
    (button,) = [button for button in app.button if button.label == "Amplify"]
    app = button.click().run()
    assert not app.error
    assert "zone 1, uncertain" in "\n".join(str(one.proto.body) for one in app.get("html"))
    app.session_state["model"] = workspace.name
    assert shown(app.run()) == before


@pytest.mark.parametrize(
    "changed", [{"layer": 1}, {"prompt": "One and one is"}, {"gate": "always"}]
)
def test_what_was_set_stays(other: Workspace, changed: dict[str, Any]) -> None:
    app = opened(**changed)
    before = shown(app)
    assert shown(chosen(app, other)) == before


def test_a_search_is_made_once_and_shown(other: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    spinner = boundary.st.spinner

    def noted(text: str, **options: Any) -> Any:
        assert options == {"show_time": True}
        told.append(text)
        return spinner(text, **options)

    monkeypatch.setattr(boundary.st, "spinner", noted)
    setting = a_setting(source=PromptSource("sna_logic_hard"), layer=1, count=3)
    assert not other.has_ranked(setting.source, setting.method, setting.pooling)
    boundary.search(other, setting)
    boundary.search(other, setting)
    assert told == [r"Looking for neurons on sna\_logic\_hard"]
    assert other.has_ranked(setting.source, setting.method, setting.pooling)


def test_a_model_that_is_sure_of_everything(workspace: Workspace, tmp_path: Path) -> None:
    """Where all items are alike there is none below the boundary: any will do."""
    questions = task_questions(FIRST_TASK, "development")[:1] * 3
    look = first_look("the same, three times", workspace.lm, questions)
    assert look.low == look.high
    assert look.question == questions[0]

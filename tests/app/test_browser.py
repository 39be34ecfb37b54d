"""The whole app in Chromium, with the bundled model; `make test-app`."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.app.browser import CHROMIUM, Visitor, app_server, chromium

pytestmark = [
    pytest.mark.app,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_server(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def visitor(address: str, tmp_path: Path) -> Iterator[Visitor]:
    with chromium() as browser:
        found = Visitor(browser, address, tmp_path)
        yield found
        found.close()


def evaluated(archive: Path, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Unpacks what was saved, runs its command there, and reads the samples: `{task: samples}`."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    command = shlex.split((folder / "command.sh").read_text())
    command[0] = str(Path(sys.executable).parent / command[0])
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        path.stem.removeprefix("samples_").rpartition("_")[0]: [
            json.loads(line) for line in path.read_text().splitlines()
        ]
        for path in (folder / "out").rglob("samples_*.jsonl")
    }


def test_a_prompt_is_tried_saved_and_equals_lm_eval(visitor: Visitor, tmp_path: Path) -> None:
    visitor.open("")
    visitor.type("Prompt", "Two plus five is")
    visitor.type("Target", "seven")
    visitor.press("Amplify")
    visitor.page.get_by_text("zone 1, uncertain").wait_for()
    assert visitor.page.get_by_text("amplify", exact=True).count() == 1
    visitor.shoot("try")
    visitor.unfold("Exact numbers")
    visitor.unfold("Save: plan file and command")
    assert visitor.save("Plan file").read_text().startswith("version: 1\nmodel:\n")
    samples = evaluated(visitor.save("Plan, items and command"), tmp_path / "saved")
    (sample,) = samples["own_prompts"]
    for name in ("baseline_prob", "prob", "zone", "confidence", "decision", "oracle"):
        assert visitor.exact(name) == pytest.approx(sample[name], abs=1e-5), name
    assert visitor.exact("prob") > visitor.exact("baseline_prob")


def test_an_item_with_choices_behind_a_margin(visitor: Visitor, tmp_path: Path) -> None:
    visitor.open("")
    visitor.type("Prompt", "Review: a dull film Sentiment:")
    visitor.type("Target", "negative")
    visitor.type("Other choices, one a line", "positive")
    visitor.choose("Confidence by", "margin")
    assert (visitor.value("Low"), visitor.value("High")) == ("0.3", "0.6")
    visitor.press("Amplify")
    visitor.page.get_by_text("margin between choices").wait_for()
    visitor.unfold("Exact numbers")
    visitor.unfold("Save: plan file and command")
    samples = evaluated(visitor.save("Plan, items and command"), tmp_path / "saved")
    (sample,) = samples["own_prompts_choices"]
    assert visitor.exact("confidence") == pytest.approx(sample["confidence"], abs=1e-5)
    side = "amplified" if sample["decision"] else "before"
    for number, ((score, _),) in enumerate(sample["resps"]):
        shown = visitor.exact(f"log-likelihood {number} {side}")
        assert shown == pytest.approx(float(score), abs=1e-5)


def test_the_map_is_drawn_and_a_cell_taken(visitor: Visitor) -> None:
    visitor.open("where")
    visitor.press("Draw the map")
    cell = visitor.page.locator('path[aria-label^="layer 6, x3:"]')
    cell.wait_for()
    cell.click()
    visitor.settle()
    assert (visitor.value("Layer"), visitor.value("Multiplier")) == ("6", "3")
    visitor.page.get_by_text("layer 6, x3:").first.wait_for()
    visitor.page.locator('path[aria-label^="layer 2, x8:"]').click()
    visitor.settle()
    assert (visitor.value("Layer"), visitor.value("Multiplier")) == ("2", "8")
    visitor.page.locator('path[aria-label^="layer 6, x3:"]').click()
    visitor.settle()
    assert (visitor.value("Layer"), visitor.value("Multiplier")) == ("6", "3")
    visitor.shoot("where")
    visitor.unfold("Exact numbers")
    row = visitor.page.locator("tr").filter(has_text="6").all_inner_texts()
    (taken,) = [cells.split() for cells in row if cells.split()[:2] == ["6", "3"]]
    visitor.page.get_by_role("link", name="Try it").first.click()
    visitor.settle()
    visitor.press("Amplify")
    visitor.page.get_by_text("P(target) after").wait_for()
    visitor.unfold("Exact numbers")
    assert visitor.exact("amplified_prob") == pytest.approx(float(taken[2]), abs=1e-5)


ROWS = [
    {"prompt": "Five plus five is", "target": "ten"},
    {"prompt": "Two plus five is", "target": "seven"},
    {"prompt": "no target"},
    {"prompt": "Question: What is 8 + 2? Answer:", "target": "10"},
]


def test_a_file_is_scored_and_bad_rows_named(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join([*map(json.dumps, ROWS), "{broken"]))
    visitor.open("batch")
    visitor.page.locator('input[type="file"]').set_input_files(path)
    visitor.page.get_by_text("3 rows can be used, 2 cannot").wait_for()
    shown = visitor.page.get_by_role("alert").inner_text()
    assert "line 3: no target" in shown.replace("`", "")
    assert "line 5: no JSON" in shown
    visitor.press("Run")
    visitor.page.get_by_role("button", name="Table as CSV").wait_for()
    visitor.shoot("batch")
    rows = list(csv.DictReader(visitor.save("Table as CSV").read_text().splitlines()))
    assert [row["line"] for row in rows] == ["1", "2", "4"]
    visitor.unfold("Save: plan file and command")
    samples = evaluated(visitor.save("Plan, items and command"), tmp_path / "saved")
    for row, sample in zip(rows, samples["own_prompts"], strict=True):
        assert float(row["baseline_prob"]) == pytest.approx(sample["baseline_prob"], abs=1e-5)
        assert float(row["prob"]) == pytest.approx(sample["prob"], abs=1e-5)


def test_runs_are_opened(visitor: Visitor, tmp_path: Path) -> None:
    folders = {"sweep": tmp_path / "sweep", "results": tmp_path / "results"}
    tasks = "sna_math_easy,sna_math_medium,sna_logic_easy,sna_coding_easy"
    for command in (
        f"sweep --tasks {tasks} --limit 8 --layers 0-7 --top_k 3,10 --multipliers 1.5,2,4 "
        f"--output {folders['sweep']}",
        f"run --model_args pretrained=sna-reference,plan=sna-reference --tasks {tasks} --limit 20 "
        f"--output_path {folders['results']} --log_samples --batch_size 8",
    ):
        made = [str(Path(sys.executable).parent / "sna-eval"), *shlex.split(command)]
        subprocess.run(made, check=True, capture_output=True, timeout=300)
    visitor.open("runs")
    for name, heading, charts in (
        ("sweep", "Baseline against improvement", 4),
        ("results", "Baseline and amplified", 1),
    ):
        visitor.type("Folder", str(folders[name]))
        visitor.press("Open")
        visitor.page.get_by_role("heading", name=heading).wait_for()
        visitor.settle()
        assert visitor.page.locator('[data-testid="stVegaLiteChart"] svg').count() == charts
        visitor.shoot(f"runs-{name}")
        visitor.unfold("Save: plan file and command")
        assert visitor.save("Plan file").read_text().startswith("version: 1\n")
        assert "lm_eval --model sna" in visitor.page.locator("code").last.inner_text()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Prompt": ""}, "prompt: expected a text"),
        ({"Target": "ten green apples"}, "The target is"),
        ({"Layer": "99"}, "layer: expected a layer from 0 to 7"),
    ],
)
def test_bad_input(visitor: Visitor, fields: dict[str, str], message: str) -> None:
    visitor.open("")
    for label, text in fields.items():
        visitor.type(label, text)
    visitor.press("Amplify")
    visitor.page.get_by_text(message).first.wait_for()


def test_a_missing_model(visitor: Visitor) -> None:
    visitor.open("")
    visitor.choose("Model", "another model")
    visitor.type("Hub name, folder or .gguf file", "no-such-folder/model")
    visitor.page.get_by_text("got 'no-such-folder/model'").wait_for()
    visitor.shoot("message")


def test_a_file_of_five_megabytes(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    path.write_text(json.dumps({"prompt": "x" * 5 * 2**20, "target": "y"}))
    visitor.open("batch")
    visitor.page.locator('input[type="file"]').set_input_files(path)
    visitor.page.get_by_text("file: expected at most 4 MB, got '5.0 MB'").wait_for()


def one_session(address: str, folder: Path, layer: str, multiplier: str) -> list[float]:
    """Sets its own layer and multiplier, and asks five times."""
    with chromium() as browser:
        visitor = Visitor(browser, address, folder)
        visitor.open("")
        visitor.type("Layer", layer)
        visitor.type("Multiplier", multiplier)
        found = []
        for number in range(5):
            visitor.press("Amplify")
            visitor.page.get_by_text("P(target) after").wait_for()
            if number == 0:
                visitor.unfold("Exact numbers")
            found.append(visitor.exact("amplified_prob"))
        assert (visitor.value("Layer"), visitor.value("Multiplier")) == (layer, multiplier)
        visitor.close()
        return found


def test_two_sessions_at_once(address: str, tmp_path: Path) -> None:
    settings = [("1", "6"), ("6", "0.5")]
    alone = [one_session(address, tmp_path, *setting) for setting in settings]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda one: one_session(address, tmp_path, *one), settings))
    assert both == alone
    assert all(len(set(values)) == 1 for values in both)
    assert both[0] != both[1]

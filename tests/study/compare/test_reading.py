"""Reading runs: today's files as lm_eval just wrote them, old ones, and published rows."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.study.compare import MetricName, read_run
from sna_eval.study.results.formats.before_0_4 import todays_names
from sna_eval.study.results.leaderboard import COLUMNS, normalized, with_normalized
from sna_eval.study.results.records import Reported, TaskRecord

ACC = MetricName("acc")
NORMALIZED = MetricName("normalized")
_TASK_LINE = re.compile(r"""^["']?task["']?: ["']?([\w-]+)["']?$""", re.MULTILINE)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_todays_run(plain_run: Path, plain_results: dict[str, Any]) -> None:
    run = read_run(plain_run)
    assert run.kind == "hf"
    assert not run.amplified
    record = run.tasks["own_choices"]
    expected = plain_results["results"]["own_choices"]
    assert record.scores[ACC] == Reported(expected["acc,none"], expected["acc_stderr,none"])
    assert record.facts["documents"] == 41
    assert record.facts["task version"] == 2.0
    assert record.facts["split"] == "test"
    assert run.tasks["own_group"].subtasks == ("sna_math_easy", "sna_coding_hard", "sna_logic_easy")
    assert run.environment["lm_eval"] == plain_results["lm_eval_version"]
    assert run.environment["torch"]


def test_items_of_todays_run(plain_run: Path, plain_results: dict[str, Any]) -> None:
    record = read_run(plain_run).tasks["own_choices"]
    assert record.items is not None
    items = record.items()["none"]
    assert len(items.keys) == len(set(items.keys)) == 41
    assert items.keys[-1] == (items.keys[0][0], 1)  # the same document a second time
    mean = sum(items.values["acc"]) / 41
    assert mean == pytest.approx(plain_results["results"]["own_choices"]["acc,none"])
    assert {len(choices) for choices in items.choices} == {4}


def test_missing_hashes_are_computed_as_lm_eval_does(plain_run: Path, edited: Any) -> None:
    """Sample files from before 0.4.3 have no hashes, and arguments as lists."""

    def strip(name: str, sample: dict[str, Any]) -> None:
        for key in ("doc_hash", "prompt_hash", "target_hash"):
            del sample[key]
        sample["arguments"] = [list(argument.values()) for argument in sample["arguments"].values()]

    old = read_run(edited(plain_run, change_sample=strip)).tasks["own_choices"]
    new = read_run(plain_run).tasks["own_choices"]
    assert old.items is not None
    assert new.items is not None
    computed, written = old.items()["none"], new.items()["none"]
    assert computed.keys == written.keys
    assert computed.prompts == written.prompts
    assert computed.targets == written.targets
    assert computed.choices == written.choices


def test_amplified_run(amplified_run: Path) -> None:
    run = read_run(amplified_run)
    assert run.amplified
    assert run.kind == "sna"
    assert run.tasks["own_choices"].gate is not None


def test_latest_result_file_is_taken(plain_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "two"
    shutil.copytree(plain_run, copy)
    (first,) = copy.rglob("results_*.json")
    later = first.with_name("results_2999-01-01T00-00-00.000000.json")
    write(later, json.loads(first.read_text()))
    assert read_run(copy).path == later


def test_real_old_files(shared_data: Path) -> None:
    """Counts inferred from standard errors are the sizes of the data sets."""
    run = read_run(shared_data / "leaderboard" / "pythia-70m-step143000-0shot.json")
    sizes = {"lambada_openai": 5153, "arc_challenge": 1172, "arc_easy": 2376, "piqa": 1838,
             "winogrande": 1267, "sciq": 1000, "mmlu_abstract_algebra": 100}  # fmt: skip
    assert {task: run.tasks[task].facts["documents"] for task in sizes} == sizes
    assert run.model == "EleutherAI/pythia-v1.1-70m"
    assert run.tasks["lambada_openai"].scores[MetricName("perplexity")].value > 100
    assert run.tasks["piqa"].facts["shots"] == 0


def test_old_names_exist_today(shared_data: Path) -> None:
    """Every task of the real files, and of the mapping, is one that lm_eval has."""
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent
    known = {
        name
        for group in ("mmlu", "hendrycks_math", "crows_pairs", "lambada", "lambada_cloze", "glue",
                      "squadv2", "asdiv", "paws-x", "mgsm", "bigbench", "arc", "logiqa", "piqa",
                      "sciq", "winogrande", "super_glue")
        for path in (folder / group).rglob("*.yaml")
        for name in _TASK_LINE.findall(path.read_text(encoding="utf-8"))
    }  # fmt: skip
    old = [
        *json.loads(
            (shared_data / "leaderboard" / "pythia-70m-step143000-0shot.json").read_text()
        )["results"],
        "math_algebra", "math_precalc", "lambada_openai_cloze", "mnli_mismatched", "squad2", "sst",
        "math_asdiv", "pawsx_de", "mgsm_en", "bigbench_logic_grid_puzzle", "lambada",
        "arc:challenge",
    ]  # fmt: skip
    assert {todays_names(name, "acc")[0] for name in old} <= known


def test_old_names_that_changed_meaning() -> None:
    assert todays_names("hendrycksTest-virology", "acc") == ("mmlu_virology", "acc")
    assert todays_names("truthfulqa:mc", "mc2") == ("truthfulqa_mc2", "acc")
    assert todays_names("truthfulqa_mc", "mc1") == ("truthfulqa_mc1", "acc")
    assert todays_names("gsm8k", "acc") == ("gsm8k", "exact_match")
    assert todays_names("lambada_openai", "ppl") == ("lambada_openai", "perplexity")
    assert todays_names("hellaswag", "acc_norm") == ("hellaswag", "acc_norm")


def test_archived_leaderboard_file(tmp_path: Path) -> None:
    """Version 1 of the Open LLM Leaderboard: shots stand in the task's name."""
    content = {
        "config_general": {"model_name": "org/model", "model_dtype": "torch.float16"},
        "results": {
            "all": {"acc": 0.5, "acc_stderr": 0.01},
            "harness|arc:challenge|25": {"acc": 0.5, "acc_stderr": 0.014611390804670088,
                                         "acc_norm": 0.5486, "acc_norm_stderr": 0.0145},
            "harness|truthfulqa:mc|0": {"mc1": 0.289, "mc1_stderr": 0.0159, "mc2": 0.428},
        },
        "versions": {"harness|arc:challenge|25": 0, "all": 0},
    }  # fmt: skip
    run = read_run(write(tmp_path / "results.json", content))
    assert run.model == "org/model"
    assert set(run.tasks) == {"arc_challenge", "truthfulqa_mc1", "truthfulqa_mc2"}
    assert run.tasks["arc_challenge"].facts["shots"] == 25
    assert run.tasks["arc_challenge"].facts["documents"] == 1172
    assert run.tasks["truthfulqa_mc2"].scores[ACC] == Reported(0.428, None)
    assert run.environment["dtype"] == "torch.float16"


def test_a_papers_figures(tmp_path: Path) -> None:
    content = {"model": "GPT-2 Medium", "num_fewshot": 0, "results": {"sna_sst2": {"acc": 0.64}}}
    run = read_run(write(tmp_path / "paper.json", content))
    assert run.model == "GPT-2 Medium"
    assert run.tasks["sna_sst2"].scores[ACC] == Reported(0.64, None)
    assert run.tasks["sna_sst2"].facts["shots"] == 0


def test_published_row(tmp_path: Path) -> None:
    row = {
        "fullname": "org/model", "Precision": "bfloat16", "Average ⬆️": 40.0,
        "IFEval Raw": 0.8, "IFEval": 80.0, "BBH Raw": 0.69, "BBH": 55.93,
        "MMLU-PRO Raw": 0.5309, "MMLU-PRO": 47.88,
    }  # fmt: skip
    run = read_run(write(tmp_path / "row.json", [row]))
    assert run.kind == "published"
    assert run.tasks["leaderboard_bbh"].scores == {
        NORMALIZED: Reported(55.93),
        MetricName("acc_norm"): Reported(0.69),
    }
    assert list(run.tasks["leaderboard_ifeval"].scores) == [NORMALIZED]
    assert run.tasks["leaderboard_mmlu_pro"].facts["shots"] == 5
    assert run.tasks["leaderboard"].scores[NORMALIZED].value == 40.0


def test_leaderboard_scale_of_published_pairs() -> None:
    """Llama 3.1 70B Instruct on MMLU-Pro (lm_eval issue 2583), and the documentation's examples."""
    assert normalized(0.5309175531914894, 10) == pytest.approx(47.88, abs=0.005)
    assert normalized(0.6, 4) == pytest.approx(46.67, abs=0.005)
    assert normalized(0.2, 4) == 0.0
    assert normalized(0.31, 0) == pytest.approx(31.0)


def test_leaderboard_scores_of_a_run() -> None:
    """The documentation's MUSR example: 40, 25 and 40 make 35."""
    shares = {"murder_mysteries": 0.7, "object_placements": 0.4, "team_allocation": 0.6}
    tasks = {
        f"leaderboard_musr_{name}": TaskRecord(
            name, {MetricName("acc_norm"): Reported(value, 0.03)}
        )
        for name, value in shares.items()
    }
    score = with_normalized(tasks)["leaderboard_musr"].scores[NORMALIZED]
    assert score.value == pytest.approx(35.0)
    scaled = [0.03 / 0.5, 0.03 / 0.8, 0.03 / (2 / 3)]
    assert score.stderr == pytest.approx(100 * sum(s**2 for s in scaled) ** 0.5 / 3)
    assert "leaderboard" not in with_normalized(tasks)


def test_leaderboard_average() -> None:
    tasks = {part.task: TaskRecord(part.task, {}) for column in COLUMNS for part in column.parts}
    for column in COLUMNS:
        for part in column.parts:
            tasks[part.task] = TaskRecord(
                part.task, {**tasks[part.task].scores, MetricName(part.metric): Reported(1.0)}
            )
    assert with_normalized(tasks)["leaderboard"].scores[NORMALIZED].value == pytest.approx(100.0)


def test_choices_are_those_of_lm_evals_tasks() -> None:
    """The number of choices per BBH task, from the task files themselves."""
    import lm_eval.tasks
    import yaml

    folder = Path(lm_eval.tasks.__file__).parent / "leaderboard" / "bbh_mc"
    counted = {}
    for path in folder.glob("[!_]*.yaml"):
        content = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
        counted[content["task"]] = len(content["doc_to_choice"])
    (bbh,) = (column for column in COLUMNS if column.title == "BBH")
    assert {part.task: part.choices for part in bbh.parts} == counted


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda folder: folder / "nothing.json", "a result file or a folder of lm_eval's"),
    "empty folder": (lambda folder: folder, r"a folder with a results_\*.json in it"),
    "no JSON": (lambda folder: _text(folder / "a.json", "{broken"), "a JSON file"),
    "no results": (lambda folder: write(folder / "b.json", {"x": 1}), "`results` by task"),
    "no scores": (lambda folder: write(folder / "c.json", {"results": {"t": {"alias": "t"}}}),
                  "at least one task with a score"),
    "row": (lambda folder: write(folder / "d.json", {"BBH": "high"}), "BBH: expected a number"),
}  # fmt: skip


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    with pytest.raises(InputError, match=message):
        read_run(make(tmp_path))


def test_folder_of_several_models(plain_run: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(plain_run, tmp_path / name)
    with pytest.raises(InputError, match="a folder with one model's results"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"), [("{broken", "a sample in JSON"), ('{"x": 1}', "a sample of lm_eval's")]
)
def test_damaged_samples(line: str, message: str, plain_run: Path, edited: Any) -> None:
    copy = edited(plain_run)
    (path,) = copy.rglob("samples_own_choices_*.jsonl")
    with path.open("a") as file:
        file.write(line + "\n")
    record = read_run(copy).tasks["own_choices"]
    assert record.items is not None
    with pytest.raises(InputError, match=message):
        record.items()


def test_damaged_gate(amplified_run: Path, edited: Any) -> None:
    def damage(content: dict[str, Any]) -> None:
        content["config"]["sna"]["tasks"]["own_choices"]["gate"]["signal"] = "mood"

    with pytest.raises(InputError, match="gate"):
        read_run(edited(amplified_run, damage))

"""What is refused, with which reason, and what is only cautioned against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.study.compare import NotComparable, Options, compare, grouped, read_run

Change = Callable[[dict[str, Any]], None]
OWN = Options(tasks=("own_choices",), draws=200)
FORCED = Options(tasks=("own_choices",), draws=200, force=True)


def reasons(a: Path, b: Path, options: Options = OWN) -> list[str]:
    with pytest.raises(NotComparable) as refused:
        compare(read_run(a), read_run(b), options)
    return grouped(refused.value.differences)


def set_at(*keys: str, value: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content.setdefault(key, {})
        content[keys[-1]] = value

    return change


FACTS: dict[str, tuple[Change, str]] = {
    "version": (set_at("versions", "own_choices", value=3.0), "task version: 2 against 3"),
    "shots": (set_at("n-shot", "own_choices", value=5), "shots: 0 against 5"),
    "split": (set_at("configs", "own_choices", "test_split", value="train"),
              "split: test against train"),
    "documents": (set_at("n-samples", "own_choices", "effective", value=20),
                  "documents: 41 against 20"),
    "data": (set_at("configs", "own_choices", "dataset_path", value="other"),
             "data set: json against other"),
    "output": (set_at("configs", "own_choices", "output_type", value="loglikelihood"),
               "output type: multiple_choice against loglikelihood"),
    "metric": (set_at("configs", "own_choices", "metric_list",
                      value=[{"metric": "acc", "aggregation": "median"}]),
               "normalization of acc (aggregation): mean against median"),
}  # fmt: skip


@pytest.mark.parametrize("case", FACTS)
def test_facts_that_must_agree(case: str, plain_run: Path, edited: Any) -> None:
    change, reason = FACTS[case]
    other = edited(plain_run, change)
    if case == "metric":
        _say_the_default(plain := edited(plain_run))
        assert reasons(plain, other) == [f"{reason} (own_choices)"]
    else:
        assert reasons(plain_run, other) == [f"{reason} (own_choices)"]


def _say_the_default(folder: Path) -> None:
    """The task's YAML leaves the aggregation to lm_eval; here it is written out."""
    import json

    (path,) = folder.rglob("results_*.json")
    content = json.loads(path.read_text())
    content["configs"]["own_choices"]["metric_list"] = [{"metric": "acc", "aggregation": "mean"}]
    path.write_text(json.dumps(content))


def test_prompts_that_differ(plain_run: Path, evaluate: Any) -> None:
    """A real run with two shots: other prompts for the same documents."""
    shots = evaluate(tasks=["own_choices"], shots=2)
    found = reasons(plain_run, shots)
    assert found[0] == "shots: 0 against 2 (own_choices)"
    assert found[1].startswith("prompts: ")
    assert "(41 of 41)" in found[1]


def test_documents_and_targets_that_differ(plain_run: Path, edited: Any) -> None:
    def other_document(name: str, sample: dict[str, Any]) -> None:
        if "own_choices" in name and sample["doc_id"] == 3:
            sample["doc_hash"] = "0" * 64
        if "own_choices" in name and sample["doc_id"] == 4:
            sample["target_hash"] = "1" * 64

    found = reasons(plain_run, edited(plain_run, change_sample=other_document))
    assert found[0].startswith("documents: 1 of 41 not in the other run against 1 of 41")
    assert found[1].startswith("targets: ")
    assert "(1 of 40)" in found[1]


def test_fewer_documents_of_one_run(plain_run: Path, evaluate: Any) -> None:
    found = reasons(plain_run, evaluate(tasks=["own_choices"], limit=10))
    assert "documents: 41 against 10 (own_choices)" in found


def test_limit_against_a_file_that_does_not_count(plain_run: Path, edited: Any) -> None:
    def published(content: dict[str, Any]) -> None:
        del content["n-samples"]["own_choices"]

    def limited(content: dict[str, Any]) -> None:
        content["n-samples"]["own_choices"]["effective"] = 20

    whole, part = edited(plain_run, published), edited(plain_run, limited)
    assert compare(read_run(whole), read_run(plain_run), OWN).rows
    compare(read_run(whole), read_run(part), OWN)  # nothing known to disagree


def without_samples(folder: Path) -> Path:
    for path in folder.rglob("samples_*"):
        path.unlink()
    return folder


def test_prompts_without_samples(plain_run: Path, edited: Any) -> None:
    """Then the makings of the prompt count, and lm_eval's hash of all documents and prompts."""

    def other_text(content: dict[str, Any]) -> None:
        content["configs"]["own_choices"]["doc_to_text"] = "{{text}} or"

    def other_everything(content: dict[str, Any]) -> None:
        other_text(content)
        content["task_hashes"]["own_choices"] = "0" * 64
        content["chat_template_sha"] = "abc"

    plain = without_samples(edited(plain_run))
    assert compare(read_run(plain), read_run(edited(plain_run, other_text)), OWN).rows
    found = reasons(plain, edited(plain_run, other_everything))
    assert [line.partition(":")[0] for line in found] == [
        "task hash", "prompt.doc_to_text", "prompt.chat_template_sha",
    ]  # fmt: skip


def test_normalization(plain_run: Path, edited: Any) -> None:
    """One file gives plain accuracy, the other the length-normalized one."""

    def only(metric: str) -> Change:
        def change(content: dict[str, Any]) -> None:
            entry = content["results"]["own_choices"]
            for key in list(entry):
                if "," in key and key.partition(",")[0].removesuffix("_stderr") != metric:
                    del entry[key]

        return change

    plain = edited(plain_run, only("acc"))
    found = reasons(plain, edited(plain_run, only("acc_norm")))
    assert found == ["normalization: acc against acc_norm (own_choices)"]


def test_real_files_of_other_shots_are_refused(shared_data: Path) -> None:
    folder = shared_data / "leaderboard"
    runs = [read_run(folder / f"pythia-70m-step143000-{n}shot.json") for n in (0, 5)]
    with pytest.raises(NotComparable, match="shots: 0 against 5") as refused:
        compare(*runs)
    assert {difference.what for difference in refused.value.differences} == {"shots"}
    assert len(refused.value.differences) == 65
    comparison = compare(*runs, Options(force=True))
    assert all(row.forced and row.effect.test == "unpaired z" for row in comparison.rows)


def test_old_and_todays_versions_never_agree(plain_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(
        '{"results": {"own_choices": {"acc": 0.3, "acc_stderr": 0.071}},'
        ' "versions": {"own_choices": 2}, "config": {"num_fewshot": 0}}'
    )
    assert reasons(path, plain_run) == [
        "task version: 2 (before lm_eval 0.4) against 2 (own_choices)"
    ]


def test_forced_is_marked(plain_run: Path, edited: Any) -> None:
    other = edited(plain_run, set_at("versions", "own_choices", value=3.0))
    comparison = compare(read_run(plain_run), read_run(other), FORCED)
    assert comparison.differences
    assert all(row.forced for row in comparison.rows)
    assert not compare(read_run(plain_run), read_run(plain_run), FORCED).rows[0].forced


def test_forced_pairs_the_documents_that_both_have(plain_run: Path, evaluate: Any) -> None:
    few = read_run(evaluate(tasks=["own_choices"], limit=10))
    row = compare(read_run(plain_run), few, FORCED).rows[0]
    assert row.effect.n == 10
    assert row.effect.difference == 0
    assert row.effect.p == 1


def test_cautions(plain_run: Path, edited: Any) -> None:
    def elsewhere(content: dict[str, Any]) -> None:
        content["config"] |= {"batch_size": "64", "model_dtype": "torch.bfloat16", "device": None}
        content["transformers_version"] = "4.0"
        content["pretty_env_info"] = "PyTorch version: 2.0+cu118\nGPU 0: NVIDIA T4\n"

    found = compare(read_run(plain_run), read_run(edited(plain_run, elsewhere)), OWN).cautions
    text = "\n".join(found)
    for expected in (
        "dtype: torch.float32 against torch.bfloat16",
        "batch size: 8 against 64",
        "transformers: ",
        "against 2.0+cu118",
        "known of one run only: GPU",
    ):
        assert expected in text
    assert compare(read_run(plain_run), read_run(plain_run), OWN).cautions == ()


def test_cautions_go_by_the_model_arguments(plain_run: Path, edited: Any) -> None:
    """lm_eval's own entries say what its flags said, which was nothing."""

    def elsewhere(content: dict[str, Any]) -> None:
        content["config"]["model_args"] = {"pretrained": "x", "batch_size": 64, "device": "mps"}

    found = compare(read_run(plain_run), read_run(edited(plain_run, elsewhere)), OWN).cautions
    assert "batch size: 8 against 64" in "\n".join(found)
    assert "against mps" in "\n".join(found)


def test_caution_of_a_baseline_that_is_another_models(
    plain_run: Path, amplified_run: Path, edited: Any
) -> None:
    """An `sna` run carries its own baseline: a plain run that disagrees is no baseline of it."""
    options = Options(tasks=("sna_math_easy",), draws=200)
    plain, amplified = read_run(plain_run), read_run(amplified_run)
    assert not [c for c in compare(plain, amplified, options).cautions if "baseline" in c]

    def other_model(content: dict[str, Any]) -> None:
        content["model_name"] = "another"
        content["results"]["sna_math_easy"]["acc,none"] = 0.5

    other = read_run(edited(plain_run, other_model))
    found = "\n".join(compare(other, amplified, options).cautions)
    assert "baseline of sna_math_easy acc: 0.5 in the plain run" in found

    choices = Options(tasks=("own_choices",), draws=200)
    assert not [c for c in compare(other, amplified, choices).cautions if "model" in c]

    def unknown(content: dict[str, Any]) -> None:  # as `report_baseline=false` writes it
        entry = content["results"]["own_choices"]
        for name in [name for name in entry if name.startswith("baseline_")]:
            del entry[name]

    bare = read_run(edited(amplified_run, unknown))
    assert "model: another against" in "\n".join(compare(other, bare, choices).cautions)


def test_a_group_without_scores_is_no_difference(plain_run: Path, edited: Any) -> None:
    """lm_eval lists groups that report nothing; a pattern may match them."""

    def without(content: dict[str, Any]) -> None:
        content["results"]["own_group"] = {"alias": "own_group"}

    run = read_run(edited(plain_run, without))
    named = compare(run, run, Options(tasks=("own_*",), draws=100))
    assert {row.task for row in named.rows} == {"own_choices", "own_rolling"}


def test_nothing_in_common(plain_run: Path, shared_data: Path) -> None:
    old = read_run(shared_data / "leaderboard" / "pythia-70m-step143000-0shot.json")
    with pytest.raises(InputError, match="runs that share a task"):
        compare(read_run(plain_run), old)
    run = read_run(plain_run)
    with pytest.raises(InputError, match="tasks: expected one of"):
        compare(run, run, Options(tasks=("nothing_*",)))
    with pytest.raises(InputError, match="a metric that both runs have"):
        compare(run, run, Options(metrics=("bleu",)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"confidence": 1.0}, "confidence: expected a number between 0 and 1"),
        ({"power": 0.0}, "power: expected a number between 0 and 1"),
        ({"power": 0.02}, "power: expected a number above 0.025"),
        ({"confidence": 0.5, "power": 0.2}, "power: expected a number above 0.25"),
        ({"draws": 3}, "draws: expected at least 100"),
    ],
)
def test_bad_options(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Options(**values)

"""Every architecture of the table, tiny: what is promised holds, or one line says why not."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from architectures.matrix import TOLERANCE, row
from architectures.tiny import build, entries
from sna_eval.files import architectures_path

ROOT = Path(__file__).resolve().parents[2]

ENTRIES = entries()
REFUSED = {
    "recurrent_gemma", "zamba2", "mamba", "mamba2", "falcon_mamba", "jetmoe", "llama4_text",
    "hrm_text", "roberta",
}  # fmt: skip
FIRST = (
    "gptj", "falcon", "bloom", "mpt", "phi3", "glm", "gemma3_text", "olmo2", "granite", "mixtral",
    "olmoe", "qwen2_moe", "gpt_oss", "bamba", "minicpm3", "nemotron_h",
)  # fmt: skip
"""In the default suite, beside the eight of `tests/intervention`: each shows something else."""


def skip_what_an_older_transformers_lacks(name: str) -> None:
    """The table is written for one version; an older one may not know a model, or its config."""
    written_for = json.loads(architectures_path().read_text(encoding="utf-8"))["versions"]
    if Version(version("transformers")) >= Version(written_for["transformers"]):
        return
    try:
        build(ENTRIES[name])
    except Exception as error:
        pytest.skip(f"transformers {version('transformers')}: {error!r:.80}")


def check(name: str) -> None:
    skip_what_an_older_transformers_lacks(name)
    found = row(ENTRIES[name])
    if name in REFUSED:
        assert found.status == "refused"
        assert found.message.startswith("pretrained: expected a decoder")
        return
    assert found.status == "verified", found
    assert found.folded is not None
    assert found.folded <= TOLERANCE
    assert found.restored


@pytest.mark.parametrize("name", FIRST)
def test_some(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in FIRST])
def test_the_others(name: str) -> None:
    check(name)


def test_what_is_listed_is_what_is_tried() -> None:
    listed = json.loads(architectures_path().read_text(encoding="utf-8"))["rows"]
    assert [one["model_type"] for one in listed] == list(ENTRIES)
    assert {one["model_type"] for one in listed if one["status"] == "refused"} == REFUSED
    verified = [one for one in listed if one["status"] == "verified"]
    assert len(verified) + len(REFUSED) == len(listed)
    assert len(verified) >= 45
    assert all(one["folded"] <= TOLERANCE and one["restored"] for one in verified)

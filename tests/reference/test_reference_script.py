"""The training script: a run in seconds, a resumed run, and its one-line errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from reference_model.checkpoint import Progress, load_checkpoint, save_checkpoint
from reference_model.packing import Rows
from reference_model.shipping import ship
from reference_model.training import TrainingSpec, new_model, train
from train_reference_model import main

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_reference_model.py"
TINY = ["--layers", "2", "--width", "32", "--heads", "2", "--tokens", "20000", "--threads", "1"]


def test_tiny_run_gives_a_loadable_folder(mini_corpus, tmp_path):
    out = tmp_path / "model"
    folders = ["--corpus", str(mini_corpus), "--out", str(out), "--work", str(tmp_path / "work")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *TINY, *folders],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    model = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert (model.config.n_layer, model.config.n_embd) == (2, 32)
    assert model(**tokenizer("2 + 3 =", return_tensors="pt")).logits.isfinite().all()
    card = (out / "MODEL_CARD.md").read_text()
    assert "1 training sentences that equal one of them" in " ".join(card.split())


def rows(count: int, length: int) -> Rows:
    ids = np.random.default_rng(1).integers(1, 50, (count, length), dtype=np.int32)
    return Rows(ids=ids, weights=np.ones_like(ids, dtype=np.float32))


def trained(folder: Path, *, resume: bool, stop_at: int | None) -> torch.nn.Module:
    """A tiny training, cut short by an exception after step `stop_at`."""

    def probe(model, step, steps):
        if step == stop_at:
            raise KeyboardInterrupt

    spec = TrainingSpec(layers=2, width=16, heads=2, context=64)
    model = new_model(spec, vocab_size=50, end=0)
    options = {"spec": spec, "checkpoints": folder, "settings": {"seed": 1}, "probe": probe}
    train(model, rows(160, 64), rows(320, 32), resume=resume, probes=4, **options)
    return model


def test_resumed_run_ends_with_the_same_weights(tmp_path):
    whole = trained(tmp_path / "whole", resume=False, stop_at=None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", resume=False, stop_at=2)
    resumed = trained(tmp_path / "cut", resume=True, stop_at=None)
    for (name, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_checkpoint_of_other_settings_is_not_gone_on_with(tmp_path):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {"model": model, "optimizer": optimizer}
    save_checkpoint(tmp_path, **state, progress=Progress(3, 1.5), settings={"seed": 1})
    assert load_checkpoint(tmp_path, **state, settings={"seed": 1}) == Progress(3, 1.5)
    assert load_checkpoint(tmp_path, **state, settings={"seed": 2}) == Progress()


def test_shipping_halves_and_keeps_the_function(tmp_path):
    from tokenizers import Tokenizer, models

    spec = TrainingSpec(layers=2, width=16, heads=2, context=64)
    model = new_model(spec, vocab_size=50, end=0).eval()
    ship(model, Tokenizer(models.BPE()), tmp_path)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.dtype == torch.float32
    ids = torch.arange(40)[None]
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits, atol=2e-3, rtol=0)


def test_too_large_a_model_is_refused(tmp_path):
    from tokenizers import Tokenizer, models

    from reference_model.errors import UserInputError

    spec = TrainingSpec(layers=8, width=512, heads=8)
    with pytest.raises(UserInputError, match="choose a smaller model"):
        ship(new_model(spec, vocab_size=50, end=0), Tokenizer(models.BPE()), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "sums=3"], "--rate: expected one of math_easy"),
        (["--rate", "math_easy=lots"], "--rate: expected documents per million tokens"),
        (["--rate", "math_easy=-1"], "--rate: expected documents per million tokens"),
    ],
)
def test_bad_rates_end_with_one_line(arguments, message, mini_corpus, capsys):
    assert main([*arguments, "--corpus", str(mini_corpus)]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1


def test_missing_corpus_ends_with_one_line(tmp_path, capsys):
    assert main(["--corpus", str(tmp_path)]) == 2
    line = capsys.readouterr().err
    assert "expected the file" in line
    assert line.count("\n") == 1


def test_unreachable_hub_ends_with_one_line(monkeypatch, capsys):
    import datasets

    def refuse(*names, **options):
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    assert main([]) == 2
    line = capsys.readouterr().err
    assert "could not be loaded from the hub (no route to host)" in line
    assert "--corpus DIR" in line
    assert line.count("\n") == 1

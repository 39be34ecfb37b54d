"""Bars over work that is told of in parts."""

from __future__ import annotations

import warnings

import pytest

from sna_eval.measuring.moved import scaled, ticking
from sna_eval.study.bars import PartsBar


def test_parts_end_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # tqdm warns of what goes beyond
        with PartsBar(3, "some_task", quiet=False) as bar:
            bar.reach(1, "first")
            part = scaled(bar.update, 1 / 3)
            assert part is not None
            for _ in range(3):
                part(0.7)
            assert bar.n == pytest.approx(1.7)
            bar.reach(2, "second")
            assert bar.n == 2
            for _ in range(11):
                bar.update(0.1)
            assert bar.n == 3
    said = capsys.readouterr().err
    assert "some_task" in said
    assert "first" in said
    assert "second" in said


def test_what_has_no_length_is_drawn_anew(capsys: pytest.CaptureFixture[str]) -> None:
    with PartsBar(3, "some_task", quiet=False) as bar:
        tick = ticking(bar.update)
        assert tick is not None
        capsys.readouterr()
        tick(0.4)
        assert "some_task" in capsys.readouterr().err
        assert bar.n == 0
    assert ticking(None) is None


def test_a_quiet_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with PartsBar(2, "some_task", quiet=True) as bar:
        bar.reach(1, "first")
        bar.update(0.5)
    assert capsys.readouterr().err == ""
    assert scaled(None, 0.5) is None

"""Halves of development items share no answer."""

from __future__ import annotations

from sna_eval.study.nulls.halves import halves


def test_clusters_stay_together() -> None:
    clusters = ["a"] * 7 + ["b"] * 5 + ["c"] * 2 + list("defg")
    first, second = halves(clusters, seed=3)
    assert sorted([*first, *second]) == list(range(len(clusters)))
    assert {clusters[n] for n in first}.isdisjoint(clusters[n] for n in second)
    assert abs(len(first) - len(second)) <= 1
    assert halves(clusters, seed=3) == (first, second)
    assert any(halves(clusters, seed=seed)[0] != first for seed in range(9))


def test_one_cluster_is_dealt_out() -> None:
    assert halves(["a"] * 5) == ([0, 2, 4], [1, 3])

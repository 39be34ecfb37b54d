"""Halves of development items share no answer."""

from __future__ import annotations

from sna_eval.study.nulls.halves import halves, stratified_halves


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


def test_both_halves_have_every_class() -> None:
    classes = ["a"] * 5 + ["b"] * 4 + ["c"]
    first, second = stratified_halves(classes, seed=1)
    assert sorted([*first, *second]) == list(range(10))
    for class_, most in (("a", 3), ("b", 2), ("c", 1)):
        counts = [sum(classes[n] == class_ for n in half) for half in (first, second)]
        assert max(counts) == most
    assert abs(len(first) - len(second)) <= 1

"""A comparison as JSON, with everything, and as CSV, one line per task and metric."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sna_eval.study.compare.comparability import grouped
from sna_eval.study.compare.comparison import Comparison, MetricRow
from sna_eval.study.compare.effects import MetricChange
from sna_eval.study.compare.panels import Panel
from sna_eval.study.results.records import Run
from sna_eval.study.statistics import ScaleChange


def as_json(comparisons: Sequence[Comparison]) -> str:
    """What cannot be said (no test, no interval) is `null`."""
    from sna_eval import __version__

    content = {
        "sna_eval_version": __version__,
        "comparisons": [_comparison(comparison) for comparison in comparisons],
    }
    return json.dumps(_plain(content), indent=2, ensure_ascii=False)


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Empty cells for what cannot be said."""
    lines = [_line(comparison, row) for comparison in comparisons for row in comparison.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows([_plain(line) for line in lines])
    return file.getvalue().rstrip("\n")


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "a": _run(comparison.a),
        "b": _run(comparison.b),
        "forced": bool(comparison.differences),
        "differences": grouped(comparison.differences),
        "cautions": list(comparison.cautions),
        "only_in_a": list(comparison.only_a),
        "only_in_b": list(comparison.only_b),
        "confidence": comparison.options.confidence,
        "power": comparison.options.power,
        "draws": comparison.options.draws,
        "seed": comparison.options.seed,
        "smallest": comparison.options.smallest,
        "rows": [_row(row) for row in comparison.rows],
        "scales": {panel.task: _panel(panel) for panel in comparison.panels},
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {"n": panel.n, **{scale.scale: _scale(scale) for scale in panel.scales}}


def _scale(scale: ScaleChange) -> dict[str, Any]:
    return {
        "a": scale.before,
        "b": scale.after,
        "difference": scale.difference,
        "low": scale.interval.low,
        "high": scale.interval.high,
        "p": scale.p,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "path": str(run.path),
        "model": run.model,
        "kind": run.kind,
        "plan_fingerprint": run.plan,
        "half": run.half or None,
    }


def _row(row: MetricRow) -> dict[str, Any]:
    return {
        **_names(row),
        **_effect(row.effect),
        "p_holm": row.p_holm,
        "p_bh": row.p_bh,
        "reported": {
            "a": {"value": row.a.value, "stderr": row.a.stderr},
            "b": {"value": row.b.value, "stderr": row.b.stderr},
        },
        "harm_zone3": None
        if row.harm is None
        else {
            "items": row.harm.items,
            "harmed": row.harm.harmed,
            "at_most": row.harm.at_most,
        },
        "zones": {str(part.zone): _effect(part.effect) for part in row.zones},
    }


def _names(row: MetricRow) -> dict[str, Any]:
    return {
        "task": row.task,
        "metric": row.metric.metric,
        "filter": row.metric.filter,
        "group": row.is_group,
        "version": row.version,
        "shots": row.shots,
        "higher_is_better": row.higher_is_better,
        "oracle": row.oracle,
        "sees_answer": row.sees_answer,
        "descriptive": row.sees_answer or row.oracle,
        "forced": row.forced,
    }


def _effect(effect: MetricChange) -> dict[str, Any]:
    return {
        "n": effect.n,
        "clusters": effect.clusters,
        "design_effect": effect.design_effect,
        "a": effect.before,
        "b": effect.after,
        "difference": effect.difference,
        "low": effect.interval.low,
        "high": effect.interval.high,
        "p": effect.p,
        "better": effect.better,
        "worse": effect.worse,
        "detectable": effect.detectable,
        "p_equivalence": effect.p_equivalence,
        "test": effect.test,
    }


def _line(comparison: Comparison, row: MetricRow) -> dict[str, Any]:
    zones: dict[str, Any] = {}
    effects = {entry.zone: _effect(entry.effect) for entry in row.zones}
    for zone in (1, 2, 3):
        found = effects.get(zone, {})
        for name in ("n", "a", "b", "difference", "low", "high", "p", "better", "worse"):
            zones[f"zone{zone}_{name}"] = found.get(name)
    return {
        "run_a": comparison.a.title,
        "run_b": comparison.b.title,
        **_names(row),
        **_effect(row.effect),
        "a_stderr": row.a.stderr,
        "b_stderr": row.b.stderr,
        "p_holm": row.p_holm,
        "p_bh": row.p_bh,
        "harm_zone3_items": row.harm.items if row.harm else None,
        "harm_zone3_harmed": row.harm.harmed if row.harm else None,
        "harm_zone3_at_most": row.harm.at_most if row.harm else None,
        **zones,
    }


def _plain(value: Any) -> Any:
    """The same with `None` for every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

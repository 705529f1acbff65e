"""The report's evidence as plain values for JSON."""

from dataclasses import asdict

from archloss.search.analysis.axes import Array
from archloss.search.analysis.bands import LearningCurves
from archloss.search.analysis.dependence import Dependence
from archloss.search.analysis.evidence import Front, SizedTrial
from archloss.search.analysis.importance import Importance, Share
from archloss.search.analysis.selection import Selection
from archloss.search.analysis.spread import SeedSpread
from archloss.search.report.answer.findings import Findings


def make_evidence(findings: Findings) -> dict[str, object]:
    """Return the evidence's keys, which docs/report.md names; null where one is not known."""
    evidence = findings.evidence
    return {
        "importance": evidence.importance and _write_importance(evidence.importance),
        "partial_dependence": [_write_dependence(one) for one in evidence.dependence],
        "front": evidence.front and _write_front(evidence.front),
        "learning_curves": evidence.curves and _write_curves(evidence.curves),
        "seed_spread": evidence.spread and _write_spread(evidence.spread),
        "selection": evidence.selection and _write_selection(evidence.selection),
    }


def round_number(value: float) -> float:
    """Return six digits: more than any of these numbers is known to."""
    return float(f"{value:.6g}")


def _write_importance(importance: Importance) -> dict[str, object]:
    def write(share: Share) -> dict[str, object]:
        return {"axes": list(share.axes), "share": asdict(share.share)}

    return {
        "scale": "logarithm" if importance.logarithmic else "objective",
        "explained": asdict(importance.explained),
        "known": round_number(importance.known),
        "terms": [write(share) for share in importance.terms],
        "orders": [
            {"axes": order, "share": asdict(share)}
            for order, share in importance.add_orders().items()
        ],
        "totals": [write(share) for share in importance.totals],
    }


def _write_dependence(one: Dependence) -> dict[str, object]:
    return {
        "axis": one.axis.name,
        "values": list(one.values),
        "mean": _list(one.mean),
        "low": _list(one.low),
        "high": _list(one.high),
    }


def _write_front(front: Front) -> dict[str, object]:
    def write(trial: SizedTrial) -> dict[str, object]:
        return {
            "trial": trial.number,
            "depth": trial.depth,
            "width": trial.width,
            "residual": trial.residual,
            "objective": trial.value,
            "parameters": trial.size.parameters,
            "flops": trial.size.flops,
            "on_parameters": trial.on_parameters,
            "on_flops": trial.on_flops,
        }

    return {
        "features": front.widths.features,
        "classes": front.widths.classes,
        "trials": [write(trial) for trial in front.list_best()],
    }


def _write_curves(curves: LearningCurves) -> dict[str, object]:
    return {
        "metric": curves.metric,
        "levels": [
            {
                "level": band.level,
                "trials": band.trials,
                "median": _list(band.median),
                "low": _list(band.low),
                "high": _list(band.high),
            }
            for band in curves.bands
        ],
        "best": {"trial": curves.best_number, "values": _list(curves.best)},
    }


def _write_spread(spread: SeedSpread) -> dict[str, object]:
    return {
        "kind": spread.kind,
        "designs": spread.designs,
        "deviation": asdict(spread.whole),
        "better_half": spread.better and asdict(spread.better),
        "parts": [
            {
                "low": stratum.low,
                "high": stratum.high,
                "level": stratum.level,
                "deviation": asdict(stratum.deviation),
            }
            for stratum in spread.strata
        ],
    }


def _write_selection(selection: Selection) -> dict[str, object]:
    return {
        "trial": selection.number,
        "of": selection.trials,
        "validation": selection.value,
        "test": selection.test,
        "test_above_validation": selection.shift,
        "expected": asdict(selection.expected),
        "luck": asdict(selection.luck),
        "trainings": [round_number(value) for value in selection.trainings],
    }


def _list(values: Array) -> list[float]:
    return [round_number(value) for value in values]

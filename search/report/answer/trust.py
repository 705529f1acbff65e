"""How far numbers can be trusted, in sentences: the seed's part, and that of choosing the best."""

from archloss.search.analysis.selection import Selection
from archloss.search.analysis.spread import SeedSpread, StratumSpread
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level


def list_trust(findings: Findings) -> list[str]:
    """Return a sentence or two on the seed, and on the best trial, where they are known."""
    evidence = findings.evidence
    told = [] if evidence.spread is None else [say_spread(findings, evidence.spread)]
    return told + (
        [] if evidence.selection is None else [say_selection(findings, evidence.selection)]
    )


def say_spread(findings: Findings, spread: SeedSpread) -> str:
    """Say how far a design's objective moves from one training to the next."""
    label = findings.measure.label
    size = _say_difference(findings, spread.whole.estimate)
    between = _say_range(findings, spread.whole.low, spread.whole.high)
    if spread.kind == "replicates":
        text = (
            f"Training the same design again with another seed moves its {label} by about {size} "
            f"({between}): the standard deviation between the replicates of {spread.designs:,} "
            f"designs{_say_better(findings, spread)}"
        )
    else:
        text = (
            f"Trials lie about {size} ({between}) off the surface: a guess from the model at how "
            f"far another seed moves the {label}, as no design was trained often enough to see it"
        )
    if len(spread.strata) < 2:
        return f"{text}."
    least, *_, most = sorted(spread.strata, key=lambda stratum: stratum.deviation.estimate)
    return (
        f"{text}. It is least {_place(findings, least)}, "
        f"{_say_difference(findings, least.deviation.estimate)}, and most "
        f"{_place(findings, most)}, {_say_difference(findings, most.deviation.estimate)}."
    )


def _say_better(findings: Findings, spread: SeedSpread) -> str:
    if spread.better is None:
        return ""
    return f", {_say_difference(findings, spread.better.estimate)} in the better half of them"


def say_selection(findings: Findings, selection: Selection) -> str:
    """Say what the best trial reached, and how much of that is luck."""
    measure, luck = findings.measure, selection.luck
    name, kind, mean = "The best trial", "trials", ""
    if several := len(selection.trainings):
        name, kind, mean = "The best design", "designs", f", the mean of its {several} trainings"
    elif selection.number is not None:
        name = f"The best trial, {selection.number},"
    reached = f"{name} reached {measure.format_value(selection.value)}{mean}"
    if selection.test is not None:
        reached += f" in validation and {measure.format_value(selection.test)} on the test split"
        if selection.shift is not None:
            reached += f", {_say_shift(findings, selection.shift)}"
    expected = (
        f"The surface expects {measure.format_value(selection.expected.estimate)} "
        f"({measure.format_range(selection.expected)}) of its design"
    )
    if luck.low > 0:
        size = _say_difference(findings, luck.estimate)
        between = _say_range(findings, luck.low, luck.high)
        luckily = f"about {size} ({between}) are the luck of being"
    else:
        luckily = "no luck with its seed shows, though it is"
    return f"{reached}. {expected}: {luckily} the best of {selection.trials:,} {kind}."


def _say_shift(findings: Findings, shift: float) -> str:
    side = "higher" if shift >= 0 else "lower"
    size = _say_difference(findings, abs(shift))
    return f"where a typical trial is {size} {side} than in validation"


def _say_difference(findings: Findings, difference: float) -> str:
    """Return a difference with its unit, if it has a short one."""
    text = findings.measure.format_difference(difference)
    return f"{text} points" if findings.measure.is_error_rate else text


def _say_range(findings: Findings, low: float, high: float) -> str:
    measure = findings.measure
    return f"{measure.format_difference(low)} to {measure.format_difference(high)}"


def _place(findings: Findings, stratum: StratumSpread) -> str:
    """Return where a part of the search is, as it stands in a sentence."""
    return f"in {name_stratum(findings, stratum)}"


def name_stratum(findings: Findings, stratum: StratumSpread) -> str:
    """Return what a part of the search is called."""
    answer = findings.answer
    low, high = findings.format_context(stratum.low), findings.format_context(stratum.high)
    contexts = f"{answer.context} {low}" if low == high else f"{answer.context} {low} to {high}"
    if stratum.level is None:
        return contexts
    return f"{name_level(findings, stratum.level)}, {contexts}"

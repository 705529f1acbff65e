"""The answer in two sentences: what it is, and the numbers behind it."""

import math
from collections.abc import Sequence

from archloss.search.analysis.answer import Best, LevelAnswer
from archloss.search.analysis.verdict import Verdict
from archloss.search.report.answer.findings import Findings
from archloss.search.report.wording import format_setting
from archloss.search.spec_plan import limit_replicates
from archloss.spaces.dimensions import Value

_MOST_TOLD = 2
_SAME_WAY = 0.5
"""The best choice moves from the first context to the last if that is so much of all its moves."""

_RANGES = "ranges are 95% intervals"
_BESIDE = {
    (Verdict.UNDECIDED, True): " it seems to move, but whether that matters cannot be told yet",
    (Verdict.UNDECIDED, False): " that cannot be told yet",
    (Verdict.NONE, True): " it seems to move, but too little to matter",
    (Verdict.NONE, False): ", if at all, too little to matter",
}
"""What is said of levels with another verdict than the answer's; True if the best choice moves."""


def say_answer(findings: Findings) -> tuple[str, str]:
    """Return the verdict, and the numbers that it rests on, each as a sentence."""
    return _say_verdict(findings), _say_numbers(findings)


def name_level(findings: Findings, level: Value | None) -> str:
    """Return what a level of the answer is called; "all trials" where there is no `by`."""
    return _name(findings.answer.by, level, _list_levels(findings))


def place_level(
    by: str | None, level: Value | None, levels: Sequence[Value | None] = (False, True)
) -> str:
    """Return where something is so, as it stands in a sentence; `levels` are all that there are.

    >>> [place_level("residual", False), place_level("activation", "relu"), place_level(None, None)]
    ['in plain networks', 'with activation relu', '']
    """
    if by is None:
        return ""
    name = _name(by, level, levels)
    return f"in {name}" if name.endswith(" networks") else f"with {name}"


def _name(by: str | None, level: Value | None, levels: Sequence[Value | None]) -> str:
    """Return what one of these levels is called.

    >>> [_name("residual", level, levels) for level, levels in ((True, (False, True)), (1, (1, 2)))]
    ['residual networks', 'residual 1']
    """
    if by is None or level is None:
        return "all trials"
    if by == "residual" and set(levels) <= {False, True}:
        return "residual networks" if level else "plain networks"
    return f"{by} {format_setting(level)}"


def _list_levels(findings: Findings) -> list[Value | None]:
    """Return all levels, also those that were left out."""
    answer = findings.answer
    return [*(level.level for level in answer.levels), *answer.left_out]


def say_verdict_of(findings: Findings, level: LevelAnswer) -> str:
    """Return a level's verdict in a few words."""
    answer = findings.answer
    if level.verdict is Verdict.UNDECIDED and level.change.is_sure:
        return (
            f"the best {answer.choice} seems to move with {answer.context}, not known if it matters"
        )
    return level.verdict.value.format(choice=answer.choice, context=answer.context)


def describe_more(more_trials: float) -> str:
    """Return about how many more trials it takes, with two digits that count.

    >>> [describe_more(n) for n in (3.0, 1234.0, math.inf)]
    ['about 10 more trials should tell', 'about 1,300 more trials should tell', \
'even many times as many trials may not tell']
    """
    if math.isinf(more_trials):
        return "even many times as many trials may not tell"
    return f"about {round_up(10 * math.ceil(more_trials / 10)):,} more trials should tell"


def round_up(count: int) -> int:
    """Return about so many, and no fewer, with two digits that count.

    >>> [round_up(count) for count in (7, 84, 117, 991)]
    [7, 84, 120, 1000]
    """
    step: int = 10 ** max(len(str(count)) - 2, 0)
    return math.ceil(count / step) * step


def guess_replicates(findings: Findings) -> float | None:
    """Return about how many replicates a new experiment takes to tell, with two digits that count.

    It is not the old one gone on with, which is complete. None where it is decided or was no
    experiment; infinite where no experiment that may be planned should tell.
    """
    experiment, more = findings.experiment, findings.answer.more_trials
    if experiment is None or more is None:
        return None
    designs = experiment.values.size // experiment.replicates
    if math.isinf(more):
        return math.inf
    replicates = round_up(experiment.replicates + math.ceil(more / designs))
    return replicates if replicates <= limit_replicates(designs) else math.inf


def _say_verdict(findings: Findings) -> str:
    answer = findings.answer
    told = [level for level in answer.levels if level.verdict is answer.verdict]
    moving = [level for level in told if level.change.is_sure]
    if answer.verdict is Verdict.NONE and moving:
        told = moving  # of which "if at all" would be wrong
    where = (
        _list_everywhere(findings)
        if len(told) == len(answer.levels)
        else _list(findings, [level.level for level in told])
    )
    text = _say_group(findings, where, moves=told == moving)
    rest = [level for level in answer.levels if level not in told]
    for (verdict, moves), clause in _BESIDE.items():
        beside = [
            level.level
            for level in rest
            if level.verdict is verdict and level.change.is_sure is moves
        ]
        if beside:
            text += f";{_list(findings, beside)}{clause}"
    if answer.left_out:
        text += f";{_list(findings, answer.left_out)} there are too few trials to tell"
    return f"{text}."


def _say_group(findings: Findings, where: str, *, moves: bool) -> str:
    """Return the answer's verdict for the levels that decide it."""
    answer = findings.answer
    depends = f"the best {answer.choice} depends on {answer.context}"
    seems = f"the best {answer.choice} seems to move with {answer.context}"
    if answer.verdict is Verdict.INTERACTION:
        return f"Yes: {depends}{where}"
    if answer.verdict is Verdict.NONE:
        if moves:
            return f"No: {seems}, but too little to matter{where}"
        return f"No: if {depends} at all, it is too little to matter{where}"
    if moves:
        return f"It cannot be told yet whether it matters, but {seems}{where}"
    return f"It cannot be told yet whether {depends} enough to matter{where}"


def _list(findings: Findings, levels: Sequence[Value | None]) -> str:
    """Return " in plain networks", or " with activation relu and with activation tanh"."""
    return " " + " and ".join(_place(findings, level) for level in levels)


def _place(findings: Findings, level: Value | None) -> str:
    return place_level(findings.answer.by, level, _list_levels(findings))


def _list_everywhere(findings: Findings) -> str:
    """Return where something is so that is so at every level."""
    answer = findings.answer
    if answer.by is None:
        return ""
    if len(answer.levels) > _MOST_TOLD:
        return f", whatever the {answer.by}"
    where = _list(findings, [level.level for level in answer.levels])
    return f",{where} alike" if len(answer.levels) > 1 else where


def _say_numbers(findings: Findings) -> str:
    answer, measure = findings.answer, findings.measure
    told: Sequence[LevelAnswer] = answer.levels
    worst = ""
    if len(told) > _MOST_TOLD:
        deciding = [level for level in told if level.verdict is answer.verdict]
        told = [max(deciding, key=lambda level: level.cost.high)]
        worst = ", where it may cost most,"
    # What the verdict is about comes first.
    told = sorted(told, key=lambda level: level.verdict is not answer.verdict)
    clauses = [
        f"{_place(findings, level.level)}{worst} {_say_level(findings, level)}".strip()
        for level in told
    ]
    clause, notes = f"a cost matters from {measure.format_bound(answer.bound)} on", [_RANGES]
    if answer.verdict is Verdict.UNDECIDED and answer.more_trials is not None:
        more, *ways = _say_more(findings, answer.more_trials)
        clause, notes = f"{clause}, and {more}", [*ways, _RANGES]
    clauses.append(f"{clause} ({'; '.join(notes)})")
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _say_more(findings: Findings, more_trials: float) -> list[str]:
    """Return what it takes to tell what cannot be told yet, and the command, where there is one."""
    replicates = guess_replicates(findings)
    if replicates is None:
        return [describe_more(more_trials)]
    if math.isinf(replicates):
        return ["even an experiment many times as large may not tell"]
    return [
        f"a new experiment with about {replicates:,.0f} replicates should tell",
        f"{findings.source.another} --name NAME --replicates {replicates:.0f}",
    ]


def _say_level(findings: Findings, level: LevelAnswer) -> str:
    answer, measure = findings.answer, findings.measure
    cost = measure.format_difference(level.cost.estimate)
    between = (
        f"{measure.format_difference(level.cost.low)} to "
        f"{measure.format_difference(level.cost.high)}"
    )
    unit = measure.name_difference()
    common = findings.format_choice(level.common)
    first, last = _find_move(level)
    move = f"from {_say_best(findings, first)} to {_say_best(findings, last)}"
    if level.verdict is Verdict.UNDECIDED and level.change.is_sure:
        return (
            f"it seems to move {move}, and one for every {answer.context}, {common}, would cost "
            f"{between} {unit}"
        )
    if level.verdict is Verdict.UNDECIDED:
        return (
            f"one {answer.choice} for every {answer.context}, {common}, would cost {between} {unit}"
        )
    if level.verdict is Verdict.NONE:
        return (
            f"one {answer.choice} for every {answer.context}, {common}, would cost "
            f"{cost} {unit} ({between})"
        )
    return (
        f"it moves {move}, and one for every {answer.context}, {common}, would cost {cost} {unit} "
        f"({between})"
    )


def _say_best(findings: Findings, best: Best) -> str:
    choice = findings.format_choice
    return (
        f"{choice(best.choice.estimate)} ({choice(best.choice.low)} to {choice(best.choice.high)}) "
        f"at {findings.answer.context} {findings.format_context(best.context)}"
    )


def _find_move(level: LevelAnswer) -> tuple[Best, Best]:
    """Return two contexts that show how the best choice moves, in the order of contexts.

    They are the first and the last, or, where it goes there and back, the extremes.
    """
    bests = level.bests
    lowest = min(bests, key=lambda best: best.choice.estimate)
    highest = max(bests, key=lambda best: best.choice.estimate)
    whole = highest.choice.estimate - lowest.choice.estimate
    if abs(bests[-1].choice.estimate - bests[0].choice.estimate) >= _SAME_WAY * whole:
        return bests[0], bests[-1]
    first, last = sorted((lowest, highest), key=lambda best: best.context)
    return first, last

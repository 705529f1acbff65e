"""What a driver submits to its workers, by reference and without loading torch itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from archloss.spaces.pack import Pack, PackReport, PackSizeQuestion, State
from archloss.spaces.recipe import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """How to train, and a pack whose members come without their states."""

    train: Callable[[Pack], PackReport]
    pack: Pack


def train_holding(
    training: Training, states: Sequence[State | None]
) -> tuple[PackReport, tuple[State | None, ...]]:
    """Train the pack from these states; return the reports without, and the states beside them.

    So a driver can have the reports while the states stay where they are.
    """
    members = tuple(
        replace(member, state=state)
        for member, state in zip(training.pack.members, states, strict=True)
    )
    report = training.train(replace(training.pack, members=members))
    reached = tuple(one.state for one in report.reports)
    return replace(report, reports=tuple(replace(r, state=None) for r in report.reports)), reached


def train(pack: Pack) -> PackReport:
    """Train a pack: `archloss.spaces.training.train_pack`, loaded where it runs."""
    from archloss.spaces.training import train_pack

    return train_pack(pack)


def measure(question: PackSizeQuestion) -> int:
    """Measure a pack size: `archloss.spaces.packsize.measure_pack_size`, loaded where it runs."""
    from archloss.spaces.packsize import measure_pack_size

    return measure_pack_size(question)


def guess(recipe: Recipe) -> Mapping[str, float]:
    """Return what guessing reaches on the recipe's validation part: the score of divergence."""
    from archloss.spaces.guessing import score_guessing
    from archloss.spaces.resident import load_splits

    splits = load_splits(recipe)
    return score_guessing(
        classes=splits.classes,
        y_validation=splits.y_validation,
        majority_class=splits.majority_class,
    )

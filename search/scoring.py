"""How the trials of a study are scored: what its splits make of guessing."""

from dataclasses import replace

from archloss.search.score import Score, make_score
from archloss.search.spec import Spec
from archloss.spaces.data import Dataset, Splits, split_labels


def score_study(spec: Spec, dataset: Dataset, splits: Splits) -> Score:
    """Return the score of a study whose first split is this one.

    In a planned study each replicate has a split of its own, and so a penalty of its own.
    """
    score = make_score(
        spec.objective,
        classes=splits.classes,
        y_validation=splits.y_validation,
        majority_class=splits.majority_class,
    )
    if spec.plan is None:
        return score
    return replace(
        score,
        penalties={
            replicate: _find_penalty(spec, dataset, replicate)
            for replicate in range(spec.plan.replicates)
        },
    )


def _find_penalty(spec: Spec, dataset: Dataset, replicate: int) -> float:
    """Return what a network that diverged gets on the split of this replicate."""
    recipe = spec.make_recipe()
    labels = split_labels(
        dataset,
        validation_fraction=recipe.validation_fraction,
        test_fraction=recipe.test_fraction,
        seed=recipe.find_split_seed(replicate),
    )
    return make_score(
        spec.objective,
        classes=dataset.classes,
        y_validation=labels.y_validation,
        majority_class=labels.majority_class,
    ).penalty

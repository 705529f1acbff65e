"""The pruners that a study file can name, and the rungs at which they act."""

from optuna import pruners
from optuna.pruners import BasePruner

from archloss.search.spec import Spec


def first_rung(spec: Spec) -> int:
    """Return the epoch of the first rung: `min_epochs`, or a ninth of the epochs."""
    return spec.search.min_epochs or max(1, spec.recipe.epochs // 9)


def rung_epochs(spec: Spec) -> tuple[int, ...]:
    """Return the epochs at which trials report, increasing; the last one is the recipe's.

    Without a pruner there is one rung; else each is `reduction_factor` times the one before.
    """
    epochs = spec.recipe.epochs
    if spec.search.pruner == "none":
        return (epochs,)
    rungs = [first_rung(spec)]
    while rungs[-1] < epochs:
        rungs.append(rungs[-1] * spec.search.reduction_factor)
    return (*(rung for rung in rungs if rung < epochs), epochs)


def make_pruner(spec: Spec) -> BasePruner:
    """Return the study's pruner, which decides at the rungs alone.

    Successive halving: asynchronous (Li et al., arXiv 1810.05934). Hyperband: Li et al., arXiv
    1603.06560. Median: a trial stops that is worse than the median of earlier trials there.
    """
    search = spec.search
    if search.pruner == "successive-halving":
        return pruners.SuccessiveHalvingPruner(
            min_resource=first_rung(spec), reduction_factor=search.reduction_factor
        )
    if search.pruner == "hyperband":
        return pruners.HyperbandPruner(
            min_resource=first_rung(spec),
            max_resource=spec.recipe.epochs,
            reduction_factor=search.reduction_factor,
        )
    if search.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=search.startup_trials)
    return pruners.NopPruner()

"""What a driver submits to its workers, by reference and without loading torch itself."""

from collections.abc import Mapping

from archloss.spaces.pack import Pack, PackReport, PackSizeQuestion
from archloss.spaces.recipe import Recipe


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

    splits = load_splits(
        recipe.dataset,
        recipe.target,
        recipe.validation_fraction,
        recipe.test_fraction,
        recipe.seed,
    )
    return score_guessing(
        classes=splits.classes,
        y_validation=splits.y_validation,
        majority_class=splits.majority_class,
    )

"""The study file as frozen, validated models: everything a launch needs but places and secrets."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archloss.search.errors import SpecError
from archloss.search.spec_file import explain_errors, read_values
from archloss.search.spec_space import SpaceSpec
from archloss.spaces.dimensions import Dimension
from archloss.spaces.recipe import Precision, Recipe, Scale

__all__ = [
    "RecipeSpec",
    "SearchSpec",
    "SpaceSpec",
    "Spec",
    "SpecError",
    "WorkersSpec",
    "differing_keys",
    "read_spec",
]

Objective = Literal["validation_error", "validation_nll", "validation_brier"]
Sampler = Literal["tpe", "gp", "cma-es", "qmc", "random", "grid"]
Pruner = Literal["none", "successive-halving", "hyperband", "median"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RecipeSpec(_Frozen):
    """What every trial of the study shares."""

    epochs: int = Field(default=20, ge=1, description="Epochs of a trial that is not pruned.")
    batch_size: int = Field(default=128, ge=1, description="Examples in an optimizer step.")
    validation_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the data that the search is scored on."
    )
    test_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the data that the search never reads."
    )
    replicates: int = Field(
        default=1, ge=1, le=100, description="Seeds a trial is trained with; it is told the mean."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="Fixes split, initial weights, order and dropout."
    )
    scale: Scale = Field(
        default="balanced",
        description='"balanced" makes both losses equal at a uniform prediction; "raw" does not.',
    )
    gradient_clip: float = Field(
        default=0.0, ge=0, description="Largest norm of a member's gradient; 0 is no clipping."
    )
    precision: Precision = Field(default="float32", description='"float32" or "float64".')

    @model_validator(mode="after")
    def _leave_training_data(self) -> "RecipeSpec":
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction + test_fraction < 1 must hold, but got "
                f"{self.validation_fraction} + {self.test_fraction}"
            )
        return self


class SearchSpec(_Frozen):
    """How designs are chosen and when trials are stopped early."""

    sampler: Sampler = Field(default="tpe", description="Who proposes designs.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of the sampler.")
    startup_trials: int = Field(
        default=10, ge=1, description="Random trials before tpe, gp and cma-es begin to learn."
    )
    candidates: int = Field(
        default=24, ge=1, description="Candidates that tpe weighs for each design."
    )
    grid_points: int = Field(
        default=5, ge=2, le=1000, description="Points that grid takes of each range."
    )
    pruner: Pruner = Field(default="none", description="Who stops trials early, at rungs.")
    min_epochs: int | None = Field(
        default=None, ge=1, description="First rung of a pruner; without it a ninth of the epochs."
    )
    reduction_factor: int = Field(
        default=3, ge=2, description="Each rung of a pruner is so many times the one before."
    )
    keep_weights: int = Field(
        default=10, ge=0, description="The best trials whose weights are kept in the database."
    )


class WorkersSpec(_Frozen):
    """Where packs run; nothing here changes a trial's result."""

    executor: Literal["inline", "local"] = Field(
        default="local", description='"local" spawns processes; "inline" trains in this one.'
    )
    processes: int | Literal["auto"] = Field(
        default="auto", description="Local processes; auto is one per GPU, or per core."
    )
    pack: int | Literal["auto"] = Field(
        default="auto", description="Members trained together; auto measures what pays."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:N or mps.",
    )

    @model_validator(mode="after")
    def _check_counts(self) -> "WorkersSpec":
        for key in ("processes", "pack"):
            value = getattr(self, key)
            if value != "auto" and value < 1:
                raise ValueError(f'{key} must be "auto" or at least 1, but got {value}')
        return self


class Spec(_Frozen):
    """A study file. Only `name` and `dataset` are needed."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        description="The study's name, and its folder's.",
    )
    dataset: str = Field(
        min_length=1, description="A bundled set, a file, openml:NAME, or module:function."
    )
    target: str | None = Field(default=None, description="The target column of a table.")
    objective: Objective = Field(default="validation_error", description="What is minimised.")
    trials: int | None = Field(
        default=200, ge=1, description="Finished trials (complete or pruned), over all launches."
    )
    minutes: float | None = Field(
        default=None, gt=0, description="Longest time of one launch; rungs are finished."
    )
    space: SpaceSpec = Field(
        default_factory=lambda: SpaceSpec.model_validate({}), description="What is searched."
    )
    recipe: RecipeSpec = Field(default_factory=RecipeSpec, description="What is held fixed.")
    search: SearchSpec = Field(default_factory=SearchSpec, description="How it is searched.")
    workers: WorkersSpec = Field(default_factory=WorkersSpec, description="Where it runs.")

    @model_validator(mode="after")
    def _check_budget(self) -> "Spec":
        if self.trials is None and self.minutes is None:
            raise ValueError("a study must have a budget: give trials, minutes or both")
        first = self.search.min_epochs
        if first is not None and first > self.recipe.epochs:
            raise ValueError(
                "search.min_epochs <= recipe.epochs must hold, but got "
                f"{first} and {self.recipe.epochs}"
            )
        return self

    def dimensions(self) -> dict[str, Dimension]:
        """Return every dimension of the space, by name."""
        return self.space.dimensions()

    def make_recipe(self) -> Recipe:
        """Return what workers need to know of the study."""
        return Recipe(dataset=self.dataset, target=self.target, **self.recipe.model_dump())

    def to_json(self) -> str:
        """Return the spec as JSON, defaults spelled out."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """Return the spec that `to_json` was called on."""
        return cls.model_validate_json(text)

    def digest(self) -> str:
        """Return the SHA-256 of all that a trial's meaning depends on.

        Not of the name, the budgets, the workers and how many weights are kept: these may change
        from launch to launch.
        """
        text = json.dumps(_identity(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def read_spec(
    path: Any, overrides: list[str] | tuple[str, ...] = (), values: Mapping[str, Any] | None = None
) -> Spec:
    """Read a study file, lay options and `KEY=VALUE` overrides over it, and check it whole.

    `path` may be None: then `values`, by dotted key, must have what is needed. Raises SpecError,
    which names every key that breaks a rule.
    """
    document = read_values(path, overrides, values or {})
    try:
        return Spec.model_validate(document)
    except ValidationError as error:
        where = "the options" if path is None else str(path)
        raise SpecError(explain_errors(error, Spec, where)) from None


def differing_keys(old: Spec, new: Spec) -> list[str]:
    """Return the dotted keys in which two specs are different studies."""
    one, other = _flatten(_identity(old)), _flatten(_identity(new))
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _identity(spec: Spec) -> dict[str, Any]:
    """Return what makes a study this one."""
    document = spec.model_dump(mode="json", exclude={"name", "trials", "minutes", "workers"})
    del document["search"]["keep_weights"]
    return document


def _flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat

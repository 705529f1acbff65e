"""The study file as frozen, validated models: everything a launch needs but places and secrets."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from archloss.search.errors import SpecError
from archloss.search.grid import LARGEST_GRID, count_grid
from archloss.search.score import Objective
from archloss.search.spec_errors import explain_errors
from archloss.search.spec_file import lay_over, read_document
from archloss.search.spec_plan import PlanSpec, check_plan
from archloss.search.spec_space import SpaceSpec
from archloss.search.spec_tables import (
    Number,
    RecipeSpec,
    SearchSpec,
    Table,
    Whole,
    WorkersSpec,
)
from archloss.spaces.dimensions import Choice, Dimension, is_fixed
from archloss.spaces.recipe import Recipe

__all__ = [
    "PlanSpec",
    "RecipeSpec",
    "SearchSpec",
    "SpaceSpec",
    "Spec",
    "SpecError",
    "WorkersSpec",
    "differing_keys",
    "override_spec",
    "read_spec",
]

DEFAULT_TRIALS = 200


class Spec(Table):
    """A study file. Only `name` and `dataset` are needed."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        description="The study's name, and its folder's: letters, digits, - _ and dots.",
    )
    dataset: str = Field(
        min_length=1,
        description="A bundled set, a CSV, Parquet or npz file, openml:NAME, or module:function.",
    )
    target: str | None = Field(default=None, description="The target column of a table.")
    objective: Objective = Field(
        default="validation_error",
        description='What is minimised: "validation_error", "validation_nll" or '
        '"validation_brier".',
    )
    trials: Whole | None = Field(
        default=None,
        ge=1,
        description="Finished trials (complete or pruned) to reach, over all launches. Without "
        f"it: no limit if `minutes` is given, the whole grid, or {DEFAULT_TRIALS}.",
    )
    minutes: Number | None = Field(
        default=None, gt=0, description="How long a launch goes on; what it has begun then waits."
    )
    space: SpaceSpec = Field(
        default_factory=lambda: SpaceSpec.model_validate({}), description="What is searched."
    )
    recipe: RecipeSpec = Field(default_factory=RecipeSpec, description="What is held fixed.")
    search: SearchSpec = Field(default_factory=SearchSpec, description="How it is searched.")
    workers: WorkersSpec = Field(default_factory=WorkersSpec, description="Where it runs.")
    plan: PlanSpec | None = Field(
        default=None, description="What is trained, where nothing is searched any more."
    )

    @model_validator(mode="after")
    def _check_plan(self) -> "Spec":
        if (self.plan is None) == (self.search.sampler == "plan"):
            raise ValueError(
                'search.sampler must be "plan" where there is a [plan], and nowhere else, but got '
                f"{self.search.sampler!r} with{'out' if self.plan is None else ''} one"
            )
        if self.plan is None:
            return self
        check_plan(self.plan, self.dimensions())
        for key, value, only in (
            ("search.pruner", self.search.pruner, "none"),
            ("recipe.replicates", self.recipe.replicates, 1),
            ("trials", self.trials or self.plan.trials, self.plan.trials),
        ):
            if value != only:
                raise ValueError(f"{key} must be {only!r} with this [plan], but got {value!r}")
        self.__dict__["trials"] = self.plan.trials  # frozen models refuse an assignment
        return self

    @model_validator(mode="after")
    def _check_budget(self) -> "Spec":
        most = self._count_grid() if self.search.sampler == "grid" else None
        if self.trials is None and self.minutes is None:
            # Not by assignment, which frozen models refuse; nobody has seen this one yet.
            self.__dict__["trials"] = most or DEFAULT_TRIALS
        if most is not None and self.trials is not None and self.trials > most:
            raise ValueError(
                f"trials must be at most {most}, the points of the grid, but got {self.trials}: "
                "leave it out, or raise search.grid_points"
            )
        return self

    @model_validator(mode="after")
    def _check_rungs(self) -> "Spec":
        if self.search.pruner != "none" and len(self.search.list_rungs(self.recipe.epochs)) == 1:
            raise ValueError(
                f'search.pruner must be "none" where there is no rung between search.min_epochs '
                f"and recipe.epochs, but got {self.search.pruner!r} and {self.recipe.epochs} "
                "epochs: train longer, lower search.min_epochs, or prune nothing"
            )
        return self

    @model_validator(mode="after")
    def _check_question(self) -> "Spec":
        if self.search.sampler != "profile":
            return self
        ranges = [
            name
            for name, dimension in self.dimensions().items()
            if not isinstance(dimension, Choice) and not is_fixed(dimension)
        ]
        for key in ("context", "choice"):
            name = getattr(self.search, key)
            if name not in ranges:
                raise ValueError(
                    f"search.{key} must name a range that is searched where search.sampler is "
                    f"'profile', but got {name!r}: give space.{name} a low and a high, or choose "
                    f"from {', '.join(ranges) or 'none'}"
                )
        if self.search.context == self.search.choice:
            raise ValueError(
                "search.context and search.choice must be two different ranges, but both are "
                f"{self.search.choice!r}"
            )
        return self

    def _count_grid(self) -> int:
        size = count_grid(self.dimensions(), self.search.grid_points)
        if size > LARGEST_GRID:
            raise ValueError(
                f"the grid must have at most {LARGEST_GRID:,} points, but has {size:,}: lower "
                "search.grid_points, or fix some dimensions of the space"
            )
        return size

    def dimensions(self) -> dict[str, Dimension]:
        """Return every dimension of the space, by name."""
        return self.space.dimensions()

    def make_recipe(self) -> Recipe:
        """Return what workers need to know of the study."""
        return Recipe(
            dataset=self.dataset,
            target=self.target,
            split="fixed" if self.plan is None else "redrawn",
            **self.recipe.model_dump(),
        )

    def to_json(self) -> str:
        """Return the spec as JSON, defaults spelled out."""
        return self.model_dump_json(exclude=_list_absent(self))

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """Return the spec that `to_json` was called on; raise SpecError if it is none of ours."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise SpecError(explain_errors(error, cls, {}, "the stored spec")) from None

    def digest(self) -> str:
        """Return the SHA-256 of all that a trial's meaning depends on.

        Not of the name, the budgets, the workers and how many weights are kept: these may change
        from launch to launch.
        """
        text = json.dumps(_identify(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def read_spec(
    path: Path | str | None,
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
) -> Spec:
    """Read a study file, lay `values` (by dotted key) and KEY=VALUE overrides over it, check it.

    Without a path, these must have all that is needed. Raises SpecError, which names every key
    that breaks a rule, and where it was given.
    """
    document, origins = read_document(path, overrides, values or {}, Spec)
    return _validate(document, origins, "the options" if path is None else str(path))


def override_spec(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """Return the spec with `values` (by dotted key) laid over it; raise SpecError where wrong."""
    document = json.loads(spec.to_json())
    return _validate(document, lay_over(document, values, Spec), "the options")


def _validate(document: Mapping[str, Any], origins: Mapping[str, str], where: str) -> Spec:
    try:
        return Spec.model_validate(document)
    except ValidationError as error:
        raise SpecError(explain_errors(error, Spec, origins, where)) from None


def differing_keys(old: Spec, new: Spec) -> list[str]:
    """Return the dotted keys in which two specs are different studies."""
    one, other = _flatten(_identify(old)), _flatten(_identify(new))
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _identify(spec: Spec) -> dict[str, Any]:
    """Return what makes a study this one."""
    document = spec.model_dump(
        mode="json", exclude={"name", "trials", "minutes", "workers"} | _list_absent(spec)
    )
    del document["search"]["keep_weights"]
    if spec.search.sampler != "profile":
        del document["search"]["context"], document["search"]["choice"]
    return document


def _list_absent(spec: Spec) -> set[str]:
    """Return the keys that a study without them neither stores nor is told apart by."""
    return {"plan"} if spec.plan is None else set()


def _flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat

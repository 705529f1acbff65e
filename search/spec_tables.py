"""The tables of a study file beside its `[space]`: `[recipe]`, `[search]` and `[workers]`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from archloss.spaces.recipe import Precision, Scale

Sampler = Literal["tpe", "gp", "cma-es", "qmc", "random", "grid", "profile", "plan"]
Pruner = Literal["none", "successive-halving", "hyperband", "median"]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]


class Table(BaseModel):
    """A table of a study file: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RecipeSpec(Table):
    """What every trial of the study shares."""

    epochs: Whole = Field(default=20, ge=1, description="Epochs of a trial that is not pruned.")
    batch_size: Whole = Field(default=128, ge=1, description="Examples in an optimizer step.")
    validation_fraction: Number = Field(
        default=0.2, gt=0, lt=1, description="Share of the data that the search is scored on."
    )
    test_fraction: Number = Field(
        default=0.2, gt=0, lt=1, description="Share of the data that the search never reads."
    )
    replicates: Whole = Field(
        default=1,
        ge=1,
        le=100,
        description="Seeds that each trial is trained with; its value is their mean.",
    )
    seed: Whole = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="Fixes the split and, with the replicate, weights, data order and dropout.",
    )
    scale: Scale = Field(
        default="balanced",
        description='How mean squared error is weighed: "balanced" makes it equal to '
        'cross-entropy at a uniform prediction, "raw" leaves it alone.',
    )
    gradient_clip: Number = Field(
        default=0.0, ge=0, description="Largest norm of a network's gradient; 0 is no clipping."
    )
    precision: Precision = Field(default="float32", description='"float32" or "float64".')

    @model_validator(mode="after")
    def _leave_training_data(self) -> "RecipeSpec":
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction + test_fraction must be below 1, to leave training data, but "
                f"got {self.validation_fraction} + {self.test_fraction}"
            )
        return self


class SearchSpec(Table):
    """How designs are chosen, and when trials are stopped early."""

    sampler: Sampler = Field(
        default="tpe",
        description='Who chooses designs: "tpe", "gp", "cma-es", "qmc", "random", "grid" or '
        '"profile"; "plan" takes those of `[plan]`.',
    )
    context: str = Field(
        default="depth",
        description="For profile: the range over which all of the best choices are to be learned.",
    )
    choice: str = Field(
        default="ce_weight",
        description="For profile: the range whose best values are to be learned.",
    )
    seed: Whole = Field(default=0, ge=0, lt=2**32, description="Seed of the sampler.")
    startup_trials: Whole = Field(
        default=10,
        ge=1,
        description="Finished trials before tpe, gp, cma-es, profile and the median pruner begin.",
    )
    candidates: Whole = Field(
        default=24, ge=1, description="Candidates that tpe draws and weighs for each design."
    )
    grid_points: Whole = Field(
        default=5, ge=2, le=1000, description="Values that grid takes of each range."
    )
    pruner: Pruner = Field(
        default="none",
        description='Who stops trials early: "none", "successive-halving", "hyperband" or '
        '"median".',
    )
    min_epochs: Whole | None = Field(
        default=None,
        ge=1,
        description="A pruner stops no trial before; without it, a ninth of the epochs.",
    )
    reduction_factor: Whole = Field(
        default=3,
        ge=2,
        description="A pruner's rungs are so many times apart; halving keeps one in so many.",
    )
    keep_weights: Whole = Field(
        default=10, ge=0, description="How many of the best trials keep their weights, for export."
    )

    def list_rungs(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs at which trials report, increasing; the last one is `epochs`.

        Without a pruner that is all. With one, each rung is a `reduction_factor`-th of the next,
        as long as `min_epochs` have passed.
        """
        if self.pruner == "none":
            return (epochs,)
        first = self.min_epochs or epochs / 9.01  # a ninth, with room for rounding
        rungs = {epochs}
        rung = epochs / self.reduction_factor
        while rung >= first:
            rungs.add(max(1, round(rung)))
            rung /= self.reduction_factor
        return tuple(sorted(rungs))


class WorkersSpec(Table):
    """Where packs run; nothing here changes what a trial computes."""

    executor: Literal["inline", "local", "ray"] = Field(
        default="local",
        description='"local" spawns processes; "ray" runs workers on a Ray cluster; "inline" '
        "trains in this process.",
    )
    processes: Annotated[Whole, Field(ge=1)] | Literal["auto"] = Field(
        default="auto",
        description='Worker processes; "auto" is as many as the GPUs, or else the cores, have '
        "room for.",
    )
    cpus_per_worker: Annotated[Whole, Field(ge=1)] = Field(
        default=1, description="Cores, and threads of arithmetic, of a worker process."
    )
    gpus_per_worker: Annotated[Number, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="GPUs of a worker process, whole or a share of one, as in 0.5; 0 is none, "
        '"auto" is 1 where there are any.',
    )
    pack_timeout: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="Seconds after which a pack's worker is given up, and the pack tried again.",
    )
    max_retries: Whole = Field(
        default=3, ge=0, description="How often a trial is tried again after its worker was lost."
    )
    pack: Annotated[Whole, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description='Networks trained together; "auto" measures what pays.'
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description='"auto", "cpu", "cuda", "cuda:N" or "mps".',
    )

    @model_validator(mode="after")
    def _ask_for_what_can_be(self) -> "WorkersSpec":
        if self.executor == "inline" and self.pack_timeout is not None:
            raise ValueError(
                f'pack_timeout must be left out with executor = "inline", which cannot stop what '
                f"runs in its own process, but got {self.pack_timeout}"
            )
        share = self.gpus_per_worker
        if share != "auto" and share > 1 and share != int(share):
            raise ValueError(
                f"gpus_per_worker must be a whole number, or at most 1, but got {share}"
            )
        return self

"""The command `export`: a trained network as files that need no database."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import archloss
from archloss.search.cli.looking import find_trial
from archloss.search.cli.options import Folder, Storage, StudyName, takes
from archloss.search.cli.studies import Opened, open_study
from archloss.search.report.points import find_ending
from archloss.search.report.summary import find_best
from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from archloss.spaces.pack import State
    from archloss.storage.records import TrialRecord

BEST = "best"


class ExportError(ArchlossError):
    """There is no network to export."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What `archloss export` takes."""

    study: StudyName
    trial: Annotated[str, typer.Option(metavar="NUMBER|best", help="Which trial to export.")] = BEST
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "network"
    )
    storage: Storage = None
    folder: Folder = None


@takes(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write a trial's network: weights as safetensors, and a JSON description.

    `archloss.spaces.export.load_network(FOLDER)` gives it back as a torch.nn.Module.
    """
    with open_study(options.study, storage=options.storage, folder=options.folder) as opened:
        trial = _choose_trial(opened, options.trial)
        replicate, state = _read_state(opened, trial)
    if state is None:
        typer.echo(
            f"the weights of trial {trial.number} were not kept: training it again, from its "
            "design and seed",
            err=True,
        )
        replicate, state = _train_again(opened, trial)
    for path in _write(opened, trial, replicate, state, folder=options.output):
        typer.echo(path)


def _choose_trial(opened: Opened, text: str) -> "TrialRecord":
    if text != BEST and not text.isdecimal():
        raise typer.BadParameter(f"--trial must be a number or {BEST!r}, but got {text!r}")
    if text == BEST:
        best = find_best(opened.read_points())
        if best is None:
            raise ExportError(
                f"study {opened.spec.name!r} has no trial that was trained to the end"
            )
        return find_trial(opened, best.number)
    trial = find_trial(opened, int(text))
    ending = find_ending(trial)
    if ending not in ("completed", "pruned"):
        raise ExportError(
            f"trial {trial.number} has no network to export, because it is {ending}; "
            f"`archloss trials {opened.spec.name}` shows which are completed"
        )
    return trial


def _read_state(opened: Opened, trial: "TrialRecord") -> "tuple[int, State | None]":
    """Return the first replicate whose weights were kept, and them; else the first, and None."""
    from archloss.search.plan import list_replicates
    from archloss.spaces.pack import State

    for kept in opened.database.read_weights(opened.record.study_id, trial.number):
        return kept.replicate, State(arrays=kept.arrays, steps=kept.steps)
    return list_replicates(opened.spec, trial.params)[0], None


def _train_again(opened: Opened, trial: "TrialRecord") -> "tuple[int, State]":
    """Train the trial's replicates to the recipe's last epoch; give the first that is finite."""
    from archloss.search.plan import list_replicates
    from archloss.spaces.jobs import train
    from archloss.spaces.pack import Member, Pack

    recipe = opened.spec.make_recipe()
    design = opened.make_design(trial.params)
    members = tuple(
        Member(trial_number=trial.number, replicate=replicate, design=design)
        for replicate in list_replicates(opened.spec, trial.params)
    )
    pack = Pack(
        members=members,
        recipe=recipe,
        until_epoch=recipe.epochs,
        device=opened.spec.workers.device,
        fingerprint=opened.record.fingerprint,
    )
    for report in train(pack).reports:
        if report.state is not None:
            return report.replicate, report.state
    raise ExportError(f"trial {trial.number} diverged when it was trained again: nothing to export")


def _write(
    opened: Opened, trial: "TrialRecord", replicate: int, state: "State", *, folder: Path
) -> tuple[Path, Path]:
    from archloss.spaces.export import export_network

    description = {
        **describe_data(opened, replicate),
        "archloss": archloss.__version__,
        "study": opened.spec.name,
        "trial": trial.number,
        "replicate": replicate,
        "recipe": asdict(opened.spec.make_recipe()),
        "objective": opened.spec.objective,
        "value": trial.value,
    }
    return export_network(
        folder, design=opened.make_design(trial.params), state=state, description=description
    )


def describe_data(opened: Opened, replicate: int) -> dict[str, Any]:
    """Return what a replicate's inputs and outputs are, and how features become inputs.

    Input column e is `(c - mean) / scale`, where c is, of the feature at index `feature`: for a
    "number" its value, or `value` where it is missing; for a "category" 1 where the category's
    code is `value`, else 0; for "missing" 1 where it is missing, else 0. Raises DataError where
    the data have changed since the study was launched.
    """
    from archloss.spaces.data import load_dataset, split_dataset
    from archloss.spaces.errors import DataError

    recipe = opened.spec.make_recipe()
    dataset = load_dataset(recipe.dataset, recipe.target)
    splits = split_dataset(
        dataset,
        validation_fraction=recipe.validation_fraction,
        test_fraction=recipe.test_fraction,
        seed=recipe.find_split_seed(replicate),
    )
    if splits.fingerprint != opened.record.fingerprint:
        raise DataError(
            f"the data of study {opened.spec.name!r} have changed since it was launched: bring "
            f"the old {recipe.dataset!r} back to export its networks"
        )
    encoder = splits.encoder
    return {
        "features": len(encoder.columns),
        "classes": list(splits.classes),
        "fingerprint": splits.fingerprint,
        "inputs": [
            {**asdict(column), "mean": float(mean), "scale": float(scale)}
            for column, mean, scale in zip(
                encoder.columns, encoder.mean, encoder.scale, strict=True
            )
        ],
        "raw_features": [asdict(feature) for feature in dataset.features],
    }

"""An Optuna storage for pages that look at studies: quick to read, and light to draw.

Optuna's own reads 10,000 trials in a quarter of a minute, and the dashboard draws a line for each
trial with intermediate values, which takes a browser minutes.
"""

import copy
import hashlib
import json
import threading
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from archloss.storage.access import Access
from archloss.storage.optuna_trials import OptunaTables

MOST_CURVES = 300
"""The newest trials of a study that are shown with their intermediate values."""


@dataclass(kw_only=True)
class Seen:
    """What was read of a study; `identity` tells it from another that came to have its id.

    Trials with a number below `drawn_from` have lost their intermediate values.
    """

    identity: str
    trials: list[FrozenTrial] = field(default_factory=list)
    drawn_from: int = 0

    def list_unfinished(self) -> set[int]:
        """Return the ids of the trials that were unfinished when they were read."""
        return {trial._trial_id for trial in self.trials if not trial.state.is_finished()}

    def take(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in trials that are new, or were unfinished."""
        places = {trial.number: place for place, trial in enumerate(self.trials)}
        for trial in trials:
            place = places.get(trial.number)
            if place is None:
                self.trials.append(trial)
            else:
                self.trials[place] = trial
                self.drawn_from = min(self.drawn_from, place)
        last = max(len(self.trials) - MOST_CURVES, 0)
        for trial in self.trials[self.drawn_from : last]:
            trial.intermediate_values = {}
        self.drawn_from = last


class StudyReads:
    """What a view reads of a database."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def identify_study(self, study_id: int) -> str | None:
        """Return what tells a study of ours from all others, None if there is none of that id."""
        return self._access.read(
            lambda connection: _identify(self._access.optuna, connection, study_id)
        )

    def read_frozen(
        self, study_id: int, *, first_number: int, trial_ids: Collection[int]
    ) -> list[FrozenTrial]:
        """Return the trials from a number on, and those with these ids, by number."""

        def read(connection: sa.Connection) -> list[FrozenTrial]:
            optuna = self._access.optuna
            if first_number == 0:
                return optuna.read_frozen(connection, study_id, None)
            new = optuna.find_from(connection, study_id, first_number)
            wanted = {*trial_ids, *(handle.trial_id for handle in new)}
            return optuna.read_frozen(connection, study_id, wanted) if wanted else []

        return self._access.read(read)


def stamp_study(optuna: OptunaTables, connection: sa.Connection, study_id: int) -> str | None:
    """Return what changes when anything in a study does; None while any trial may change."""
    identity = _identify(optuna, connection, study_id)
    if identity is None or optuna.find_unfinished(connection, study_id):
        return None
    counts = sorted(optuna.count_states(connection, study_id).items())
    attributes = sorted(optuna.read_attributes(connection, study_id).items())
    return hashlib.sha256(json.dumps([identity, counts, attributes]).encode()).hexdigest()


def _identify(optuna: OptunaTables, connection: sa.Connection, study_id: int) -> str | None:
    for study in optuna.list_studies(connection):
        if study.study_id == study_id:
            return f"{study.token} {study.name}"
    return None


class ViewStorage(BaseStorage):
    """Gives trials from what it read before and what changed since; all else is `storage`'s.

    What a finished trial holds cannot change. Of a study with many trials only the newest
    `MOST_CURVES` have their intermediate values here; in the database all have.
    """

    def __init__(self, storage: BaseStorage, reads: StudyReads) -> None:
        self._storage = storage
        self._reads = reads
        self._seen: dict[int, Seen] = {}
        self._one_at_a_time = threading.Lock()

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the study's trials by number, or those in some states; KeyError without it."""
        with self._one_at_a_time:
            trials = self._look(study_id)
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _look(self, study_id: int) -> list[FrozenTrial]:
        identity = self._reads.identify_study(study_id)
        if identity is None:
            self._seen.pop(study_id, None)
            raise KeyError(study_id)
        seen = self._seen.get(study_id)
        if seen is None or seen.identity != identity:
            seen = self._seen[study_id] = Seen(identity=identity)
        first = seen.trials[-1].number + 1 if seen.trials else 0
        seen.take(
            self._reads.read_frozen(study_id, first_number=first, trial_ids=seen.list_unfinished())
        )
        return list(seen.trials)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return one trial, whole."""
        return self._storage.get_trial(trial_id)

    def get_all_studies(self) -> Any:
        """Return all studies, with their attributes."""
        return self._storage.get_all_studies()

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return a study's id."""
        return self._storage.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return a study's name."""
        return self._storage.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return a direction for each of the study's objectives."""
        return self._storage.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's user attributes."""
        return self._storage.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's system attributes."""
        return self._storage.get_study_system_attrs(study_id)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Make a study, and return its id."""
        return self._storage.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._storage.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self._storage.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a study."""
        self._storage.set_study_system_attr(study_id, key, value)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial, and return its id."""
        return self._storage.create_new_trial(study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of an unfinished trial."""
        self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and values of an unfinished trial; return whether it was."""
        return self._storage.set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set an intermediate value of an unfinished trial."""
        self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of an unfinished trial."""
        self._storage.set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute of an unfinished trial."""
        self._storage.set_trial_system_attr(trial_id, key, value)

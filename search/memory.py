"""An Optuna storage in this process's memory, for one study and one thread.

Optuna's own copies every trial deeply as it comes in, and the whole study's list at every ask.
Here trials are shared: who reads them without a copy sees them change.
"""

import copy
import datetime
from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

_STUDY_ID = 0


class MemoryStorage(BaseStorage):
    """The trials of the one study that is made in it; a trial's id is its number."""

    def __init__(self) -> None:
        self._study: FrozenStudy | None = None
        self._trials: list[FrozenTrial] = []
        self._by_state: dict[TrialState, list[FrozenTrial]] = {}

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Make the study; there can be only one."""
        if self._study is not None:
            raise ValueError(f"this storage holds {self._study.study_name!r}, and no other study")
        self._study = FrozenStudy(
            study_name=study_name or "study",
            direction=None,
            directions=list(directions),
            user_attrs={},
            system_attrs={},
            study_id=_STUDY_ID,
        )
        return _STUDY_ID

    def delete_study(self, study_id: int) -> None:
        """Forget the study and its trials."""
        self._get_study(study_id)
        self._study = None
        self._trials = []
        self._by_state = {}

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of the study."""
        self._get_study(study_id).user_attrs[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of the study that belongs to Optuna."""
        self._get_study(study_id).system_attrs[key] = value

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the study's id."""
        if self._study is None or self._study.study_name != study_name:
            raise KeyError(f"there is no study named {study_name!r}")
        return _STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the study's name."""
        return self._get_study(study_id).study_name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return what is minimised or maximised."""
        return self._get_study(study_id).directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the study's attributes."""
        return self._get_study(study_id).user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the study's attributes that belong to Optuna."""
        return self._get_study(study_id).system_attrs

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return the study."""
        return [] if self._study is None else [copy.deepcopy(self._study)]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Take a trial in as it is, or a new one that is running; return its id."""
        self._get_study(study_id)
        trial = template_trial or make_trial(params={}, distributions={}, user_attrs={})
        trial_id = len(self._trials)
        trial.number = trial._trial_id = trial_id
        self._forget(trial.state)
        self._trials.append(trial)
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter of a trial."""
        trial = self._get_unfinished(trial_id)
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set a trial's state and values; say whether it may run, if that is what it is to do."""
        trial = self._get_unfinished(trial_id)
        if state == TrialState.RUNNING and trial.state != TrialState.WAITING:
            return False
        self._forget(trial.state, state)
        trial.state = state
        if values is not None:
            trial.values = list(values)
        if state.is_finished():
            trial.datetime_complete = datetime.datetime.now()
        return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set what a trial reported at a step."""
        self._get_unfinished(trial_id).intermediate_values[step] = intermediate_value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of a trial."""
        self._get_unfinished(trial_id).user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of a trial that belongs to Optuna."""
        self._get_unfinished(trial_id).system_attrs[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial, or raise KeyError."""
        if not 0 <= trial_id < len(self._trials):
            raise KeyError(f"there is no trial with the id {trial_id}")
        return self._trials[trial_id]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials in these states, by id."""
        self._get_study(study_id)
        if states is None:
            trials = self._trials.copy()
        else:
            wanted = [state for state in TrialState if state in states]
            trials = []
            for state in wanted:
                trials += self._list_state(state)
            if len(wanted) > 1:
                trials.sort(key=lambda trial: trial._trial_id)
        return copy.deepcopy(trials) if deepcopy else trials

    def _list_state(self, state: TrialState) -> list[FrozenTrial]:
        """Return the trials in a state; they are looked for only after something changed."""
        if state not in self._by_state:
            self._by_state[state] = [trial for trial in self._trials if trial.state is state]
        return self._by_state[state]

    def _forget(self, *states: TrialState) -> None:
        for state in states:
            self._by_state.pop(state, None)

    def _get_study(self, study_id: int) -> FrozenStudy:
        if self._study is None or study_id != _STUDY_ID:
            raise KeyError(f"there is no study with the id {study_id}")
        return self._study

    def _get_unfinished(self, trial_id: int) -> FrozenTrial:
        trial = self.get_trial(trial_id)
        self.check_trial_is_updatable(trial_id, trial.state)
        return trial


def make_trial(
    *,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    user_attrs: dict[str, Any],
) -> FrozenTrial:
    """Return a running trial for a MemoryStorage, which gives it its number; nothing is copied."""
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.datetime.now(),
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs=user_attrs,
        system_attrs={},
        intermediate_values={},
    )

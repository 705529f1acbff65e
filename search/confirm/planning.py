"""From a proposal to the experiment's spec: what is stored before anything is trained."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from archloss.search.confirm import name_experiment
from archloss.search.confirm.proposal import Proposal, check_trainings
from archloss.search.spec import Spec, override_spec


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the proposal does not say: the experiment's name, the bound, and how replicates came.

    `asked` are how many contexts and choices were asked for. `power` is None where `replicates`
    were given instead.
    """

    name: str
    bound: float
    replicates: int
    power: float | None
    asked: tuple[int, int]


def plan_experiment(parent: Spec, proposal: Proposal, wish: Wish) -> Spec:
    """Return the spec of the experiment that confirms the parent.

    Raises ConfirmError where it is too large, and SpecError where it breaks another rule.

    It trains as the search did, but on a seed that the search has not seen: one that follows from
    the parent's digest, and from the experiment's name where it has one of its own, so that nobody
    chooses it, and another experiment is trained anew.
    """
    check_trainings(len(proposal.designs), wish.replicates)
    changes: dict[str, Any] = {
        "name": wish.name,
        "trials": None,
        "minutes": None,
        "recipe.replicates": 1,
        "recipe.seed": derive_seed(parent, wish.name),
        "search": {"sampler": "plan", "pruner": "none", "keep_weights": 0},
        "plan": {
            "confirms": parent.name,
            "confirms_digest": parent.digest(),
            "context": proposal.context,
            "choice": proposal.choice,
            "by": proposal.by,
            "contexts": proposal.contexts,
            "choices": proposal.choices,
            "levels": proposal.levels,
            "bound": wish.bound,
            "replicates": wish.replicates,
            "power": wish.power,
            "effect": proposal.replication.effect,
            "deviations": proposal.replication.deviations,
            "asked": wish.asked,
            "designs": proposal.designs,
        },
    }
    return override_spec(parent, changes)


def derive_seed(parent: Spec, name: str) -> int:
    """Return the seed of the experiment of this name, which follows from what it confirms."""
    own = [] if name == name_experiment(parent.name) else [name]
    text = json.dumps(["confirm", parent.digest(), *own])
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)

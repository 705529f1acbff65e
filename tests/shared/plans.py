"""Specs of small experiments, made by hand."""

import itertools

from archloss.search.spec import Spec

FIXED = {
    "mse_on": "probabilities",
    "width": 8,
    "normalisation": "layer",
    "activation": "relu",
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 0.001,
    "momentum": 0.9,
    "schedule": "cosine",
    "dropout": 0.0,
}
CONTEXTS, CHOICES, LEVELS = (1, 3), (0.0, 0.5, 1.0), (False, True)


def make_plan(**changes):
    designs = [
        FIXED | {"residual": level, "depth": context, "ce_weight": choice}
        for level, context, choice in itertools.product(LEVELS, CONTEXTS, CHOICES)
    ]
    return {
        "confirms": "parent",
        "confirms_digest": "0" * 64,
        "context": "depth",
        "choice": "ce_weight",
        "by": "residual",
        "contexts": CONTEXTS,
        "choices": CHOICES,
        "levels": LEVELS,
        "bound": 0.005,
        "replicates": 3,
        "designs": designs,
    } | changes


def make_document(name="parent-confirm", *, plan=None, pack=4, **rest):
    return {
        "name": name,
        "dataset": "iris",
        "space": {"name": "residual-mlp", "width": 8},
        "recipe": {"epochs": 2, "batch_size": 32, "seed": 5},
        "search": {"sampler": "plan", "keep_weights": 0},
        "workers": {"executor": "inline", "pack": pack, "device": "cpu"},
        "plan": make_plan() if plan is None else plan,
    } | rest


def make_planned(name="parent-confirm", **rest):
    return Spec.model_validate(make_document(name, **rest))

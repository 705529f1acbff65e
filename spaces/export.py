"""Export a trained member: weights as safetensors, a description as JSON, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from archloss.spaces.design import Design
from archloss.spaces.errors import SpaceError
from archloss.spaces.network import ResidualMLP, load_vector
from archloss.spaces.pack import State

WEIGHTS_FILE, DESCRIPTION_FILE = "weights.safetensors", "network.json"
FORMAT = "archloss-network-1"


def export_network(
    folder: Path, *, design: Design, state: State, description: Mapping[str, Any]
) -> tuple[Path, Path]:
    """Write `weights.safetensors` and `network.json` into `folder`; return their paths.

    `description` must hold "features" and "classes" (the class names in the order of the
    logits), and may hold anything else that JSON can: where the network comes from, and how
    its features are to be prepared. Raises SpaceError if the weights do not fit the design.
    """
    vector = torch.from_numpy(np.asarray(state.arrays["parameters"]).copy())
    network = ResidualMLP(
        design, features=description["features"], classes=len(description["classes"])
    ).to(vector.dtype)
    expected = sum(parameter.numel() for parameter in network.parameters())
    if vector.numel() != expected:
        raise SpaceError(
            f"the weights must fit the design, but {design} has {expected} parameters and the "
            f"state {vector.numel()}: were they made by another study?"
        )
    load_vector(network, vector)
    folder.mkdir(parents=True, exist_ok=True)
    weights, text = folder / WEIGHTS_FILE, folder / DESCRIPTION_FILE
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
    document = {"format": FORMAT, "design": asdict(design), **description}
    text.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return weights, text


def load_network(folder: str | Path) -> ResidualMLP:
    """Load what `export_network` wrote, ready to predict (dropout off).

    The network maps standardised features `[B, F]` to logits `[B, C]`, in the precision it was
    trained in. Raises SpaceError if the folder holds no export, or one of an unknown format.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        raise SpaceError(
            f"an exported network is a folder with {DESCRIPTION_FILE} and {WEIGHTS_FILE}, but "
            f"{folder} has no {DESCRIPTION_FILE}: make one with `archloss export`"
        )
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("format") != FORMAT:
        raise SpaceError(
            f"{path} must have format {FORMAT!r}, but has {document.get('format')!r}: it was "
            "written by another version of archloss"
        )
    tensors = load_file(folder / WEIGHTS_FILE)
    network = ResidualMLP(
        Design(**document["design"]),
        features=document["features"],
        classes=len(document["classes"]),
    ).to(next(iter(tensors.values())).dtype)
    network.load_state_dict(tensors)
    return network.eval()

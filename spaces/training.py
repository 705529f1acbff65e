"""Train a pack up to a given epoch: from members to reports, on one device."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from archloss.spaces.chunk import Chunk
from archloss.spaces.devices import choose_device, is_out_of_memory
from archloss.spaces.errors import SpaceError
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Member, Pack, PackReport, Report
from archloss.spaces.recipe import Recipe
from archloss.spaces.resident import ResidentData, load_resident

# A chunk's activations should stay in a core's cache: more members than this many numbers in
# one activation `[K, B, W]` gain nothing on a CPU (docs/benchmarks.md). An accelerator takes
# the whole pack at once.
CPU_CHUNK_ELEMENTS = 262_144


@torch.no_grad()
def train_pack(pack: Pack) -> PackReport:
    """Train every member from where it stands up to and with epoch `pack.until_epoch`.

    What a member computes depends on its design, its replicate and the recipe alone, not on
    the other members. A member whose loss or weights stop being finite is reported as DIVERGED.
    Where memory runs out the pack is split in two, and says so in the notes; a single member
    that does not fit is reported as INFEASIBLE. Raises SpaceError if the pack mixes widths or
    epochs done, DataError if the data cannot be read or are not the study's.
    """
    started = time.perf_counter()
    check_pack(pack)
    device = choose_device(pack.device)
    notes: list[str] = []
    reports: dict[int, Report] = {}
    for indices in split_into_chunks(pack.members, pack.recipe, device):
        data = load_resident(
            pack.recipe,
            device=device,
            replicate=pack.members[indices[0]].replicate,
            fingerprint=pack.fingerprint,
        )
        reports |= _train_chunk(pack, indices, data, device, notes)
    return PackReport(
        reports=tuple(reports[index] for index in range(len(pack.members))),
        seconds=time.perf_counter() - started,
        notes=tuple(notes),
    )


def check_pack(pack: Pack) -> None:
    """Raise SpaceError unless the members can train together."""
    if not pack.members:
        raise SpaceError("a pack needs at least one member, but it has none")
    widths = sorted({member.design.width for member in pack.members})
    if len(widths) > 1:
        raise SpaceError(f"the members of a pack must have one width, but got {widths}")
    for member in pack.members:
        if not member.epochs_done < pack.until_epoch <= pack.recipe.epochs:
            raise SpaceError(
                "epochs_done < until_epoch <= epochs must hold, but trial "
                f"{member.trial_number} has {member.epochs_done}, {pack.until_epoch} and "
                f"{pack.recipe.epochs}"
            )
        if (member.epochs_done > 0) != (member.state is not None):
            raise SpaceError(
                f"a member that has trained must bring its state, but trial "
                f"{member.trial_number} has done {member.epochs_done} epochs and "
                f"{'has' if member.state else 'no'} state"
            )


def split_into_chunks(
    members: Sequence[Member], recipe: Recipe, device: torch.device
) -> list[list[int]]:
    """Return the members' indices in chunks that run as one program each, deepest first.

    A chunk is of one normalisation, activation, optimizer, number of epochs done and split of the
    data; on a CPU it is no larger than its cache.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, member in enumerate(members):
        design = member.design
        key = (
            design.normalisation,
            design.activation,
            design.optimizer,
            member.epochs_done,
            recipe.find_split_seed(member.replicate),
        )
        alike.setdefault(key, []).append(index)
    elements = recipe.batch_size * members[0].design.width
    largest = max(1, CPU_CHUNK_ELEMENTS // elements) if device.type == "cpu" else len(members)
    chunks = []
    for indices in alike.values():
        indices.sort(key=lambda index: -members[index].design.depth)
        count = -(-len(indices) // largest)
        size = -(-len(indices) // count)
        chunks += [indices[start : start + size] for start in range(0, len(indices), size)]
    return chunks


def _train_chunk(
    pack: Pack,
    indices: Sequence[int],
    data: ResidentData,
    device: torch.device,
    notes: list[str],
) -> dict[int, Report]:
    started = time.perf_counter()
    members = [pack.members[index] for index in indices]
    try:
        chunk = _run_epochs(members, pack, data, device)
        test = chunk.evaluate(data.test) if pack.until_epoch == pack.recipe.epochs else {}
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return _split_chunk(pack, indices, data, device, notes)
    share = (time.perf_counter() - started) / len(members)
    test_rows = {name: values.tolist() for name, values in test.items()}
    return {
        index: _report(chunk, position, share, test_rows) for position, index in enumerate(indices)
    }


def _run_epochs(
    members: Sequence[Member], pack: Pack, data: ResidentData, device: torch.device
) -> Chunk:
    chunk = Chunk(members, pack.recipe, data, device)
    while chunk.epochs_done < pack.until_epoch and bool(chunk.finite.any()):
        chunk.train_epoch()
    return chunk


def _split_chunk(
    pack: Pack,
    indices: Sequence[int],
    data: ResidentData,
    device: torch.device,
    notes: list[str],
) -> dict[int, Report]:
    """Go on with the halves of a chunk that did not fit into the device's memory."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    members = [pack.members[index] for index in indices]
    if len(members) == 1:
        member = members[0]
        notes.append(f"trial {member.trial_number} does not fit into the memory of {device}")
        return {
            indices[0]: Report(
                trial_number=member.trial_number,
                replicate=member.replicate,
                outcome=Outcome.INFEASIBLE,
                epochs_done=member.epochs_done,
                curves={},
                seconds=0.0,
                message=f"does not fit into the memory of {device}: {member.design}",
            )
        }
    half = len(indices) // 2
    notes.append(
        f"{len(indices)} members together did not fit into the memory of {device}: "
        f"went on with {half} and {len(indices) - half}"
    )
    first = _train_chunk(pack, indices[:half], data, device, notes)
    return first | _train_chunk(pack, indices[half:], data, device, notes)


def _report(chunk: Chunk, position: int, seconds: float, test: dict[str, list[float]]) -> Report:
    member, diverged = chunk.members[position], chunk.diverged[position]
    report = Report(
        trial_number=member.trial_number,
        replicate=member.replicate,
        outcome=Outcome.TRAINED if diverged is None else Outcome.DIVERGED,
        epochs_done=chunk.epochs_done if diverged is None else diverged,
        curves={name: tuple(values) for name, values in chunk.curves[position].items()},
        seconds=seconds,
        diverged_epoch=diverged,
    )
    if diverged is not None:
        return replace(report, message=f"stopped being finite in epoch {diverged}")
    return replace(
        report,
        state=chunk.save_state(position),
        test={name: values[position] for name, values in test.items()},
    )

"""How a member's or a trial's training ended; the value is the sentence shown to a person."""

import enum


class Outcome(enum.Enum):
    """What became of a member in one rung, and of a trial in the end."""

    TRAINED = "trained up to the rung's last epoch"
    COMPLETED = "trained to the last epoch"
    PRUNED = "stopped by the pruner at a rung"
    DIVERGED = (
        "the loss or the weights stopped being finite; "
        "scored as always guessing the commonest class"
    )
    INFEASIBLE = "does not fit into the device's memory, not even alone"
    FAILED = "training raised an error"
    LOST = "its worker died too many times"

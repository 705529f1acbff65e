"""The sizes of a network, and what they make of it in parameters and arithmetic; needs no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataWidths:
    """What a network's first and last layer take from its data: encoded columns, and classes."""

    features: int
    classes: int


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a network is: trained parameters, and FLOPs to classify one example.

    FLOPs are two for each multiplication of a matrix product, one to multiply and one to add;
    biases, activations and normalisation, which are few beside them, are not counted.
    """

    parameters: int
    flops: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes that K networks share."""

    features: int
    classes: int
    width: int

    def tensor_shapes(self, depth: int) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of one network's tensors, in the order of its flat vector."""
        outer = ((self.width, self.features), (self.width,), (self.classes, self.width))
        block = ((self.width, self.width), (self.width,))
        return (*outer, (self.classes,), *(block * depth))

    def count(self, depth: int) -> int:
        """Return P, one network's number of parameters."""
        outer = self.width * (self.features + 1) + self.classes * (self.width + 1)
        return outer + depth * self.width * (self.width + 1)

    def count_flops(self, depth: int) -> int:
        """Return the FLOPs of one network's forward pass for one example."""
        return 2 * self.width * (self.features + self.classes + depth * self.width)

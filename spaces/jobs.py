"""What a driver submits to its workers, by reference and without loading torch itself."""

from archloss.spaces.pack import Pack, PackReport, PackSizeQuestion


def train(pack: Pack) -> PackReport:
    """Train a pack: `archloss.spaces.training.train_pack`, loaded where it runs."""
    from archloss.spaces.training import train_pack

    return train_pack(pack)


def measure(question: PackSizeQuestion) -> int:
    """Measure a pack size: `archloss.spaces.packsize.measure_pack_size`, loaded where it runs."""
    from archloss.spaces.packsize import measure_pack_size

    return measure_pack_size(question)

"""Where studies are kept and run: as given, from the environment, or the default."""

import os
from pathlib import Path

DEFAULT_FOLDER = "archloss-studies"


def resolve_folder(folder: Path | str | None) -> Path:
    """Return where studies are kept: as given, from ARCHLOSS_FOLDER, or the default."""
    return Path(folder or os.environ.get("ARCHLOSS_FOLDER") or DEFAULT_FOLDER)


def resolve_storage(storage: str | None, folder: Path) -> str:
    """Return the database's URL: as given, from ARCHLOSS_STORAGE, or a file in the folder."""
    return storage or os.environ.get("ARCHLOSS_STORAGE") or f"sqlite:///{folder / 'studies.db'}"


def resolve_ray_address(address: str | None) -> str | None:
    """Return the Ray cluster to join: as given, from ARCHLOSS_RAY_ADDRESS, or none."""
    return address or os.environ.get("ARCHLOSS_RAY_ADDRESS") or None

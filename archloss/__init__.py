"""archloss searches neural architectures and their loss jointly.

The public names load on first use, so that `import archloss` costs nothing and a worker that
only trains never loads what a driver needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archloss.search.launch import Study, launch
    from archloss.search.spec import Spec
    from archloss.spaces.errors import ArchlossError

__version__ = "0.1.0"
__all__ = ["ArchlossError", "Spec", "Study", "__version__", "launch"]

_HOMES = {
    "ArchlossError": "archloss.spaces.errors",
    "Spec": "archloss.search.spec",
    "Study": "archloss.search.launch",
    "launch": "archloss.search.launch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archloss' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

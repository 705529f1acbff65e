"""One BLAS thread for the analysis: its products are small.

On a busy machine threads wait for each other longer than such products take.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

_P = ParamSpec("_P")
_R = TypeVar("_R")


def on_one_thread(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return the function with BLAS held to one thread while it runs."""

    @wraps(work)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with threadpool_limits(limits=1, user_api="blas"):
            return work(*args, **kwargs)

    return run

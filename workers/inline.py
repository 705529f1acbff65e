"""The executor that runs everything in the caller's own thread, where a breakpoint works."""

from collections.abc import Callable
from concurrent.futures import Future

from archloss.workers.executor import A, R


class InlineExecutor:
    """One slot: `submit` returns once the function has run."""

    slots = 1

    def __init__(self) -> None:
        self._closed = False

    def submit(self, function: Callable[[A], R], argument: A) -> Future[R]:
        """Run the function here and now. A KeyboardInterrupt is the caller's, not the Future's."""
        if self._closed:
            raise RuntimeError("this executor is closed: nothing can be submitted any more")
        future: Future[R] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(argument))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self, *, now: bool = False) -> None:
        """Refuse whatever comes next; nothing can be running."""
        self._closed = True

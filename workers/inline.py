"""The executor that runs everything in the caller's own thread, where a breakpoint works."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from archloss.workers.boxes import box_values, fetch_all, run_holding
from archloss.workers.executor import A, Held, HeldLostError, Holding, R, check_kind


class InlineExecutor:
    """One slot: `submit` returns once the function has run."""

    slots = 1
    kinds = {"inline": 1}  # noqa: RUF012  it never changes

    def __init__(self) -> None:
        self._closed = False

    def submit(
        self, function: Callable[[A], R], argument: A, *, kind: str | None = None
    ) -> Future[R]:
        """Run the function here and now. A KeyboardInterrupt is the caller's, not the Future's."""
        check_kind(kind, self.kinds)
        if self._closed:
            raise RuntimeError("this executor is closed: nothing can be submitted any more")
        future: Future[R] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(argument))
        except Exception as error:
            future.set_exception(error)
        return future

    def submit_holding(
        self,
        function: Holding[A, R],
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Run the function here and now, on the values themselves."""
        try:
            values = fetch_all(held)
        except HeldLostError as error:
            lost: Future[tuple[R, tuple[Held | None, ...]]] = Future()
            lost.set_exception(error)
            return lost
        return box_values(self.submit(run_holding, (function, argument, values), kind=kind), count)

    def close(self, *, now: bool = False) -> None:
        """Refuse whatever comes next; nothing can be running."""
        self._closed = True

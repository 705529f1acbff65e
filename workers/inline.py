"""The executor that runs everything in the caller's own thread, where a breakpoint works."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from archloss.workers.executor import A, Box, Held, Holding, R
from archloss.workers.holding import LOCAL_KIND, call_holding, check_kind

T = TypeVar("T")


class InlineExecutor:
    """One slot: `submit` returns once the function has run."""

    slots = 1

    def __init__(self) -> None:
        self.kinds = {LOCAL_KIND: self.slots}
        self._closed = False

    def submit(
        self, function: Callable[[A], R], argument: A, *, kind: str | None = None
    ) -> Future[R]:
        """Run the function here and now. A KeyboardInterrupt is the caller's, not the Future's."""
        return self._run(lambda: function(argument), kind)

    def submit_holding(
        self,
        function: "Holding[A, R]",
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Run the function here and now, on the very values that earlier calls gave."""

        def call() -> tuple[R, tuple[Held | None, ...]]:
            values = [None if one is None else one.fetch() for one in held]
            result, made = call_holding(function, argument, values, count=count)
            return result, tuple(None if value is None else Box(value) for value in made)

        return self._run(call, kind)

    def close(self, *, now: bool = False) -> None:
        """Refuse whatever comes next; nothing can be running."""
        self._closed = True

    def _run(self, call: Callable[[], T], kind: str | None) -> Future[T]:
        check_kind(kind, self.kinds)
        if self._closed:
            raise RuntimeError("this executor is closed: nothing can be submitted any more")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        return future

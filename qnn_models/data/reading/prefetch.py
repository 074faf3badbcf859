"""Work ahead in threads, so that reading the next chunks and working on this one overlap."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_S = TypeVar("_S")
_T = TypeVar("_T")
_END = object()


def prefetched(items: Iterator[_T], *, ahead: int = 1) -> Generator[_T, None, None]:
    """Yield the items of an iterator that a thread runs, at most `ahead` + 1 items before they are asked for.

    An error of the iterator is raised here, in its place. Closing the generator stops the thread.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items:
                if not put((item,)):
                    return
            put(_END)
        except BaseException as error:  # raised again by the consumer
            put(error)
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (got := ready.get()) is not _END:
            if isinstance(got, BaseException):
                raise got
            assert isinstance(got, tuple)
            yield got[0]
    finally:
        stopped.set()
        thread.join()


def mapped(function: Callable[[_S], _T], items: Iterable[_S], *, threads: int) -> Generator[_T, None, None]:
    """Yield `function(item)` for each item, in order, as `map` does, with up to `threads` of them computed at a time.

    Items are drawn in the caller's thread; at most `threads` + 1 results exist at a time. An error is raised in its place.
    """
    waiting: deque[Future[_T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

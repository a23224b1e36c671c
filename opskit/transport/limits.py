"""A limit for a wait that only its line's end can end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ended(close: Callable[[], None], seconds: float) -> Iterator[threading.Event]:
    """Close a line where what is done here is not done within the limit: then the event is set."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        close()

    watch = threading.Timer(seconds, give_up)
    watch.daemon = True
    watch.start()
    try:
        yield late
    finally:
        watch.cancel()

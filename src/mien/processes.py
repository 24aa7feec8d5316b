"""Processes of our own beside the caller's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def apart_from_script() -> Iterator[None]:
    """Processes that are spawned in here do not run the caller's script.

    `multiprocessing` would have each import it first, and a script without ``if __name__ == "__main__"`` would then start
    everything again. Ours need nothing of it.
    """
    main = vars(sys.modules["__main__"])
    before = dict(main)
    main.update(__file__=None, __spec__=None)
    try:
        yield
    finally:
        del main["__file__"], main["__spec__"]
        main |= {name: before[name] for name in ("__file__", "__spec__") if name in before}

"""The C library's allocator, for networks on a CPU.

glibc gives freed memory back to the system as soon as little of it lies at the end of the heap (128 KiB, later twice the
largest block), and asks for it again one product later: with the base encoders up to 100,000 page faults in a forward pass,
5 to 10 % of its time (docs/speed.md).
"""

from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT = 512 << 20
"""Bytes that may lie unused at the end of the heap: more than a block of the largest encoder frees and takes again."""
OWN_MAPPING = 32 << 20
"""Blocks from this size on go straight back; the highest value that glibc reaches by itself."""


def keep_freed_memory() -> bool:
    """Lets this process reuse what it has freed; False where the allocator is another one, or the user has tuned it."""
    if any(name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, OWN_MAPPING) and mallopt(M_TRIM_THRESHOLD, KEPT))

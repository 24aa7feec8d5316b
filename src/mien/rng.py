"""Randomness as a pure function of keys such as (seed, epoch, index): nothing random needs to be saved or restored."""

from __future__ import annotations

import zlib

import numpy as np


def _words(key: int | str) -> int:
    return zlib.crc32(key.encode()) if isinstance(key, str) else int(key)


def mix(*keys: int | str) -> int:
    """A 63-bit seed from the keys (strings name the purpose, so that two uses of one seed do not coincide)."""
    state = np.random.SeedSequence([_words(k) for k in keys]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(*keys: int | str) -> np.random.Generator:
    """A NumPy generator that depends on the keys alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([_words(k) for k in keys])))

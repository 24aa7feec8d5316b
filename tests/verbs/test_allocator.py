import os
import platform
import subprocess
import sys

import pytest

from mien.verbs.allocator import keep_freed_memory

FAULTS = """
import resource
import torch
from mien.verbs.allocator import keep_freed_memory
print(keep_freed_memory())
def work():
    a = torch.ones(4 << 20)
    b = torch.ones(4 << 20)
for _ in range(10):  # until the holes fit
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**variables: str) -> tuple[str, int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    out = subprocess.run(
        [sys.executable, "-c", FAULTS], env=clean | variables, capture_output=True, text=True, check=True
    )
    set_, number = out.stdout.split()
    return set_, int(number)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt and its defaults are glibc's")
def test_freed_memory_is_reused_without_page_faults():
    set_, number = faults()
    assert set_ == "True"
    assert number < 1000  # ten times 16 MiB in pages of 4 KiB are 40,960


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()
    assert faults(MALLOC_TRIM_THRESHOLD_="131072")[1] > 10_000

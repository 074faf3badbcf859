"""Freed blocks stay with the process until they are given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, torch
from qnn_models.runtime.allocator import keep_freed_memory, release_freed_memory

def faults(calls):
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        blocks = [torch.zeros(2**20) for _ in range(8)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

assert keep_freed_memory()
faults(2)
kept = faults(10)
release_freed_memory()
print(kept, faults(1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_is_reused_and_can_be_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=120)
    kept, after_release = map(int, done.stdout.split())
    pages = 8 * 2**22 // 4096
    assert kept < pages / 4 < after_release

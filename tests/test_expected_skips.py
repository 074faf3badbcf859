"""`--expected-skips` of tests/conftest.py: a skip that nobody expects is a failure, wherever it comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "test_marked.py": """
        import pytest
        @pytest.mark.skipif(True, reason="needs a CUDA device")
        def test_marked(): pass
    """,
    "test_inside.py": """
        import pytest
        def test_inside(): pytest.importorskip("no_such_module", reason="no_such_module is missing")
    """,
    "test_module.py": """
        import pytest
        pytest.importorskip("no_other_module", reason="no_other_module is missing")
        def test_never_seen(): pass
    """,
    "test_fixture.py": """
        import pytest
        @pytest.fixture
        def tool(): pytest.skip("needs a tool")
        def test_fixture(tool): pass
    """,
    "test_xfail.py": """
        import pytest
        @pytest.mark.xfail(strict=True, reason="known")
        def test_xfail(): assert False
    """,
    "test_passes.py": "def test_passes(): pass",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        lines = text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        (tmp_path / name).write_text("\n".join(line[indent:] for line in lines) + "\n")
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    return tmp_path


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", *options],
        cwd=project, capture_output=True, text=True, check=False, env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("files", "options", "code", "said"),
    [
        ((), (), 0, "4 skipped"),
        ((), ("--expected-skips=cuda, no_such, no_other,TOOL",), 0, "4 skipped"),
        (("marked", "xfail"), ("--expected-skips=CUDA",), 0, "1 skipped, 1 xfailed"),
        (("marked",), ("--expected-skips=",), 1, "but for no reason, however: Skipped: needs a CUDA device"),
        (("marked",), ("--expected-skips=,",), 1, "needs a CUDA device"),
        (("inside", "passes"), ("--expected-skips=CUDA",), 1, "1 failed, 1 passed"),
        (("fixture",), ("--expected-skips=CUDA",), 1, "needs a tool"),
        (("module", "passes"), ("--expected-skips=CUDA",), 2, "no_other_module is missing"),
        (("marked", "inside", "passes"), ("--expected-skips=CUDA", "-n", "1"), 1, "1 failed, 1 passed, 1 skipped"),
        (("module", "passes"), ("--expected-skips=CUDA", "-n", "1"), 1, "no_other_module is missing"),
        (("xfail",), ("--expected-skips=",), 0, "1 xfailed"),
    ],
)  # fmt: skip
def test_skips(project: Path, files: tuple[str, ...], options: tuple[str, ...], code: int, said: str) -> None:
    done = run(project, *options, *(f"test_{name}.py" for name in files))
    assert said in done.stdout, done.stdout + done.stderr
    assert done.returncode == code

"""Modules of ours as commands of their own, which import our packages whatever the current folder holds."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["module_command"]

# -P leaves the current folder out of the path: a user's own `studies/` there would take the place of ours. The path of this very
# process goes with the command, so that both import the same packages, installed or not.
_CODE = """\
import runpy, sys
sys.path[:] = {path!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that does what ``python -m MODULE ARGUMENTS`` does, for `subprocess`.

    Args:
        module: a module of ours.
        arguments: what it finds in ``sys.argv[1:]``.
    """
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return [sys.executable, "-P", "-c", _CODE.format(path=path, module=module), *arguments]

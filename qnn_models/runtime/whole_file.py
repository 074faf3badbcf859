"""Files that appear whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["appearing"]


@contextlib.contextmanager
def appearing(path: Path, *, suffix: str = ".tmp") -> Iterator[Path]:
    """A file to write in the place of `path`, which it takes at the end of the block: readers see the old file or the new one.

    Args:
        path: the file; its folder is made.
        suffix: of the temporary file beside it, where the writer goes by it.

    Raises:
        OSError: it cannot be written, as on a full disk; names the file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # The system does not always say of which file, and nobody knows the temporary one.
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror or os.strerror(error.errno), str(path)) from error
        raise
    finally:
        # On a full disk what was begun would take the place that somebody makes.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

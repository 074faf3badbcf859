"""Names out of files that become parts of paths: one rule for all of them."""

from __future__ import annotations

import re

__all__ = ["MAX_NAME_LENGTH", "check_name"]

MAX_NAME_LENGTH = 100
"""File systems take 255 bytes; what is appended to a name (a hash, a seed, a suffix) needs room too."""

# A name begins with neither a dot, as hidden files and our own unfinished ones do, nor a dash, as options do.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_name(name: object, *, what: str) -> str:
    """Check that a name can be a part of a path, and stays in the folder that it is put into.

    A plain name is 1 to `MAX_NAME_LENGTH` characters out of ASCII letters, digits, `-`, `_` and `.`, and begins with a
    letter, a digit or `_`; so it is neither `..`, nor absolute, nor hidden, and holds no separator.

    Args:
        name: what a file says.
        what: what it names, for the error: ``"the name of a data set"``.

    Returns:
        The name.

    Raises:
        ValueError: it is not plain.
    """
    if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or not _PLAIN.fullmatch(name):
        shown = repr(name)
        shown = shown if len(shown) <= MAX_NAME_LENGTH else f"{shown[:40]}... ({len(shown) - 2} characters)"
        raise ValueError(
            f"{what} becomes part of a path, so it must be 1 to {MAX_NAME_LENGTH} ASCII letters, digits, '-', '_' and '.', "
            f"and begin with a letter, digit or '_', however: {shown}; rename it"
        )
    return name

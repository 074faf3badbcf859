"""Seeds derived by hash: every purpose of a run gets its own, and adding one changes none of the others."""

from __future__ import annotations

import hashlib

__all__ = ["derive", "derive_optional"]


def derive(root: int, *purpose: str | int) -> int:
    """The seed of one purpose: the first 63 bits of SHA-256 over the root seed and the purpose.

    Seeds of different purposes behave as independent draws, so a split, an initialisation, the dropout masks and the
    order of the batches can be varied one by one: ``derive(0, "split")`` stays the same whatever model is trained on it.

    Args:
        root: the seed a user names.
        purpose: words and numbers that say what the seed is for; order matters, and ``1`` differs from ``"1"``.

    Returns:
        An integer in [0, 2^63).

    Raises:
        ValueError: no purpose is given, as the root itself is not a seed of anything.
    """
    if not purpose:
        raise ValueError("A seed is derived for a purpose, however: none is given; name one, as derive(0, 'split').")
    text = repr((int(root), *(part if isinstance(part, str) else int(part) for part in purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_optional(root: int | None, *purpose: str | int) -> int | None:
    """`derive`, or None where no root is given: what is drawn then comes from torch's global generator."""
    return None if root is None else derive(root, *purpose)

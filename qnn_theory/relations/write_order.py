"""``python -m qnn_theory.relations.write_order``: compute the order of the registered formats and write it beside the code."""

from __future__ import annotations

import os
from pathlib import Path

from qnn_theory.registry import formats, is_registered
from qnn_theory.relations import registered_order
from qnn_theory.relations.registered_order.stored import FILE, entries_of, file_text
from qnn_theory.relations.relation import decide_anew


def order_text() -> str:
    """The file's text, every pair computed anew."""
    own = [format for format in formats() if is_registered(format)]
    return file_text(entries_of([decide_anew(a, b) for a in own for b in own if a is not b]))


def main() -> None:
    """Write the file, whole or not at all."""
    place = Path(str(registered_order.__path__[0])) / FILE
    draft = place.with_suffix(".tmp")
    draft.write_text(order_text(), encoding="utf-8")
    os.replace(draft, place)
    print(f"{place}: {place.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""Pictures are saved whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from figures.shared.style import save


def test_nothing_is_left_behind_when_saving_fails(tmp_path: Path) -> None:
    figure = Figure()

    def broken(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    figure.savefig = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk full"):
        save(figure, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"\.pdf or \.png, however: x\.jpg"):
        save(figure, tmp_path / "x.jpg")

"""Results and published numbers: what is not there is said."""

from __future__ import annotations

import pytest

from figures.shared.results import published


def test_published_source_must_exist() -> None:
    with pytest.raises(KeyError, match="table9"):
        published("table9")

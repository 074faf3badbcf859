"""Frame libraries that tests run with: those that are installed, of the ones that people bring their data in."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import polars as pl


class Arrow:
    """A frame of a library that we do not know, which speaks Arrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return self._frame.height


def _pandas(frame: pl.DataFrame) -> Any:
    import pandas as pd

    return pd.DataFrame(frame.to_dict(as_series=False))


LIBRARIES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "pyarrow": lambda frame: frame.to_arrow(),
    "arrow capsule": Arrow,
}
if find_spec("pandas"):
    LIBRARIES["pandas"] = _pandas

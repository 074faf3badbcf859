"""Which split each row belongs to: at random, by the order of a column, by groups that stay together, or as a column says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from qnn_models.data.reading.readers import Chunk
from qnn_models.data.schema import SPLITS, Schema
from qnn_models.runtime.seeds import derive

_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "eval": "valid",
    "testing": "test",
}
"""What a column may call the splits."""


def split_sizes(rows: int, ratios: Sequence[int]) -> list[int]:
    """Exact sizes of a split of `rows` by `ratios`: floors, the rest to the largest fractions (the later on ties)."""
    total = sum(ratios)
    sizes = [rows * ratio // total for ratio in ratios]
    by_fraction = sorted(range(len(ratios)), key=lambda part: (rows * ratios[part] % total, part), reverse=True)
    for part in by_fraction[: rows - sum(sizes)]:
        sizes[part] += 1
    return sizes


def deciding_texts(chunk: Chunk, schema: Schema) -> pl.Series:
    """The texts of the column that decides the splits; each must be there.

    Raises:
        ValueError: one is empty, or names no split, with file and line.
    """
    column = chunk.columns[schema.split_by]
    row = column.first_row(column.texts.is_null() | (column.texts == "").fill_null(False))
    if row is not None:
        raise ValueError(
            f"{chunk.at(row)}: each row has a place in the order that splits it, a group or a split, however: "
            f"{schema.split_by} is empty; mend or remove it"
        )
    if schema.split_as == "part":
        row = column.first_row(~column.texts.str.to_lowercase().is_in(list(_NAMES)))
        if row is not None:
            raise ValueError(
                f"{chunk.at(row)}: a column that names the splits holds {', '.join(SPLITS)}, however: "
                f"{schema.split_by}={column.rows()[row]!r}; mend it"
            )
    return column.rows()


def assigned(
    rows: int, parts: Sequence[int], schema: Schema, *, seed: int, texts: pl.Series | None = None
) -> np.ndarray:
    """The number of its split for each row of a file, uint8, shape (rows,).

    Args:
        rows: how many.
        parts: the splits that these rows are divided among, in the order of `SPLITS`, such as (0, 1) for train and valid.
        schema: its `ratios`, `split_by` and `split_as`.
        seed: of what is left to chance.
        texts: what the column `split_by` holds, where the schema names one.

    Raises:
        ValueError: the column holds numbers and other texts.
    """
    ratios = [schema.ratios[part] for part in parts]
    if texts is not None and schema.split_as == "group":
        return _by_group(texts, ratios, parts, schema, seed)
    if texts is not None and schema.split_as == "part":
        named = texts.str.to_lowercase().replace_strict(_NAMES).replace_strict({s: n for n, s in enumerate(SPLITS)})
        found = named.to_numpy().astype(np.uint8)
        if 1 not in found:  # no rows are named for validation, so some of the training rows are taken
            own = np.flatnonzero(found == 0)
            ratios = list(schema.ratios[:2])
            found[own] = _at_random(
                np.repeat(np.arange(2, dtype=np.uint8), split_sizes(len(own), ratios)), schema, seed
            )
        return found
    assignment = np.repeat(np.array(parts, dtype=np.uint8), split_sizes(rows, ratios))
    if texts is None:
        return _at_random(assignment, schema, seed)
    by_order = np.empty_like(assignment)
    by_order[_ranked(texts, schema)] = assignment
    return by_order


def _at_random(assignment: np.ndarray, schema: Schema, seed: int) -> np.ndarray:
    np.random.default_rng(derive(seed, "split", schema.name)).shuffle(assignment)
    return assignment


def _by_group(texts: pl.Series, ratios: Sequence[int], parts: Sequence[int], schema: Schema, seed: int) -> np.ndarray:
    """Whole groups, in an order of chance, go to the split that the middle of their rows falls into."""
    groups = texts.to_frame("group").group_by("group").len("rows").sort("group")
    order = np.random.default_rng(derive(seed, "split", schema.name)).permutation(groups.height)
    rows = groups["rows"].to_numpy()[order]
    middle = np.cumsum(rows) - rows / 2
    bounds = np.cumsum(split_sizes(len(texts), ratios))
    part = np.array(parts, dtype=np.uint8)[np.minimum(np.searchsorted(bounds, middle, side="right"), len(parts) - 1)]
    of_group = groups.select("group")[order].with_columns(pl.Series("part", part))
    return texts.to_frame("group").join(of_group, on="group", how="left", maintain_order="left")["part"].to_numpy()


def _ranked(texts: pl.Series, schema: Schema) -> np.ndarray:
    """Row numbers in the order of the texts: by value where all are numbers, else as texts."""
    numbers = texts.cast(pl.Float64, strict=False)
    numeric = numbers.is_finite().fill_null(False)
    if numeric.any() and not numeric.all():
        one, other = texts.filter(numeric)[0], texts.filter(~numeric)[0]
        raise ValueError(
            f"the column that {schema.name} is split by holds numbers or texts, however: {schema.split_by} holds {one!r} and "
            f"{other!r}; write all of one kind"
        )
    order = (numbers if numeric.all() else texts).to_frame("key").with_row_index("row").sort("key", maintain_order=True)
    return order["row"].to_numpy()

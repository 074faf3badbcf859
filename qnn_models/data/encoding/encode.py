"""Encode a data set into a folder: assign the rows, count the tokens of the training rows, write the ids; all or nothing."""

from __future__ import annotations

import difflib
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from qnn_models.data.encoding.checked import CheckedFile
from qnn_models.data.encoding.encoded import ContentHash, EncodedDataset
from qnn_models.data.encoding.encoder import Encoder, VocabularyCounter
from qnn_models.data.encoding.manifest import VOCABULARY, Manifest
from qnn_models.data.encoding.spill import Spill
from qnn_models.data.encoding.splits import assigned, deciding_texts
from qnn_models.data.encoding.store import open_dataset, replacing
from qnn_models.data.layout import LABEL_COLUMN, FieldLayout
from qnn_models.data.reading.columns import Column
from qnn_models.data.reading.formats import READERS
from qnn_models.data.reading.numbers import numbers_of
from qnn_models.data.reading.prefetch import prefetched
from qnn_models.data.reading.readers import Chunk
from qnn_models.data.reading.rows import check_numbers, field_columns
from qnn_models.data.reading.source_files import all_files, file_states, find_source, fingerprint, role_files
from qnn_models.data.schema import MAX_BUCKETS, SPLITS, Label, Schema, Source

_LOG = logging.getLogger("qnn_models.data")

ROW_GROUP_ROWS = 131_072


def encode_dataset(
    schema: Schema,
    *,
    folder: Path,
    source_folder: Path,
    split_seed: int = 0,
    progress: bool = True,
) -> EncodedDataset:
    """Encode the files in `source_folder` and store the result as `folder`, which appears whole or not at all.

    The text is read once; its parsed form, about half its size, stays in `folder` until the end. Two passes over that
    count the tokens of the training rows and write the ids. Memory is bounded by a few chunks, one byte per row and the
    distinct tokens.

    Args:
        schema: what to read and how.
        folder: where the data set goes; one that is there is replaced, at the last moment.
        source_folder: where the files are; the schema's first source whose files are all there is taken.
        split_seed: seed of the split of a table, or of the validation rows held out where the files have none; it must be 0
            where the schema splits by a column.
        progress: show a bar.

    Raises:
        ValueError: files or columns missing, a corrupt row, a label that is not 0 or 1, with file and line; a split without
            rows, or with one label alone.
    """
    if schema.split_by and schema.split_as == "order" and split_seed:
        raise ValueError(
            f"a split by a column is always the same, however: {schema.name} is split by {schema.split_by!r} and "
            f"split_seed={split_seed}; leave the split's seed out, or take a data set that is split at random"
        )
    source = find_source(schema, source_folder)
    check_source(schema, source)
    before = file_states(source, source_folder)
    total = 3 * sum((source_folder / name).stat().st_size for name in all_files(source, source_folder))
    with replacing(folder) as new:
        with tqdm(total=total, unit="B", unit_scale=True, disable=None if progress else True, desc=schema.name) as bar:
            spill = Spill(new / "spill")
            spill.folder.mkdir()
            rows = _Rows(schema, source, source_folder, spill=spill, split_seed=split_seed, bar=bar)
            rows.read()
            rows.assign()
            encoder = rows.count()
            content_hash = rows.write(encoder, new)
            shutil.rmtree(spill.folder)
        encoder.save(new / VOCABULARY)
        made_of = fingerprint(source, source_folder)
        if file_states(source, source_folder) != before:
            raise ValueError(
                f"the files of {schema.name} must stay as they are while they are read, however: one in {source_folder} "
                "changed meanwhile; prepare it again when they are complete"
            )
        manifest = Manifest(
            schema=schema.fingerprint(),
            split_seed=split_seed,
            rows=rows.sizes,
            layout=encoder.layout,
            content_hash=content_hash,
            source=source_folder.resolve(),
            fingerprint=made_of,
            files={
                VOCABULARY: CheckedFile.of(new / VOCABULARY),
                **{name: CheckedFile.of(new / name, parquet=True) for name in (f"{split}.parquet" for split in SPLITS)},
            },
        )
        manifest.write(new)
    return open_dataset(schema, folder=folder, split_seed=split_seed)


def check_source(schema: Schema, source: Source) -> None:
    """Check what a schema says of its files that only the readers know.

    Raises:
        ValueError: there is no such format, or it takes another number of further files.
    """
    if source.format not in READERS:
        near = difflib.get_close_matches(source.format, READERS, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(READERS)}"
        raise ValueError(f"{schema.name}: a format must be known, however: format={source.format!r}; {remedy}")
    wanted = 2 if source.format.startswith(("ml-", "nycflights")) else 0
    if len(source.extra) != wanted:
        raise ValueError(
            f"{schema.name}: {source.format} takes {wanted} files beside the table, however: extra={source.extra}"
        )


class _Rows:
    """The rows of a source, the split each belongs to, and the passes over them."""

    def __init__(
        self, schema: Schema, source: Source, folder: Path, *, spill: Spill, split_seed: int, bar: tqdm
    ) -> None:
        self._schema = schema
        self._source = source
        self._label = source.label or schema.label
        self._folder = folder
        self._spill = spill
        self._seed = split_seed
        self._bar = bar
        self._parts = role_files(source, folder)
        self._assignment: dict[str, np.ndarray] = {}
        self._deciding: dict[str, list[pl.Series]] = {role: [] for role in self._parts}
        self.sizes = dict.fromkeys(SPLITS, 0)

    def read(self) -> None:
        """Read the text, check it, and keep the rows that stay."""
        self._bar.set_postfix_str("text")
        columns = [(self._label.column, *self._label.aliases), *field_columns(self._schema.fields)]
        split_by = self._schema.split_by
        if split_by and split_by not in [wanted for wanted, *_ in columns]:
            columns.append((split_by,))
        read = READERS[self._source.format]
        for role, name in ((role, name) for role, names in self._parts.items() for name in names):
            with closing(prefetched(read(self._source, self._folder, name, columns))) as chunks:
                for chunk in chunks:
                    check_numbers(chunk, self._schema)
                    labels, keep = _labels(chunk, self._label)
                    kept = {field.name: chunk.columns[field.name] for field in self._schema.fields}
                    if split_by:
                        self._deciding[role].append(deciding_texts(chunk, self._schema).filter(pl.Series(keep)))
                    if not keep.all():
                        kept, labels = {name: column.kept(keep) for name, column in kept.items()}, labels[keep]
                    self._spill.write(kept, labels, role=role, size=chunk.size)
                    self._bar.update(chunk.size)

    def assign(self) -> None:
        """Decide the split of each row."""
        kept = dict.fromkeys(self._parts, 0)
        for chunk in self._spill.chunks:
            kept[chunk.role] += chunk.rows
        for role, rows in kept.items():
            if role == "table":
                parts: tuple[int, ...] = (0, 1, 2)
            elif role == "train" and "valid" not in self._parts:
                parts = (0, 1)
            else:
                self._assignment[role] = np.full(rows, SPLITS.index(role), dtype=np.uint8)
                continue
            texts = pl.concat(self._deciding.pop(role)) if self._schema.split_by else None
            self._assignment[role] = assigned(rows, parts, self._schema, seed=self._seed, texts=texts)
        for assignment in self._assignment.values():
            for part, split in enumerate(SPLITS):
                # Not by `bincount`, which would copy the assignment at eight bytes a row.
                self.sizes[split] += int(np.count_nonzero(assignment == part))
        empty = [split for split, rows in self.sizes.items() if not rows]
        if empty:
            found = ", ".join(f"{rows} of {self._source.parts[role]}" for role, rows in kept.items())
            dropped = f", where rows with label in {self._label.drop} are left out" if self._label.drop else ""
            raise ValueError(
                f"every split needs rows, however: {self._schema.name} has none for {', '.join(empty)}: its rows are {found}"
                f"{dropped}; give more rows"
            )

    def count(self) -> Encoder:
        """Count the tokens of the training rows, and the labels of all splits.

        Raises:
            ValueError: a split has one label alone: nothing is learned of it, and its AUC is not defined.
        """
        counter = VocabularyCounter(self._schema)
        positive = dict.fromkeys(SPLITS, 0)
        for columns, labels, parts in self._again("tokens"):
            counter.add(columns, parts == SPLITS.index("train"))
            for part, split in enumerate(SPLITS):
                positive[split] += int(np.count_nonzero(labels[parts == part]))
        for split, rows in self.sizes.items():
            if positive[split] in (0, rows):
                raise ValueError(
                    f"every split needs rows of both labels, however: the {rows} {split} rows of {self._schema.name} all have "
                    f"label {int(positive[split] > 0)}; give more rows, check the label's rule, or take another --split-seed"
                )
        encoder = counter.encoder()
        _warn_of_buckets(encoder)
        return encoder

    def write(self, encoder: Encoder, folder: Path) -> str:
        """Encode all rows into one Parquet file a split; returns the content hash."""
        digest = ContentHash(encoder.layout)
        with ExitStack() as stack:
            writers = {
                split: stack.enter_context(_SplitWriter(folder / f"{split}.parquet", encoder.layout))
                for split in SPLITS
            }
            encoded = (
                (encoder.encode_columns(columns), labels, parts) for columns, labels, parts in self._again("ids")
            )
            for ids, labels, parts in stack.enter_context(closing(prefetched(encoded))):
                for part, split in enumerate(SPLITS):
                    rows = np.flatnonzero(parts == part)
                    if len(rows):
                        some = [column[rows] for column in ids]
                        digest.update(split, some, labels[rows])
                        writers[split].add([*some, labels[rows]])
        return digest.hexdigest(encoder)

    def _again(self, what: str) -> Iterator[tuple[dict[str, Column], np.ndarray, np.ndarray]]:
        """The kept rows chunk by chunk: columns, labels, and the split of each."""
        self._bar.set_postfix_str(what)
        start = dict.fromkeys(self._parts, 0)
        with closing(prefetched(iter(self._spill))) as chunks:
            for chunk, columns, labels in chunks:
                begin = start[chunk.role]
                start[chunk.role] = begin + chunk.rows
                yield columns, labels, self._assignment[chunk.role][begin : begin + chunk.rows]
                self._bar.update(chunk.size)


class _SplitWriter:
    """Writes rows of a split in row groups of one size, whatever the chunks they come in."""

    def __init__(self, path: Path, layout: FieldLayout) -> None:
        types = [(name, pa.int32()) for name in layout.column_names]
        self._schema = pa.schema([*types, (LABEL_COLUMN, pa.uint8())])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting = self._schema.empty_table()

    def __enter__(self) -> _SplitWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._waiting.num_rows:
            self._writer.write_table(self._waiting)
        self._writer.close()

    def add(self, columns: Sequence[np.ndarray]) -> None:
        """Append rows, one array for each column of the file."""
        rows = pa.table([pa.array(column) for column in columns], schema=self._schema)
        self._waiting = pa.concat_tables([self._waiting, rows])
        whole = self._waiting.num_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS
        if whole:
            self._writer.write_table(self._waiting.slice(0, whole), row_group_size=ROW_GROUP_ROWS)
            self._waiting = self._waiting.slice(whole)


def _warn_of_buckets(encoder: Encoder) -> None:
    """Warn of numeric fields that say nothing, or that are as good as ids."""
    for field, tokens in zip(encoder.schema.fields, encoder.vocabularies, strict=True):
        if field.kind == "numeric" and not 2 <= len(tokens) <= MAX_BUCKETS:
            _LOG.warning(
                "numeric field %s has %d buckets (bucket = %r, min_count = %d), where 2 to %d are of use; take bucket = "
                "'quantile', or leave the field out",
                field.name,
                len(tokens),
                field.bucket,
                field.min_count,
                MAX_BUCKETS,
            )


def _labels(chunk: Chunk, rule: Label) -> tuple[np.ndarray, np.ndarray]:
    """Labels of a chunk as 0 or 1 (uint8), and which rows stay (booleans)."""
    column = chunk.columns[rule.column]
    empty = column.texts.is_null() | (column.texts == "").fill_null(False)
    value = numbers_of(column.texts)
    if rule.positive:  # a missing text stays missing
        value = column.texts.is_in(list(rule.positive)).cast(pl.Float64).set(empty, None)
    dropped = value.is_in(rule.drop).fill_null(False)
    if rule.drop_missing:
        dropped |= empty
    bad = (value.is_null() | value.is_nan()) & ~dropped
    if rule.positive_above is None:
        bad |= (value != 0) & (value != 1) & ~dropped
    row = column.first_row(bad)
    if row is not None:
        wanted = "0 or 1" if rule.positive_above is None else "a number"
        raise ValueError(
            f"{chunk.at(row)}: a label must be {wanted}, however: {rule.column}={column.rows()[row]!r}; mend or drop it"
        )
    positive = value > rule.positive_above if rule.positive_above is not None else value == 1
    labels = positive.fill_null(False).to_numpy().astype(np.uint8)[column.codes]
    return labels, ~dropped.to_numpy()[column.codes]

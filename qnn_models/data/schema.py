"""What a data set is: its label rule, its fields, its split and the files it is read from."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal

from qnn_models.data.layout import LABEL_COLUMN, column_names
from qnn_models.runtime.names import check_name

FieldKind = Literal["categorical", "numeric", "sequence"]
Bucket = Literal["quantile", "log2square", "integer", "edges"]
Missing = Literal["oov", "own"]
SPLITS = ("train", "valid", "test")
BUCKETS = 64
"""Buckets of a numeric field by quantiles, unless it says otherwise."""
MAX_BUCKETS = 10_000
"""Most buckets of a numeric field by quantiles."""
MAX_LENGTH = 10_000
"""Most tokens of a sequence; each is a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input field of a data set.

    Attributes:
        name: column the field is read from.
        aliases: other names of the column, each tried where the one before is absent.
        kind: `categorical` takes each text as a token; `numeric` puts a number into an integer bucket first;
            `sequence` splits one text into several tokens.
        max_length: most tokens kept of a sequence, the first ones; 1 for the other kinds.
        separator: what separates the tokens of a sequence; of several characters each one does.
        prefix: keep only so many first characters of a categorical text; 0 keeps all.
        min_count: a token seen fewer times than this in the training rows is out of vocabulary.
        bucket: `quantile` has about as many training rows in each bucket, equal values in one; `log2square` is floor(ln(x)²)
            for x > 2, else x without its fraction, for counts (the rule of Criteo's winners, which the paper's data sets have);
            `integer` is x without its fraction; `edges` is k for edges[k] < x ≤ edges[k + 1], and missing outside the edges.
        buckets: most buckets of `quantile`.
        decimal: the mark before the fraction in a numeric field's text, "." or ","; with "," a "." between digits parts thousands
            where a "," follows.
        edges: ascending bounds of the buckets, for `edges`; for `quantile` they are learned, unless given: k is the number of
            edges below x.
        optional: rows to predict on may lack the column; then its values are missing.
        missing: an empty value is `oov` (id 1, like an unknown token) or gets an id of its `own`, if the training rows
            hold enough of them. A sequence without tokens is padding only.
    """

    name: str
    aliases: tuple[str, ...] = ()
    kind: FieldKind = "categorical"
    max_length: int = 1
    separator: str = ""
    prefix: int = 0
    min_count: int = 1
    bucket: Bucket = "quantile"
    buckets: int = BUCKETS
    decimal: Literal[".", ","] = "."
    edges: tuple[float, ...] = ()
    missing: Missing = "oov"
    optional: bool = False

    def __post_init__(self) -> None:
        if self.kind == "sequence" and not self.separator:
            raise ValueError(f"a sequence field needs a separator, however: {self.name} has none; set separator")
        if not 1 <= self.max_length <= MAX_LENGTH or (self.kind != "sequence" and self.max_length != 1):
            raise ValueError(
                f"max_length must be 1 to {MAX_LENGTH}, and 1 unless the field is a sequence, however: "
                f"{self.name} is {self.kind} with max_length={self.max_length}"
            )
        if self.prefix < 0 or (self.prefix and self.kind != "categorical"):
            raise ValueError(
                f"prefix must be positive, of a categorical field, however: {self.name} is {self.kind} with "
                f"prefix={self.prefix}"
            )
        wants_edges = self.kind == "numeric" and self.bucket == "edges"
        takes_edges = wants_edges or (self.kind == "numeric" and self.bucket == "quantile")
        ascending = all(low < high for low, high in pairwise((-math.inf, *self.edges)))
        if (self.edges and not (takes_edges and ascending)) or (wants_edges and len(self.edges) < 2):
            raise ValueError(
                f"edges are two or more ascending numbers, for a numeric field with bucket = 'edges', however: "
                f"{self.name} is {self.kind} with bucket={self.bucket!r}, edges={self.edges}"
            )
        if not 2 <= self.buckets <= MAX_BUCKETS:
            raise ValueError(f"buckets must be 2 to {MAX_BUCKETS}, however: {self.name} has buckets={self.buckets}")
        if self.min_count < 1:
            raise ValueError(f"min_count must be at least 1, however: {self.name} has min_count={self.min_count}")

    @property
    def learns_edges(self) -> bool:
        """Whether the training rows give the edges of the buckets."""
        return self.kind == "numeric" and self.bucket == "quantile" and not self.edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The rule that makes a label 0 or 1 of a column.

    Attributes:
        column: the column read.
        aliases: other names of it, each tried where the one before is absent.
        positive_above: label = value > positive_above; None: the column holds 0 and 1, or true and false, else an error.
        positive: texts that mean 1, where the column holds texts such as yes and no; all others mean 0.
        drop: rows with one of these values are left out, before the split.
        drop_missing: rows without a value are left out, before the split; else they are errors.
    """

    column: str
    aliases: tuple[str, ...] = ()
    positive_above: float | None = None
    positive: tuple[str, ...] = ()
    drop: tuple[float, ...] = ()
    drop_missing: bool = False

    def __post_init__(self) -> None:
        if self.positive and self.positive_above is not None:
            raise ValueError(
                f"a label is 1 above a number or for some texts, however: {self.column} has positive_above="
                f"{self.positive_above} and positive={self.positive}; leave one out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One arrangement of files that a data set is read from.

    Column names match exactly or, failing that, but for upper and lower case.

    Either `table`, one table to be split by seed, or `train` and `test`, and `valid`; without `valid` a part of the
    training rows is held out by seed. A name may be a pattern, such as `day-*.csv.gz`, of files that are read in order of name.
    Text may be compressed by gzip, bzip2, xz or zstd.

    Attributes:
        format: a key of `qnn_models.data.reading.formats.READERS`.
        table: file of all rows.
        train: file of the training rows.
        valid: file of the validation rows.
        test: file of the test rows.
        extra: files joined to the table, in the order that the reader asks for.
        separator: one character between columns; csv only.
        quoted: a double quote guards a column; csv only.
        missing: texts that stand for a missing value, besides the empty one, such as "NA"; csv only.
        columns: names of the columns where the file has no header; empty: the first line has them.
        label: label rule of these files, where it differs from the schema's.
    """

    format: str
    table: str = ""
    train: str = ""
    valid: str = ""
    test: str = ""
    extra: tuple[str, ...] = ()
    separator: str = ","
    quoted: bool = True
    missing: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    label: Label | None = None

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.train):
            raise ValueError(
                f"a source is one table, or train and test files, however: table={self.table!r}, train={self.train!r}"
            )
        if self.train and not self.test:
            raise ValueError(f"a source with a train file needs a test file, however: test={self.test!r}")
        if len(self.separator) != 1 or not self.separator.isascii() or self.separator in '\0\n\r"':
            raise ValueError(
                f"a separator is one ASCII character that neither ends a line nor quotes, however: separator={self.separator!r}"
            )
        unnamed = [file for file in self.files if not file or "\0" in file]
        if unnamed:
            raise ValueError(f"a source's files have names, however: {unnamed[0]!r}; name or remove it")

    @property
    def parts(self) -> dict[str, str]:
        """Role (`table`, or `train`, `valid`, `test`) -> file name, in reading order."""
        roles = ("table", *SPLITS)
        return {role: getattr(self, role) for role in roles if getattr(self, role)}

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that must be there."""
        return tuple(dict.fromkeys((*self.parts.values(), *self.extra)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A data set: name, label rule, fields in order, split ratios and the sources it can be read from.

    `ratios` (train, valid, test) split a table at random by seed. Sizes are exact: each is the share's floor, and the
    rows left over go to the largest fractions (45 840 617 rows at 8:1:1 are 36 672 493, 4 584 062 and 4 584 062).

    With `split_by` they split it by the order of that column instead, the first rows to train and the last to test, rows of one
    value in the file's order. The column holds numbers, or texts that sort as they should (2013-01-31 05:15). It need be no
    field, and it is held in memory while the data are encoded. With `split_as` = `group` all rows of one value, such as a user,
    go to one split, in an order of chance, by seed; with `part` the column names each row's split (train, valid, test), and where
    it names none valid, training rows are taken by seed.
    """

    name: str
    label: Label
    fields: tuple[Field, ...]
    sources: tuple[Source, ...] = ()
    ratios: tuple[int, int, int] = (8, 1, 1)
    split_by: str = ""
    split_as: Literal["order", "group", "part"] = "order"
    description: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, what="the name of a data set")
        names = [field.name for field in self.fields]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if not names or repeated:
            raise ValueError(f"a schema has one or more fields of distinct names, however: {repeated or names}")
        if self.label.column in names:
            raise ValueError(f"the label must not be a field, however: {self.label.column} is both")
        columns = [LABEL_COLUMN, *column_names(names, [field.max_length for field in self.fields])]
        twice, times = Counter(columns).most_common(1)[0]
        if times > 1:
            raise ValueError(
                f"every stored column has a name of its own, however: {twice!r} is there twice; rename a field"
            )
        if len(self.ratios) != 3 or min(self.ratios) < 1:
            raise ValueError(f"ratios are three positive integers, however: ratios={self.ratios}")
        if self.split_as != "order" and not self.split_by:
            raise ValueError(
                f"split_as = {self.split_as!r} is of the column that split_by names, however: it names none; add split_by"
            )

        if self.split_as == "part" and any(source.train for source in self.sources):
            raise ValueError(
                "a column names the splits of one table, however: a source has train and test files already; leave out split_as"
            )

    def fingerprint(self) -> str:
        """Hash of everything that changes the encoding (hexadecimal, 16 digits)."""
        content = asdict(self)
        del content["description"], content["origin"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

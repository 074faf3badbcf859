"""MovieLens, joined from its three tables: GroupLens' own files of 100K and 1M, and RecBole's edition of 100K.

The two editions of ML-100K agree once two things are settled. RecBole takes the release year from the end of the title,
GroupLens' date column at times names another year (a later release): the title's year is used for both. RecBole wrote
`V` for the one title that ends in "(V)" and a misspelt word for the one without a year: the year is looked for
in the title, and is missing if that has none. Genres keep GroupLens' order of flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from qnn_models.data.reading.columns import column_of_series
from qnn_models.data.reading.readers import Chunk, Columns, find_columns, parse_block
from qnn_models.data.reading.text import check_no_nul, check_text
from qnn_models.data.schema import Source

GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The genre flags of `u.item`, in order."""

GENRE_SEPARATOR = "|"
_YEAR = r"\((\d{4})\)"


def read_ml100k_recbole(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """RecBole's atomic files: `ml-100k.inter`, and in `extra` the `.user` and `.item` files."""
    users_name, items_name = source.extra
    ratings = _table(folder / name, ("user_id", "item_id", "rating", "timestamp"), "\t", header=True)
    users = _table(folder / users_name, ("user_id", "age", "gender", "occupation", "zip_code"), "\t", header=True)
    items = _table(folder / items_name, ("item_id", "title", "year", "classes"), "\t", header=True)
    year = pl.col("year").str.extract(r"^(\d{4})$").fill_null(_last_year())
    genres = pl.col("classes").str.split(" ")
    yield _joined(ratings, users, items.frame().select("item_id", *_year_and_genres(year, genres)), columns)


def read_ml100k_grouplens(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """GroupLens' files: `u.data`, and in `extra` `u.user` and `u.item`."""
    users_name, items_name = source.extra
    ratings = _table(folder / name, ("user_id", "item_id", "rating", "timestamp"), "\t")
    users = _table(folder / users_name, ("user_id", "age", "gender", "occupation", "zip_code"), "|")
    items = _table(folder / items_name, ("item_id", "title", "date", "video_date", "url", *GENRES_100K), "|")
    flagged = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES_100K]
    genres = pl.concat_list(flagged).list.drop_nulls()
    yield _joined(ratings, users, items.frame().select("item_id", *_year_and_genres(_last_year(), genres)), columns)


def read_ml1m_grouplens(source: Source, folder: Path, name: str, columns: Columns) -> Iterator[Chunk]:
    """GroupLens' files: `ratings.dat`, and in `extra` `users.dat` and `movies.dat`; `release_year` is a decade.

    The published preparation has 8 values of the release field and does not say which; decades are our choice.
    """
    users_name, items_name = source.extra
    ratings = _table(folder / name, ("user_id", "item_id", "rating", "timestamp"), "::")
    users = _table(folder / users_name, ("user_id", "gender", "age", "occupation", "zip_code"), "::")
    items = _table(folder / items_name, ("item_id", "title", "classes"), "::")
    decade = _last_year().str.head(3) + "0"
    genres = pl.col("classes").str.split("|")
    yield _joined(ratings, users, items.frame().select("item_id", *_year_and_genres(decade, genres)), columns)


def _table(file: Path, names: Sequence[str], separator: str, *, header: bool = False) -> Chunk:
    """Read a small table; Latin-1, as GroupLens writes it, unless it is UTF-8."""
    data = file.read_bytes()
    check_text(data[:8], file=file)
    check_no_nul(data, file=file, first_line=1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    first_line = 1
    if header:
        text = text.partition("\n")[2]
        first_line = 2
    if len(separator) > 1:
        text, separator = text.replace(separator, "\x1f"), "\x1f"
    block = text.rstrip("\r\n").encode() + b"\n"
    if block == b"\n":
        raise ValueError(f"{file}: a table has rows, however: this file has none; fetch or write it again")
    return parse_block(
        block, names, {name: name for name in names}, file=file, first_line=first_line, separator=separator
    )


def _last_year() -> pl.Expr:
    """The last year in parentheses of a title, null if there is none."""
    return pl.col("title").str.extract_all(_YEAR).list.last().str.extract(_YEAR)


def _year_and_genres(year: pl.Expr, genres: pl.Expr) -> list[pl.Expr]:
    return [year.alias("release_year"), genres.list.join(GENRE_SEPARATOR).alias("genres")]


def _joined(ratings: Chunk, users: Chunk, items: pl.DataFrame, columns: Columns) -> Chunk:
    """Add each rating's user and item, in the ratings' order."""
    frame = ratings.frame()
    for key, table in (("user_id", users.frame()), ("item_id", items)):
        if table[key].n_unique() < table.height:
            twice = table[key].filter(table[key].is_duplicated())[0]
            raise ValueError(
                f"{ratings.file}: each {key} must be described once, however: {twice!r} is described twice"
            )
        unknown = ~frame[key].is_in(table[key].implode())
        row = unknown.arg_max()
        if unknown.any() and row is not None:
            raise ValueError(f"{ratings.at(row)}: a rating must be of a known {key}, however: {frame[key][row]!r}")
        frame = frame.join(table, on=key, how="left", maintain_order="left", validate="m:1")
    found = find_columns(frame.columns, columns, file=ratings.file)
    joined = {name: column_of_series(frame[here]) for here, name in found.items()}
    return Chunk(joined, ratings.file, ratings.first_line, ratings.file.stat().st_size)

"""Writers of small files in the formats of real data sets, for the tests of `qnn_models.data`."""

from __future__ import annotations

import random
from pathlib import Path

CRITEO_COLUMNS = ["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
GENRES = [
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
]

# Item 4 has no year, item 5 ends in another parenthesis; RecBole and GroupLens write both differently.
_ITEMS = [
    (1, "Toy Story", "1995", ["Animation", "Children's", "Comedy"]),
    (2, "GoldenEye", "1995", ["Action", "Adventure", "Thriller"]),
    (3, "Empire Strikes Back, The", "1980", ["Action", "Adventure", "Drama", "Romance", "Sci-Fi", "War"]),
    (4, "unknown", "", ["unknown"]),
    (5, "Land Before Time III", "(1995) (V)", ["Animation", "Children's"]),
    (6, "Misérables, Les", "1995", ["Drama", "Musical"]),
]
_USERS = [(1, 24, "M", "technician", "85711"), (2, 53, "F", "other", "94043"), (3, 23, "M", "writer", "T8H1N")]


def ml100k_ratings(rows: int, *, seed: int = 0) -> list[tuple[int, int, int]]:
    """(user, item, rating) triples."""
    draw = random.Random(seed)
    return [(draw.choice(_USERS)[0], draw.choice(_ITEMS)[0], draw.randint(1, 5)) for _ in range(rows)]


def write_recbole(folder: Path, ratings: list[tuple[int, int, int]]) -> Path:
    """RecBole's edition of ML-100K."""
    folder.mkdir(exist_ok=True)
    years = {4: "unkonwn", 5: "V"}
    titles = {5: "Land Before Time III (1995)"}
    items = [f"{i}\t{titles.get(i, title)}\t{years.get(i, year)}\t{' '.join(g)}" for i, title, year, g in _ITEMS]
    _write(
        folder / "ml-100k.item", ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", *items]
    )
    header = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"
    _write(folder / "ml-100k.user", [header, *("\t".join(map(str, user)) for user in _USERS)])
    rows = [f"{user}\t{item}\t{rating}\t88{n}" for n, (user, item, rating) in enumerate(ratings)]
    _write(folder / "ml-100k.inter", ["user_id:token\titem_id:token\trating:float\ttimestamp:float", *rows])
    return folder


def write_grouplens(folder: Path, ratings: list[tuple[int, int, int]]) -> Path:
    """GroupLens' own files of ML-100K; the release date is another year than the title's."""
    folder.mkdir(exist_ok=True)
    lines = []
    for item, title, year, genres in _ITEMS:
        name = f"{title} {year}" if year.startswith("(") else f"{title} ({year})" if year else title
        flags = ["1" if genre in genres else "0" for genre in GENRES]
        lines.append("|".join([str(item), name, "01-Jan-1999" if year else "", "", "http://us.imdb.com", *flags]))
    (folder / "u.item").write_bytes("".join(line + "\n" for line in lines).encode("latin-1"))
    _write(folder / "u.user", ["|".join(map(str, user)) for user in _USERS])
    _write(folder / "u.data", [f"{u}\t{i}\t{r}\t88{n}" for n, (u, i, r) in enumerate(ratings)])
    return folder


def criteo_rows(rows: int, *, seed: int = 0) -> list[list[str]]:
    """Rows of Criteo's columns as text, some values missing."""
    draw = random.Random(seed)
    made = []
    for _ in range(rows):
        numbers = [draw.choice(["", "0", "1", "2", "3", "7", "-1", "150", "20000"]) for _ in range(13)]
        tokens = [draw.choice(["", "05db9164", "68fd1e64", "8cf07265", "be589b51"]) for _ in range(26)]
        made.append([draw.choice("01"), *numbers, *tokens])
    return made


def write_criteo_raw(folder: Path, rows: list[list[str]]) -> Path:
    """Criteo's train.txt."""
    folder.mkdir(exist_ok=True)
    _write(folder / "train.txt", ["\t".join(row) for row in rows])
    return folder


def write_split_csv(folder: Path, header: list[str], rows: list[list[str]], *, sizes: tuple[int, int, int]) -> Path:
    """train.csv, valid.csv and test.csv, the rows in order."""
    folder.mkdir(exist_ok=True)
    start = 0
    for name, size in zip(("train", "valid", "test"), sizes, strict=True):
        _write(folder / f"{name}.csv", [",".join(header), *(",".join(row) for row in rows[start : start + size])])
        start += size
    return folder


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")

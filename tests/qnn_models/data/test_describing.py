"""The counts that describe a data set, against the rows counted one by one."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from qnn_models.data.describing import Summary, remarks, summarise
from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.registry import prepare

SCHEMA = """
name = "t"
split_by = "part"
split_as = "part"
[label]
column = "y"
[[field]]
name = "a"
min_count = 2
missing = "own"
[[field]]
name = "b"
[[field]]
name = "s"
kind = "sequence"
separator = "|"
max_length = 2
[[source]]
format = "csv"
table = "t.csv"
"""


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, str, str, str]]:
    generator = np.random.default_rng(0)
    made = []
    for n in range(600):
        part = ("train", "train", "valid", "test")[n % 4]
        a = ["", "u", "U", "u ", "v", f"rare{n}"][generator.integers(0, 6)]
        b = f"b{generator.integers(0, 4) + 3 * (part == 'test')}"
        y = int(generator.random() < (0.8 if a == "v" else 0.3))
        s = "|".join(generator.choice(["x", "y", "z"], generator.integers(0, 3), replace=False))
        made.append((str(y), a, b, s, part))
    return made


@pytest.fixture(scope="module")
def dataset(rows: list[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> EncodedDataset:
    folder: Path = tmp_path_factory.mktemp("own")
    (folder / "t.csv").write_text("\n".join(["y,a,b,s,part", *(",".join(row) for row in rows)]))
    (folder / "t.toml").write_text(SCHEMA)
    return prepare(folder / "t.toml", cache_dir=folder / "c", progress=False)


@pytest.fixture(scope="module")
def summary(dataset: EncodedDataset) -> Summary:
    return summarise(dataset)


def test_counts_are_those_of_the_rows(rows: list[tuple[str, ...]], summary: Summary) -> None:
    train = [row for row in rows if row[4] == "train"]
    test = [row for row in rows if row[4] == "test"]
    assert summary.rows == (300, 150, 150)
    assert summary.clicks[0] == pytest.approx(np.mean([row[0] == "1" for row in train]))
    a, b, s = summary.fields
    known = {token for token, count in Counter(row[1] for row in train).items() if count >= 2}
    assert a.distinct == len(known)
    assert a.coverage == pytest.approx(np.mean([row[1] in known for row in train]))
    assert a.oov[2] == pytest.approx(np.mean([row[1] not in known for row in test]))
    assert a.missing == pytest.approx(np.mean([row[1] == "" for row in train]))
    assert a.alike == 2  # "U" and "u " beside "u"
    shares = np.array(list(Counter(row[2] for row in train).values())) / 300
    assert b.agreement == pytest.approx((shares**2).sum())
    assert b.missing is None
    assert s.empty == pytest.approx(np.mean([row[3] == "" for row in train]))


def test_information_is_that_of_the_counts_but_for_chance(rows: list[tuple[str, ...]], summary: Summary) -> None:
    train = [row for row in rows if row[4] == "train"]
    known = {token for token, count in Counter(row[1] for row in train).items() if count >= 2}
    tokens = [row[1] if row[1] in known else "other" for row in train]
    plain = mutual_info_score([row[0] for row in train], tokens)
    chance = (len(set(tokens)) - 1) / (2 * 300)
    assert summary.fields[0].information == pytest.approx(1000 * (plain - chance), abs=1e-6)
    assert summary.fields[0].information > 30
    assert summary.fields[1].information < 10


def test_what_to_look_at_is_said(summary: Summary) -> None:
    said = " ".join(remarks(summary))
    assert "a: 2 tokens differ from another only by white space" in said
    assert "b: " in said
    assert "of the tokens of later splits are out of vocabulary, 0% in training" in said
    assert not math.isnan(summary.fields[2].information)

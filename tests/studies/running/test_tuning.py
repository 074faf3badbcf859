"""A search chooses on validation alone, goes on where it was, and is as strict as a study."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from studies.running.record import Store
from studies.running.tuning import load_search, tune, with_dataset

SEARCH = """
name = "tiny"
dataset = "planted"
model = "quadratic"

[options]
format = ["T9", "T4"]
layers = 1
embedding_dim = { low = 1, high = 3 }

[training]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
max_epochs = 1
"""


def written(folder: Path, text: str) -> str:
    path = folder / "tiny.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.filterwarnings("default")
def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    search, storage, store = load_search(written(tmp_path, SEARCH)), tmp_path / "tune.db", Store(tmp_path / "records")
    first = tune(search, trials=2, storage=storage, store=store, progress=False)
    assert first.trials == 2
    before = set(store.folder.glob("*.json"))
    again = tune(search, trials=2, storage=storage, store=store, progress=False)
    assert again == first
    more = tune(search, trials=4, storage=storage, store=store, progress=False)
    assert more.trials == 4
    assert more.valid_auc >= first.valid_auc
    records = {path.stem: store.read(path.stem) for path in store.folder.glob("*.json")}
    assert before < set(store.folder.glob("*.json"))
    best = max((record for record in records.values() if record), key=lambda record: record.metrics["valid_auc"])
    assert more.valid_auc == best.metrics["valid_auc"]
    assert more.test_auc == best.metrics["test_auc"]
    for record in records.values():
        assert record is not None
        assert 1 <= int(record.spec.option("embedding_dim") or 0) <= 3
        assert 1e-3 <= float(dict(record.spec.training)["learning_rate"] or 0) <= 1e-1


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[training]", "[trainin]", "trainin: no such key (did you mean 'training'?)"),
        ('dataset = "planted"', "", "dataset: must be str"),
        ('dataset = "planted"', 'dataset = "plantd"', "did you mean 'planted'?"),
        ("embedding_dim", "embeding_dim", "embeding_dim"),
        ("low = 1, high = 3", "low = 3, high = 1", "options.embedding_dim: low must not be above high"),
        ("low = 1, high = 3", "low = 1", "options.embedding_dim: a range is"),
        ("low = 1e-3", "low = 0.0", "training.learning_rate: low must not be above high, and above 0"),
        ('["T9", "T4"]', "[]", "options.format: a choice is a list"),
        ('["T9", "T4"]', '["T9", "T99", "T4"]', "'T99'; the nearest is"),
        ('["T9", "T4"]', '["T9", 3, "T4"]', "options.format: must be str"),
        ("max_epochs = 1", "batch_size = [1, 0, 2]", "batch_size is at least 1"),
        ("[training]", "[[training]]", "training: must be a table"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in SEARCH
    with pytest.raises(ValueError, match=r"tiny\.toml") as caught:
        load_search(written(tmp_path, SEARCH.replace(old, new)))
    assert complaint in str(caught.value)


@pytest.mark.filterwarnings("default")
def test_a_changed_search_is_another_one(tmp_path: Path) -> None:
    """Its trials do not compare with those of before, and other choices would not be allowed among them."""
    storage, store = tmp_path / "tune.db", Store(tmp_path / "records")
    for changed in (SEARCH, SEARCH.replace("max_epochs = 1", "max_epochs = 2"), SEARCH.replace('"T4"', '"T19"')):
        search = load_search(written(tmp_path, changed))
        found = tune(search, trials=1, storage=storage, store=store, progress=False)
        assert found.trials == 1
        assert found.training["max_epochs"] == search.training["max_epochs"]


@pytest.mark.filterwarnings("default")
def test_searches_side_by_side_share_the_trials(tmp_path: Path) -> None:
    config = written(tmp_path, SEARCH)
    command = [sys.executable, "-m", "studies.cli", "tune", config, "--trials", "6", "--results", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    drawn = [
        re.sub(r"\. Best.*", "", line.partition("parameters: ")[2])
        for line in "".join(outputs).splitlines()
        if "finished with" in line
    ]
    assert 6 <= len(drawn) <= 7, "each stops when there are enough; the one in flight is finished"
    assert len(set(drawn)) == len(drawn), "none draws what the other has drawn"


def test_the_committed_search_loads() -> None:
    assert load_search("qnn-alpha").model == "qnn-alpha"
    with pytest.raises(ValueError, match=r"one of qnn-alpha or the path .* however: 'qnn-beta'"):
        load_search("qnn-beta")
    with pytest.raises(ValueError, match="datasets: must be one of"):
        with_dataset(load_search("qnn-alpha"), "venus")

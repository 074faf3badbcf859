"""A search chooses on validation alone, goes on where it was, and is as strict as a study."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("optuna")

from studies.record import Store
from studies.tuning import load_search, tune

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
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in SEARCH
    with pytest.raises(ValueError, match=r"tiny\.toml") as caught:
        load_search(written(tmp_path, SEARCH.replace(old, new)))
    assert complaint in str(caught.value)


def test_the_committed_search_loads() -> None:
    assert load_search("qnn-alpha").model == "qnn-alpha"
    with pytest.raises(ValueError, match="there is no"):
        load_search("qnn-beta")

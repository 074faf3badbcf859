"""Claims: verdicts known from the paper's own material, and the numbers in the evidence recomputed with polars."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import resolve_name

import polars as pl
import pytest

import qnn_theory
import qnn_theory as qt
from qnn_theory.paper_claims.claim import Claim
from qnn_theory.published.numbers import logged_runs, printed, printed_value, vocabulary_sizes

PUBLISHED = Path(qnn_theory.__file__).parent / "published"

VERDICTS = {
    "rows-inert": "holds",
    "heads-cut-cost": "fails",
    "aligned-heads": "fails",
    "released-heads": "fails",
    "T17-paper-differs-from-T9": "fails",
    "T22-differs-from-T9": "fails",
    "T6-differs-from-T2": "fails",
    "T17-differs-from-T10": "fails",
    "T4+relu-differs-from-T4": "fails",
    "T26-averages": "holds",
    "first-cross-layer": "holds",
    "smooth": "fails",
    "self-ensemble-minimum": "holds",
    "self-ensemble-pull": "fails",
    "same-hyper-parameters": "fails",
    "no-post-activation": "not decidable here",
    "gaps-matter": "fails",
    "significance": "not decidable here",
    "parameter-counts": "holds",
    "table-1-parameters": "holds",
    "table-1-auc": "holds",
    "table-2": "holds",
    "table-5-baselines": "fails",
    "headline-on-curve": "fails",
    "same-width": "fails",
    "ipinyou-split": "not decidable here",
    "frappe-rare-ids": "not decidable here",
}


def claim(id: str) -> Claim:
    return next(c for c in qt.claims() if c.id == id)


def test_every_claim_has_its_verdict_and_a_computation() -> None:
    assert {c.id: c.verdict for c in qt.claims()} == VERDICTS
    assert len({c.id for c in qt.claims()}) == len(qt.claims())
    for c in qt.claims():
        assert c.source.startswith("li2025qnn")
        assert c.evidence
        assert c.computed_by


def test_what_a_claim_was_computed_by_exists() -> None:
    for c in qt.claims():
        for name in re.findall(r"qnn_theory[\w.]*", c.computed_by):
            assert resolve_name(name) is not None
        for file in re.findall(r"\w+\.csv", c.computed_by):
            assert (PUBLISHED / file).is_file()


def runs() -> pl.DataFrame:
    return pl.read_csv(PUBLISHED / "published_runs.csv", infer_schema_length=None)


def paired() -> pl.DataFrame:
    both = runs().filter(pl.col("arm").is_in(["post_act_ReLU", "without_post_act"]))
    return both.pivot(on="arm", index="neuron_type", values=["test_auc", "test_logloss", "num_parameters"])


def test_the_format_study_counted_with_polars() -> None:
    table = paired()
    assert len(table) == 25
    auc = table["test_auc_without_post_act"] - table["test_auc_post_act_ReLU"]
    loss = table["test_logloss_without_post_act"] - table["test_logloss_post_act_ReLU"]
    assert (
        f"{(auc > 0).sum()} of 25 on AUC and {(loss < 0).sum()} of 25 on log loss"
        in claim("no-post-activation").evidence
    )
    assert f"{(auc.abs() < 0.0005).sum()} of 25 gaps" in claim("gaps-matter").evidence
    assert ((auc > 0).sum(), (loss < 0).sum(), (auc.abs() < 0.0005).sum()) == (17, 14, 16)
    toggled = table.filter(pl.col("num_parameters_post_act_ReLU") != pl.col("num_parameters_without_post_act"))
    evidence = claim("same-hyper-parameters").evidence
    assert f"({', '.join(toggled['neuron_type'])})" in evidence
    assert "3744 parameters more" in evidence
    assert 3744 == 3 * 2 * 624


def test_repeats_counted_with_polars() -> None:
    settings = ["model", "dataset", "arm", "neuron_type", "num_layers", "num_heads", "num_rows", "batch_norm"]
    seeds = runs().group_by(settings).agg(pl.col("seed").n_unique())
    assert f"{(seeds['seed'] > 1).sum()} of {len(seeds)} logged settings" in claim("significance").evidence


def test_table_5_against_table_3_with_polars() -> None:
    table = pl.read_csv(PUBLISHED / "paper_results.csv", infer_schema_length=None)
    key = ["dataset", "model", "metric"]
    both = table.filter(pl.col("source") == "table5").join(
        table.filter(pl.col("source") == "table3"), on=key, suffix="_3"
    )
    wrong = both.filter((pl.col("value") != pl.col("value_3")) & (pl.col("model") != "QNN-alpha"))
    named = sorted({f"{m} on {d}" for d, m in wrong.select("dataset", "model").iter_rows()})
    evidence = claim("table-5-baselines").evidence
    assert named == sorted(
        part.split(" (")[0] for part in evidence.removeprefix("it prints other numbers for ").split("; ")
    )
    assert evidence.count("those of PNN") == 4


def test_the_numbers_behind_single_claims() -> None:
    assert "98.62 with M = 13, while M = 10 gives 98.47 and M = 20 gives 98.53" in claim("headline-on-curve").evidence
    embedding = 910747 * 16
    assert round((embedding + 624 * 400 + 400 + 2 * (400 * 400 + 400) + 401) / 1e6, 2) == 15.14
    assert "fit 3 layers of 400;" in claim("same-width").evidence
    assert "4*d*(d + 1) parameters" in claim("heads-cut-cost").evidence
    assert "96 of 112 coordinates" in claim("released-heads").evidence
    assert "58 of 58" in claim("parameter-counts").evidence
    assert "50 of 50" in claim("table-1-auc").evidence


def test_published_numbers_are_read_whole() -> None:
    assert len(logged_runs()) == len(runs()) == 64
    assert len(printed()) == len(pl.read_csv(PUBLISHED / "paper_results.csv", infer_schema_length=None))
    assert {row["dataset"] for row in vocabulary_sizes()} >= {
        "Criteo_x4_10_h5",
        "Frappe_x1_h5",
        "ML_1M_7_x1",
        "Tenrec_x1",
    }
    assert printed_value("table1", "Criteo", "T9", "auc_percent", setting="post_activation=none") == 81.53
    with pytest.raises(KeyError, match="No published number: table1"):
        printed_value("table1", "Criteo", "T99", "auc_percent")

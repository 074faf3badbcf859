"""Collected tables: theory and published numbers beside ours, never mixed; what is missing or failed stays visible."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from scipy import stats

from qnn_theory import cost, feature_space
from studies.declaring.config import Arm, Comparison, Correlate, Published, StudyConfig
from studies.declaring.plan import plan
from studies.judging.collect import collect
from studies.judging.tables import study_table
from studies.running.record import Record, Store

FORMATS = ("T9", "T19", "T24", "T4", "T3")
CONFIG = StudyConfig(
    name="tiny",
    title="A tiny study",
    task="train",
    datasets=("planted",),
    seeds=(0, 1, 2, 3, 4),
    arms=(
        Arm(model="quadratic", label="{format}", options={"format": FORMATS, "post_activation": ("relu", "none"), "layers": 3}),
        Arm(model="lr", label="LR"),
    ),
    published=Published(source="table1", reference="Criteo", setting="post_activation={post_activation}"),
    compare=(Comparison(option="post_activation", against="relu"), Comparison(against="LR", metrics=("test_auc",))),
    correlate=Correlate(
        predictors=("theory_support", "theory_rank_d8", "theory_smoothness"), outcomes=("test_auc_mean", "published_auc")
    ),
)  # fmt: skip


def made_up_auc(label: str, post: object, seed: int) -> float:
    """Formats differ, post-activation hurts T9 clearly, and the seeds scatter."""
    value = 0.8 + 0.01 * (FORMATS.index(label) if label in FORMATS else -1)
    return value - (0.05 if (label, post) == ("T9", "relu") else 0.0) + 0.001 * ((seed * 7 + len(label) * 3) % 5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """All runs but one, which failed, and one, which is missing."""
    store = Store(tmp_path / "records")
    for spec in plan(CONFIG):
        if (spec.label, spec.seed) == ("LR", 2):
            continue
        if (spec.label, spec.option("post_activation"), spec.seed) == ("T4", None, 1):
            store.write(Record(spec=spec, status="failed", reason="ValueError: planned"))
            continue
        auc = made_up_auc(spec.label, spec.option("post_activation"), spec.seed)
        metrics = {"test_auc": auc, "test_logloss": 1 - auc, "parameters": 10, "embedding_parameters": 4}
        store.write(Record(spec=spec, status="done", metrics=metrics, environment={"threads": 1}))
    return store


def test_one_row_per_planned_run(store: Store, tmp_path: Path) -> None:
    runs = collect(CONFIG, store, tmp_path).runs
    assert runs["run"].to_list() == [spec.id for spec in plan(CONFIG)]
    assert dict(runs["status"].value_counts().iter_rows()) == {"done": 53, "failed": 1, "missing": 1}
    failed = runs.row(by_predicate=pl.col("status") == "failed", named=True)
    assert (failed["reason"], failed["test_auc"], failed["label"]) == ("ValueError: planned", None, "T4")
    # An option that is off is told apart from one that the model does not have.
    assert runs.filter(pl.col("label") == "LR")["post_activation"].to_list() == [None] * 5
    assert set(runs.filter(pl.col("label") == "T9")["post_activation"]) == {"relu", "none"}


def test_theory_stands_beside_measurement(store: Store, tmp_path: Path) -> None:
    runs = collect(CONFIG, store, tmp_path).runs
    row = runs.filter((pl.col("label") == "T9") & (pl.col("post_activation") == "none")).row(0, named=True)
    width = 6 * 16
    assert row["theory_dim"] == width
    assert row["theory_support"] == feature_space("T9", dim=width).dimension
    assert row["theory_degree"] == 8
    formula = cost("T9").parameters
    assert (
        row["theory_layer_parameters"] == formula.subs(dict.fromkeys(formula.free_symbols, width)) == width**2 + width
    )
    assert row["theory_smoothness"] == "analytic"
    assert row["theory_redundant_share_d8"] == 0.0
    assert runs.filter(pl.col("label") == "T19")["theory_smoothness"].unique().to_list() == ["C0"]
    assert runs.filter(pl.col("label") == "LR")["theory_support"].to_list() == [None] * 5


def test_published_numbers_have_columns_of_their_own(store: Store, tmp_path: Path) -> None:
    runs = collect(CONFIG, store, tmp_path).runs
    row = runs.filter((pl.col("label") == "T9") & (pl.col("post_activation") == "relu")).row(0, named=True)
    assert (row["dataset"], row["published_dataset"]) == ("planted", "Criteo")
    assert (row["published_auc"], row["published_logloss"]) == (0.8151, 0.4369)
    assert runs.filter(pl.col("label") == "LR")["published_auc"].to_list() == [None] * 5


def test_the_summary_is_scipys(store: Store, tmp_path: Path) -> None:
    summary = collect(CONFIG, store, tmp_path).summary
    assert len(summary) == 11
    row = summary.filter((pl.col("label") == "T19") & (pl.col("post_activation") == "none")).row(0, named=True)
    values = [made_up_auc("T19", None, seed) for seed in range(5)]
    low, high = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
    assert row["n"] == 5
    assert (row["test_auc_low"], row["test_auc_high"]) == pytest.approx((low, high))
    failed = summary.filter((pl.col("label") == "T4") & (pl.col("post_activation") == "none")).row(0, named=True)
    assert failed["n"] == 4


def test_comparisons_are_paired_and_corrected(store: Store, tmp_path: Path) -> None:
    table = collect(CONFIG, store, tmp_path).comparisons
    post = table.filter((pl.col("comparison") == 0) & (pl.col("metric") == "test_auc"))
    assert post["label"].to_list() == list(FORMATS)
    row = post.filter(pl.col("label") == "T9").row(0, named=True)
    pairs = [(made_up_auc("T9", None, seed), made_up_auc("T9", "relu", seed)) for seed in range(5)]
    assert (row["n"], row["value"], row["against_value"]) == (5, "none", "relu")
    assert row["mean_difference"] == pytest.approx(sum(a - b for a, b in pairs) / 5)
    assert row["verdict"] == "better"
    short = post.row(by_predicate=pl.col("label") == "T4", named=True)
    assert (short["n"], short["verdict"]) == (4, "too few seeds: no verdict"), "the failed run has no pair"
    assert (short["p_holm"], short["p_bh"]) == (None, None)
    assert row["p_holm"] == pytest.approx(4 * row["p"]), "four formats have pairs enough, and T9 has the smallest p"
    assert set(post.filter(~pl.col("label").is_in(["T9", "T4"]))["verdict"]) == {"no difference shown"}
    loss = table.filter((pl.col("comparison") == 0) & (pl.col("metric") == "test_logloss") & (pl.col("label") == "T9"))
    assert loss["verdict"].to_list() == ["better"], "a smaller loss is the better one"
    against = table.filter(pl.col("comparison") == 1)
    assert len(against) == 10
    assert set(against["against_label"]) == {"LR"}
    assert against["n"].max() == 4, "LR has four runs"


def test_an_arm_that_fails_at_times_does_not_win_by_the_rest(tmp_path: Path) -> None:
    """Of eight seeds the one arm diverges in two: the six that are left were chosen by their outcome."""
    config = replace(CONFIG, seeds=tuple(range(8)), compare=CONFIG.compare[:1], correlate=None)
    store = Store(tmp_path / "records")
    for spec in plan(config):
        if (spec.label, spec.option("post_activation")) == ("T9", None) and spec.seed in (3, 4):
            store.write(Record(spec=spec, status="failed", reason="FloatingPointError: planned"))
        else:
            auc = made_up_auc(spec.label, spec.option("post_activation"), spec.seed)
            store.write(Record(spec=spec, status="done", metrics={"test_auc": auc}))
    table = collect(config, store, tmp_path).comparisons
    row = table.row(by_predicate=(pl.col("label") == "T9") & (pl.col("metric") == "test_auc"), named=True)
    assert row["n"] == 6
    assert row["p"] < 1e-3
    assert (row["p_holm"], row["verdict"]) == (None, "runs failed: no verdict")


def test_a_comparison_may_let_a_second_setting_differ(tmp_path: Path) -> None:
    """QNN-alpha with its BatchNorm in place of an MLP without: by ``deep``, apart from ``batch_norm``."""
    arms = (
        Arm(model="deepfm", label="MLP"),
        Arm(model="deepfm", label="QNN", options={"deep": "qnn-alpha", "batch_norm": True}),
    )
    bare = Comparison(option="deep", against="mlp", metrics=("test_auc",))
    config = replace(CONFIG, arms=arms, compare=(bare, replace(bare, apart_from=("batch_norm",))), correlate=None)
    store = Store(tmp_path / "records")
    for spec in plan(config):
        auc = 0.85 + 0.001 * spec.seed + (0.01 + 0.001 * (spec.seed % 2) if spec.label == "QNN" else 0)
        store.write(Record(spec=spec, status="done", metrics={"test_auc": auc}))
    table = collect(config, store, tmp_path).comparisons
    assert table["comparison"].to_list() == [1], "by `deep` alone no two arms differ"
    row = table.row(0, named=True)
    assert (row["label"], row["against_label"], row["n"], row["verdict"]) == ("QNN", "MLP", 5, "better")


@pytest.mark.parametrize(("seeds", "said"), [(1, "1 seed: no row"), (4, "4 seeds: no row")])
def test_few_seeds_are_no_verdict(store: Store, tmp_path: Path, seeds: int, said: str) -> None:
    collected = collect(replace(CONFIG, seeds=tuple(range(seeds))), store, tmp_path)
    assert set(collected.comparisons["verdict"]) == {"too few seeds: no verdict"}
    assert collected.comparisons["p_holm"].null_count() == len(collected.comparisons)
    assert (collected.comparisons["p"].null_count() == len(collected.comparisons)) == (seeds == 1)
    assert said in study_table(CONFIG, collected)


def test_correlations_are_over_the_arms(store: Store, tmp_path: Path) -> None:
    collected = collect(CONFIG, store, tmp_path)
    table = collected.correlations
    row = table.filter((pl.col("predictor") == "theory_rank_d8") & (pl.col("outcome") == "published_auc")).row(
        0, named=True
    )
    arms = collected.summary.drop_nulls(["theory_rank_d8", "published_auc"])
    expected = stats.spearmanr(arms["theory_rank_d8"].to_list(), arms["published_auc"].to_list())
    assert row["n"] == len(arms) == 10
    assert row["rho"] == pytest.approx(expected.statistic)
    assert row["p"] == pytest.approx(expected.pvalue)
    smooth = table.filter(pl.col("predictor") == "theory_smoothness")
    assert smooth["n"].to_list() == [10, 10]


def test_a_starred_correlation_stands_among_all_that_were_tried(store: Store, tmp_path: Path) -> None:
    """Seventy intervals at 95 % leave out 0 a few times by chance alone."""
    collected = collect(CONFIG, store, tmp_path)

    def starred(p_holm: float) -> bool:
        cell = {"rho": 0.6, "low": 0.1, "high": 0.8, "p": 0.01, "p_holm": p_holm, "p_bh": 0.03}
        row = collected.correlations.row(0, named=True) | cell
        return "+0.60*" in study_table(CONFIG, replace(collected, correlations=pl.DataFrame([row])))

    assert starred(0.04)
    assert not starred(0.06)


def test_files_are_what_was_collected(store: Store, tmp_path: Path) -> None:
    collected = collect(CONFIG, store, tmp_path)
    names = {path.name for path in collected.paths}
    assert names == {"tiny.csv", "tiny_summary.csv", "tiny_comparisons.csv", "tiny_correlations.csv"}
    assert pl.read_csv(tmp_path / "tiny.csv")["test_auc"].to_list() == collected.runs["test_auc"].to_list()
    before = {path: path.read_bytes() for path in collected.paths}
    collect(CONFIG, store, tmp_path)
    assert {path: path.read_bytes() for path in collected.paths} == before


def test_the_terminal_table_sets_theory_beside_measurement(store: Store, tmp_path: Path) -> None:
    text = study_table(CONFIG, collect(CONFIG, store, tmp_path))
    head = text.splitlines()[1]
    for title in (
        "post_activation",
        "support",
        "degree",
        "parameters",
        "AUC %",
        "log loss",
        "published AUC % (Criteo)",
    ):
        assert title in head
    assert "planted, test_auc, against post_activation=relu (paired, Holm at 5 %): " in text
    assert "1 better" in text
    assert "3 no difference shown" in text
    assert "1 too few seeds: no verdict" in text
    assert "±" in text

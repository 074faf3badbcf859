"""Both rankings beside each other: who gained by choosing, by the seeds that both settings have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from studies.declaring.choosing import alternatives
from studies.declaring.config import Arm, Choose, Comparison, StudyConfig
from studies.declaring.plan import plan
from studies.judging.collect import Collected, collect
from studies.judging.tables import study_table
from studies.running.choosing import known_runs
from studies.running.record import Record, Store
from studies.tasks.spec import RunSpec

CONFIG = StudyConfig(
    name="tiny",
    title="A tiny study",
    task="train",
    datasets=("planted",),
    seeds=(0, 1, 2, 3, 4),
    arms=(
        Arm(
            model="quadratic",
            label="{format}",
            options={"format": "T9", "post_activation": ("none", "relu"), "layers": 1, "embedding_dim": 2},
        ),
        Arm(model="lr", label="LR"),
    ),
    choose=Choose(options={"dropout": (0.1, 0.4)}, training={"embedding_l2": (0.0, 0.5)}),
    compare=(Comparison(option="post_activation", against="none", metrics=("test_auc",)),),
)


def _auc(spec: RunSpec) -> float:
    """LR is best as it is; T9 wants dropout and L2, with ReLU the L2 alone."""
    l2, dropout = dict(spec.training)["embedding_l2"], spec.option("dropout")
    noise = 0.001 * (spec.seed * 3 % 5)
    if spec.model == "lr":
        return 0.75 - (0.2 if l2 else 0.0) + noise
    plain = spec.option("post_activation") is None
    gain = (0.1 if l2 else 0.0) + (0.02 if (dropout == 0.4) == plain else 0.0)
    return (0.70 if plain else 0.66) + gain * (1 + 0.01 * spec.seed) + noise


def _write(store: Store, specs: tuple[RunSpec, ...]) -> None:
    for spec in specs:
        if store.read(spec.id) is None:
            value = _auc(spec)
            metrics = {"valid_auc": value, "valid_logloss": 1 - value, "test_auc": value, "test_logloss": 1 - value}
            store.write(Record(spec=spec, status="done", metrics=metrics))


def _filled(folder: Path) -> Store:
    """All runs of the study, those at the chosen settings too."""
    store = Store(folder / "records")
    for _ in range(2):
        _write(store, known_runs(CONFIG, store))
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return _filled(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collected")


@pytest.fixture(scope="module")
def collected(folder: Path) -> Collected:
    return collect(CONFIG, _filled(folder), folder)


def test_both_ranks_the_choice_and_the_gain(collected: Collected) -> None:
    rows = {(row["label"], row["setting"]): row for row in collected.rankings.iter_rows(named=True)}
    plain, relu, lr = (
        rows["T9", "post_activation=none"], rows["T9", "post_activation=relu"], rows["LR", ""],
    )  # fmt: skip
    assert [(row["fixed_rank"], row["tuned_rank"]) for row in (plain, relu, lr)] == [(2, 1), (3, 2), (1, 3)]
    assert collected.rankings["tuned_rank"].to_list() == [1, 2, 3]
    assert [(row["chosen_dropout"], row["chosen_training_embedding_l2"]) for row in (plain, relu, lr)] == [
        (0.4, 0.5), (0.1, 0.5), (None, 0.0),
    ]  # fmt: skip
    gains = [0.12 * (1 + 0.01 * seed) for seed in range(5)]
    assert plain["gain"] == pytest.approx(sum(gains) / 5)
    assert plain["p"] == pytest.approx(stats.ttest_1samp(gains, 0).pvalue)
    assert (plain["n"], plain["verdict"], relu["verdict"]) == (5, "better", "better")
    assert (lr["gain"], lr["verdict"], lr["fixed_arm"]) == (0.0, "no difference shown", lr["tuned_arm"])
    assert plain["fixed_test_auc_mean"] == pytest.approx(0.70 + 0.002)
    assert plain["fixed_arm"] != plain["tuned_arm"]


def test_the_points_of_the_grid_are_told_with_the_chosen_one(collected: Collected, folder: Path) -> None:
    choices = pl.read_csv(folder / "tiny_choices.csv")
    assert len(choices) == 4 + 4 + 2
    taken = choices.filter("chosen")
    assert taken["label"].to_list() == ["T9", "T9", "LR"]
    best = choices.group_by("arm", maintain_order=True).agg(pl.col("value").max())
    assert taken["value"].to_list() == best["value"].to_list()


def test_the_fixed_tables_are_those_of_a_study_that_chooses_nothing(store: Store, tmp_path: Path) -> None:
    collect(CONFIG, store, tmp_path / "a")
    collect(replace(CONFIG, choose=None), store, tmp_path / "b")
    for name in ("tiny.csv", "tiny_comparisons.csv"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
    summary, plain = (pl.read_csv(tmp_path / name / "tiny_summary.csv") for name in "ab")
    assert_frame_equal(summary.drop("tuning_gain"), plain)
    assert summary["tuning_gain"].to_list() == pytest.approx([0.1224, 0.102, 0.0])
    assert {path.name for path in (tmp_path / "a").iterdir()} - {path.name for path in (tmp_path / "b").iterdir()} == {
        f"tiny_{part}.csv" for part in ("choices", "rankings", "tuned", "tuned_summary", "tuned_comparisons")
    }


def test_arms_are_compared_as_they_chose(collected: Collected) -> None:
    """They differ in what they chose, too, which is no reason not to compare them."""
    (row,) = collected.tuned_comparisons.iter_rows(named=True)
    assert (row["value"], row["against_value"], row["n"], row["verdict"]) == ("relu", "none", 5, "worse")
    assert row["mean_difference"] == pytest.approx(-0.04)


def test_the_table_shows_both_and_how_far_they_agree(collected: Collected) -> None:
    text = study_table(CONFIG, collected)
    part = text.partition("Fixed settings and those chosen on validation: planted\n")[2]
    lines = part.splitlines()
    assert lines[0].split("  ")[-1].strip() == "embedding_l2"
    assert lines[2].startswith("T9 post_activation=none")
    assert "+12.24" in lines[2]
    assert "Rank correlation of the two rankings: -0.50" in part
    assert "At the chosen settings:\nplanted, test_auc, against post_activation=none" in part


def test_before_the_choice_there_is_no_ranking_but_the_tried_points(tmp_path: Path) -> None:
    store = Store(tmp_path / "records")
    _write(store, plan(CONFIG))
    found = collect(CONFIG, store, tmp_path)
    assert found.rankings.is_empty()
    choices = pl.read_csv(tmp_path / "tiny_choices.csv")
    assert choices["n"].to_list() == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert not choices["chosen"].any()
    assert "Fixed settings" not in study_table(CONFIG, found)


def test_an_arm_with_a_failed_run_has_no_verdict(store: Store, tmp_path: Path) -> None:
    plain = alternatives(CONFIG)[0]
    store.write(Record(spec=plain.fixed[3], status="failed", reason="ValueError: planned", attempts=2))
    rows = {
        row["label"] + row["setting"]: row for row in collect(CONFIG, store, tmp_path).rankings.iter_rows(named=True)
    }
    failed = rows["T9post_activation=none"]
    assert (failed["n"], failed["p_holm"], failed["verdict"]) == (4, None, "too few seeds: no verdict")
    assert rows["T9post_activation=relu"]["verdict"] == "better"

"""The keys of the committed studies find the paper's numbers."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from studies.declaring.load import load_config, study_names
from studies.declaring.plan import plan
from studies.declaring.published import published_columns

ROWS = list(
    csv.DictReader((resources.files("qnn_theory") / "published" / "paper_results.csv").read_text("utf-8").splitlines())
)
WITH_PUBLISHED = [name for name in study_names() if load_config(name).published is not None]


@pytest.mark.parametrize("name", WITH_PUBLISHED)
def test_every_published_arm_is_met(name: str) -> None:
    """Each model and setting of the paper's table has an arm of ours, unless the table has it without numbers to compare."""
    config = load_config(name)
    assert config.published is not None
    source = config.published.source
    ours = {
        (str(columns["published_model"]), str(columns["published_setting"]))
        for spec in plan(config)
        if "published_dataset" in (columns := published_columns(config, spec))
    }
    paper = {
        (row["model"], row["setting"])
        for row in ROWS
        if row["source"] == source and row["metric"] in ("auc_percent", "test_accuracy")
    }
    if name == "theory":
        paper = {key for key in paper if key[1] == "post_activation=none"}
    assert ours == paper


def test_a_number_is_the_papers_own() -> None:
    config = load_config("depth")
    spec = next(spec for spec in plan(config) if spec.option("layers") == 3)
    columns = published_columns(config, spec)
    row = next(
        row
        for row in ROWS
        if (row["source"], row["dataset"], row["setting"], row["metric"])
        == ("figure4", "ML-1M", "layers=3", "auc_percent")
    )
    assert columns["published_dataset"] == "ML-1M"
    assert columns["published_auc"] == pytest.approx(float(row["value"]) / 100)


def test_a_study_on_a_published_data_set_shows_that_one() -> None:
    from studies.declaring.load import with_changes

    config = with_changes(load_config("rows"), dataset="frappe")
    assert {published_columns(config, spec).get("published_dataset") for spec in plan(config)} == {"Frappe"}


def test_what_the_paper_has_not_is_empty() -> None:
    config = load_config("formats")
    spec = next(spec for spec in plan(config) if spec.label == "T27")
    assert not {key for key in published_columns(config, spec) if key.startswith("published_auc")}


def test_the_numbers_of_the_heads_are_those_of_the_released_layout() -> None:
    config = load_config("heads")
    found = {spec: published_columns(config, spec) for spec in plan(config)}
    heads = {spec: columns for spec, columns in found.items() if spec.model == "qnn-alpha"}
    assert {spec.option("head_layout") for spec in heads} == {"aligned", "released"}
    for spec, columns in heads.items():
        assert ("published_auc" in columns) == (spec.option("head_layout") == "released")
    assert all("published_auc" in columns for spec, columns in found.items() if spec not in heads)

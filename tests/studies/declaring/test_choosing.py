"""What arms may choose from: one grid for all, checked before anything runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studies.declaring.choosing import alternatives, trials
from studies.declaring.config import Arm, Choose, StudyConfig
from studies.declaring.load import load_config, with_changes
from studies.declaring.plan import plan

CONFIG = StudyConfig(
    name="tiny",
    title="Tiny",
    task="train",
    datasets=("planted", "nycflights"),
    seeds=(0, 1, 2),
    arms=(
        Arm(model="quadratic", label="{format}", options={"format": ("T9", "T19"), "layers": 1, "embedding_dim": 2}),
        Arm(model="lr", label="LR"),
    ),
    choose=Choose(
        datasets=("nycflights",),
        options={"dropout": (0.1, 0.3)},
        training={"embedding_l2": (0, 0.5, 1)},  # whole numbers are read as the training takes them
        seeds=2,
    ),
)
STUDY = """
name = "tiny"
title = "Tiny"
task = "train"
datasets = ["planted"]
seeds = 2
[choose]
options.dropout = [0.1, 0.3]
training.embedding_l2 = [0.0, 0.5]
[[arms]]
model = "quadratic"
options = { format = "T9", layers = 1, embedding_dim = 2 }
"""


def test_every_arm_is_tried_at_every_point_of_the_grid_that_it_has_settings_for() -> None:
    arms = alternatives(CONFIG)
    assert [(arm.fixed[0].label, len(arm.candidates)) for arm in arms] == [("T9", 6), ("T19", 6), ("LR", 3)]
    assert [candidate.given for candidate in arms[0].candidates] == [
        {"dropout": dropout, "training_embedding_l2": l2} for dropout in (0.1, 0.3) for l2 in (0.0, 0.5, 1.0)
    ]
    assert [candidate.given for candidate in arms[2].candidates] == [
        {"training_embedding_l2": l2} for l2 in (0.0, 0.5, 1.0)
    ]
    assert all(type(candidate.given["training_embedding_l2"]) is float for candidate in arms[2].candidates)


def test_a_candidate_differs_from_the_arm_in_what_is_chosen_alone() -> None:
    for arm in alternatives(CONFIG):
        for candidate in arm.candidates:
            for fixed, tried in zip(arm.fixed, candidate.specs, strict=True):
                assert (tried.seed, tried.split_seed, tried.label) == (fixed.seed, fixed.split_seed, fixed.label)
                here, there = (dict((*spec.options, *spec.training)) for spec in (fixed, tried))
                assert {name for name in here if here[name] != there[name]} <= {"dropout", "embedding_l2"}


def test_the_fixed_setting_in_the_grid_is_the_same_run() -> None:
    planned = {spec.id for spec in plan(CONFIG)}
    arm = alternatives(CONFIG)[0]
    assert [spec.id for spec in arm.candidates[0].specs] == [spec.id for spec in arm.fixed]
    assert not planned & {spec.id for spec in arm.candidates[1].specs}


def test_trials_are_the_first_repetitions_on_the_data_sets_named() -> None:
    runs = trials(CONFIG)
    assert {spec.dataset for spec in runs} == {"nycflights"}
    assert {spec.seed for spec in runs} == {0, 1}
    assert len(runs) == len({spec.id for spec in runs}) == 2 * (6 + 6 + 3)
    assert all(spec.quick for spec in trials(CONFIG, quick=True))
    everywhere = replace(CONFIG, choose=replace(CONFIG.choose, datasets=()))
    assert {spec.dataset for spec in trials(everywhere)} == {"planted", "nycflights"}
    assert trials(replace(CONFIG, choose=None)) == ()


def test_another_split_of_the_rows_is_chosen_on_alike() -> None:
    assert len(trials(with_changes(CONFIG, dataset="nycflights-time"))) == len(trials(CONFIG))
    assert trials(with_changes(CONFIG, dataset="planted")) == ()


@pytest.mark.parametrize("name", ["formats", "main", "theory", "regularisation"])
def test_on_nycflights_the_committed_studies_choose_from_one_grid_that_holds_the_fixed_setting(name: str) -> None:
    config = with_changes(load_config(name), dataset="nycflights")
    arms = alternatives(config)
    assert len(arms) == len({spec.arm for spec in plan(config)})
    for arm in arms:
        assert arm.candidates[0].specs == arm.fixed
        assert len(arm.candidates) == (4 if arm.fixed[0].option("dropout") is not None else 2)


def test_studies_share_their_runs_on_nycflights() -> None:
    one, other = (
        {spec.id for spec in (*plan(config), *trials(config))}
        for config in (with_changes(load_config(name), dataset="nycflights", seeds=1) for name in ("formats", "theory"))
    )
    assert other < one
    small = with_changes(load_config("regularisation"), dataset="nycflights", seeds=1)
    quadratic = {spec.id for spec in (*plan(small), *trials(small)) if spec.model == "quadratic"}
    assert quadratic < other


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("options.dropout = [0.1, 0.3]", "options.dropuot = [0.1, 0.3]", "choose.options: .*did you mean 'dropout'"),
        ("options.dropout = [0.1, 0.3]", "options.dropout = [0.1]", "choose.options.dropout: .* two or more values"),
        ("options.dropout = [0.1, 0.3]", "options.dropout = [0.1, 0.1]", "choose.options.dropout: .* two or more values"),
        ("options.dropout = [0.1, 0.3]", "options.dropout = 0.1", "choose.options.dropout: .* two or more values"),
        ("options.dropout = [0.1, 0.3]", "options.dropout = [0.1, 'x']", "choose.options.dropout: must be float"),
        ("options.dropout = [0.1, 0.3]", "options.dropout = [0.1, 2.0]", "choose: quadratic: A drop probability"),
        ("training.embedding_l2 = [0.0, 0.5]", "training.embedding_l2 = [0.0, -1.0]", "choose: .*embedding_l2"),
        ("training.embedding_l2 = [0.0, 0.5]", "training.l2 = [0.0, 0.5]", "choose.training: must be one of"),
        ("[choose]", "[choose]\nseeds = 3", "choose.seeds: 1 to the study's 2, however: 3"),
        ("[choose]", "[choose]\nseeds = 0", "choose.seeds: 1 to the study's 2, however: 0"),
        ("[choose]", "[choose]\nmetric = 'test_auc'", "choose.metric: must be one of valid_auc, valid_logloss"),
        ("[choose]", "[choose]\ndatasets = ['plantd']", "choose.datasets: .*did you mean 'planted'"),
        ("[choose]", "[choose]\nby = 'valid_auc'", "choose.by: no such key"),
        (
            "[choose]\noptions.dropout = [0.1, 0.3]\ntraining.embedding_l2 = [0.0, 0.5]",
            "[correlate]\npredictors = ['theory_degree']\noutcomes = ['tuning_gain']",
            "correlate.outcomes: must be .*'tuning_gain'",
        ),
        ("options.dropout = [0.1, 0.3]\ntraining.embedding_l2 = [0.0, 0.5]", "", "choose: arms choose settings .* none is named"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_choice_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in STUDY
    path = tmp_path / "tiny.toml"
    path.write_text(STUDY)
    load_config(path)
    path.write_text(STUDY.replace(old, new))
    with pytest.raises(ValueError, match=f"tiny.toml: {message}"):
        load_config(path)


def test_only_a_training_chooses_on_validation(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(
        'name = "t"\ntitle = "t"\ntask = "boundary"\ndatasets = ["moons"]\n[choose]\ntraining.epochs = [1, 2]\n'
        '[[arms]]\nmodel = "quadratic"\noptions = { format = "T9", hidden = 4 }\n'
    )
    with pytest.raises(ValueError, match=r"choose: settings are chosen on validation rows, .* task = 'boundary'"):
        load_config(path)

"""Study files: every committed one loads, every mistake is named with file and key."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from qnn_theory.registry import formats
from studies.declaring.load import load_config, study_names, with_changes
from studies.declaring.plan import plan

STUDY = """
name = "tiny"
title = "A tiny study"
task = "boundary"
datasets = ["moons"]
seeds = 2

[training]
epochs = 3

[[arms]]
model = "quadratic"
label = "{format}"
options = { format = ["T9", "T19"], post_activation = ["relu", "none"], hidden = 4 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def compare(lines: str) -> str:
    return f"[[compare]]\n{lines}\n[training]"


def correlate(predictor: str, outcome: str, further: str = "") -> str:
    return f'[correlate]\npredictors = ["{predictor}"]\noutcomes = ["{outcome}"]\n{further}\n[training]'


@pytest.mark.parametrize("name", study_names())
def test_every_committed_study_loads(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    for quick in (False, True):
        specs = plan(config, quick=quick)
        assert len({(spec.id, spec.label) for spec in specs}) == len(specs), "two runs of a study are the same"


def test_the_grid_is_every_combination(tmp_path: Path) -> None:
    specs = plan(load_config(written(tmp_path, STUDY)))
    assert [(spec.option("format"), spec.option("post_activation"), spec.seed) for spec in specs] == [
        (format, post, seed) for format in ("T9", "T19") for post in ("relu", None) for seed in (0, 1)
    ]
    assert {spec.label for spec in specs} == {"T9", "T19"}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('seeds = 2', 'seedz = 2', "seedz: no such key (did you mean 'seeds'?)"),
        ('seeds = 2', 'seeds = "2"', "seeds: must be a number of seeds"),
        ('seeds = 2', 'seeds = 0', "seeds: A study has 1 to 10000 seeds, however: seeds=0"),
        ('seeds = 2', 'seeds = [1, 1]', "seeds: each is a repetition"),
        ('title = "A tiny study"', '', "title: this key is needed"),
        ('title = "A tiny study"', 'title = 3', "title: must be str, however: 3"),
        ('task = "boundary"', 'task = "boundry"', "task: must be one of train, boundary, scaling, data"),
        ('datasets = ["moons"]', 'datasets = ["moon"]', "did you mean 'moons'?"),
        ("epochs = 3", "epoch = 3", "training: must be one of epochs, learning_rate, however: 'epoch' (did you mean 'epochs'?)"),
        ("epochs = 3", "epochs = 3.5", "training.epochs: must be int, however: 3.5"),
        ("epochs = 3", "epochs = 0", "at least 1 of epochs"),
        ('model = "quadratic"', 'model = "quadratik"', "arms[0].model: must be one of quadratic"),
        ('label = "{format}"', 'labl = "{format}"', "arms[0].labl: no such key"),
        ('label = "{format}"', 'label = "{fmt}"', "label names settings of its arm"),
        ("hidden = 4", "hiden = 4", "arms[0].options"),
        ("hidden = 4", "hidden = true", "arms[0].options.hidden: must be int, however: True"),
        ('"T19"', '"T99"', "the nearest is"),
        ('"T9", "T19"', '"T9*", "Z*"', "'Z*' matches none"),
        ('"T9", "T19"', '"T13"', ""),
        ('"relu", "none"', '"rellu"', "arms[0].options.post_activation"),
        ("[training]", "[overrides.moons]\ntrainin = {}\n[training]", "overrides"),
        ("[training]", "[overrides.mars.training]\nepochs = 2\n[training]", "overrides: must be one of moons"),
        ("seeds = 2", "seeds = 1000000000000000", "seeds: A study has 1 to 10000 seeds"),
        ('name = "tiny"', 'name = "../tiny"', "name: it becomes part of a path"),
        ('datasets = ["moons"]', 'datasets = ["moons", "moons"]', "datasets: each is named once"),
        ("epochs = 3", "learning_rate = -1.0", "learning_rate is positive"),
        ("epochs = 3", "learning_rate = nan", "learning_rate is positive"),
        ('label = "{format}"', 'label = "{format.x}"', "arms[0]: A label names settings of its arm"),
        ('label = "{format}"', 'label = "{hidden[0]}"', "arms[0]: A label names settings of its arm"),
        ('"T9", "T19"', "", "arms[0]: an arm has at least one run"),
        ('"T9", "T19"', '"T9", "T9"', "arms[0]: each value of a list is another arm"),
        ("[training]", "[quick]\ntrain_rows = 0\n[training]", "quick.train_rows: must be at least 1"),
        ("[training]", compare('against = "T99"'), "compare[0].against: must be one of T9, T19, however: 'T99'"),
        ("[training]", compare('against = "T9"'), "compare[0].against: must be the label of one arm"),
        ("[training]", compare('option = "post"\nagainst = "relu"'), "compare[0].option: must be one of"),
        ("[training]", compare('option = "post_activation"\nagainst = "gelu"'), "compare[0].against: must be one of none, relu"),
        ("[training]", compare('option = "deep"\nagainst = "False"'), "compare[0].against: must be one of false"),
        ("[training]", compare('option = "deep"\nagainst = "false"'), ""),
        ("[training]", compare('option = "format"\nagainst = "T9"\napart_from = ["x"]'), "compare[0].apart_from: must be one of"),
        ("[training]", compare('option = "format"\nagainst = "T9"\nmetrics = ["auc"]'), "(did you mean 'test_auc'?)"),
        ("[training]", compare('option = "format"\nagainst = "T9"\nmetrics = ["jump_order"]'), "compare[0].metrics"),
        ("[training]", compare('option = "deep"\nagainst = "false"\nmetrics = ["train_seconds"]'), "one_at_a_time = true"),
        ("[training]", correlate("theory_degre", "test_auc_mean"), "correlate.predictors: must be one of"),
        ("[training]", correlate("theory_format", "test_auc_mean"), "correlate.predictors: must be one of"),
        ("[training]", correlate("theory_degree", "test_auc"), "(did you mean 'test_auc_"),
        ("[training]", correlate("theory_degree", "published_auc"), "correlate.outcomes: must be one of"),
        ("[training]", correlate("theory_degree", "test_auc_std"), ""),
        ("[training]", correlate("theory_degree", "failed"), ""),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'by = ["deep"]'), ""),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'by = ["depth"]'), "correlate.by: must be one of"),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'best_of = ["training_learning_rate"]'), ""),
        ("[training]", correlate("theory_degree", "test_auc_std", 'best_of = ["deep"]'), "a metric with a better side"),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'best_of = ["rate"]'), "correlate.best_of: must be one of"),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'where = { model = "quadratic" }'), ""),
        ("[training]", correlate("theory_degree", "test_auc_mean", "where = { deep = false }"), ""),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'where = { depth = 3 }'), "correlate.where: must be one of"),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'where = { post_activation = "gelu" }'), "where.post"),
        ("[training]", correlate("theory_degree", "test_auc_mean", 'family = "both"'), "must be 'dataset' or 'study'"),
        ("[training]", correlate("theory_order_size", "test_auc_mean"), "correlate.predictors: must be one of"),
        ('seeds = 2', 'seeds = 2\nlike = "formatz"', "like: must be one of"),
        ("[training]", '[published]\nsource = "figure3"\n[training]', "published.source: must be one of"),
        ("[training]", '[published]\nsource = "figure2"\nreference = "Criteo"\n[training]', "published.reference"),
        ("[training]", '[published]\nsource = "figure2"\nsetting = "{"\n[training]', "published.setting: names settings"),
        ("[training]", '[published]\nsource = "figure2"\nsetting = "{rows}"\n[training]', "published.setting: must be one of"),
        ("[training]", '[published]\nsource = "figure2"\nnames = { T8 = "x" }\n[training]', "published.names: must be one of"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_file_and_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = written(tmp_path, STUDY.replace(old, new))
    assert old in STUDY
    if not complaint:
        load_config(path)
        return
    with pytest.raises(ValueError, match=r"tiny\.toml") as caught:
        load_config(path)
    assert complaint in str(caught.value)


def test_the_same_arm_twice_would_count_each_run_twice(tmp_path: Path) -> None:
    text = STUDY + STUDY[STUDY.index("[[arms]]") :]
    with pytest.raises(
        ValueError, match=r"tiny\.toml: arms\[1\]: each arm has runs of its own, however: 'T9' is in arms\[0\]"
    ):
        load_config(written(tmp_path, text))


@pytest.mark.parametrize(
    ("task", "dataset", "options", "complaint"),
    [
        ("train", "planted", 'model = "qnn-alpha"\noptions = { layers = 0 }', "at least 1 layer"),
        ("train", "planted", 'model = "qnn-alpha"\noptions = { dropout = 1.5 }', "A drop probability is in"),
        ("train", "planted", 'model = "qnn-alpha"\noptions = { heads = 3 }', "heads must divide embedding_dim"),
        ("train", "planted", 'model = "dnn"\noptions = { dropout = 1.5 }', "A drop probability is in"),
        ("scaling", "random", 'model = "qnn-alpha"\nlabel = "rows"\noptions = { layers = 0 }', "at least 1 layer"),
        ("scaling", "random", 'model = "qnn-alpha"\nlabel = "row"', "the option that it varies"),
        ("scaling", "random", 'model = "qnn-alpha"\nlabel = "dropout"\noptions = { dropout = [0.0, 0.5] }', "a positive number"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_built_is_named(
    tmp_path: Path, task: str, dataset: str, options: str, complaint: str
) -> None:
    head = f'name = "tiny"\ntitle = "Tiny"\ntask = "{task}"\ndatasets = ["{dataset}"]\none_at_a_time = true\n[[arms]]\n'
    with pytest.raises(ValueError, match=r"tiny\.toml: arms\[0\]: ") as caught:
        load_config(written(tmp_path, head + options))
    assert complaint in str(caught.value)


def test_a_study_of_time_is_done_one_run_at_a_time(tmp_path: Path) -> None:
    text = 'name = "tiny"\ntitle = "Tiny"\ntask = "scaling"\ndatasets = ["random"]\n'
    text += '[[arms]]\nmodel = "quadratic"\nlabel = "layers"\n'
    with pytest.raises(ValueError, match="one_at_a_time: a scaling study measures time, so it must be true"):
        load_config(written(tmp_path, text))


def test_ones_own_data_have_overrides_too(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text((resources.files("qnn_models.data") / "schemas" / "ml-100k.toml").read_text())
    text = f"""
name = "tiny"
title = "Tiny"
task = "train"
datasets = ["{own}"]
overrides."{own}".training.batch_size = 64
[[arms]]
model = "fm"
options_on."{own}".embedding_dim = 3
"""
    (spec,) = plan(load_config(written(tmp_path, text)))
    assert (dict(spec.training)["batch_size"], spec.option("embedding_dim")) == (64, 3)


def test_an_impossible_width_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, STUDY.replace('"T9", "T19"', '"T13"').replace("hidden = 4", "hidden = 5"))
    with pytest.raises(
        ValueError, match=r"tiny\.toml: arms\[0\]: T13 joins two half-width parts, so d must be even, however: d=5"
    ):
        load_config(path)


def test_no_such_file_and_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        load_config(tmp_path / "missing.toml")
    with pytest.raises(ValueError, match="did you mean 'boundaries'"):
        load_config("boundary")
    with pytest.raises(ValueError, match="not TOML"):
        load_config(written(tmp_path, "name = "))


def test_patterns_follow_the_registry(tmp_path: Path) -> None:
    config = load_config(
        written(
            tmp_path, STUDY.replace('"T9", "T19"', '"*", "!*-paper", "!QNN-alpha*"').replace("hidden = 4", "hidden = 8")
        )
    )
    expected = [f.id for f in formats() if not f.id.endswith("-paper") and not f.id.startswith("QNN-alpha")]
    assert list(dict.fromkeys(spec.option("format") for spec in plan(config))) == expected


def test_other_seeds_and_data_sets(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, STUDY))
    more = with_changes(config, seeds=5, dataset="circles")
    assert {spec.seed for spec in plan(more)} == set(range(5))
    assert {spec.dataset for spec in plan(more)} == {"circles"}
    assert {spec.split_seed for spec in plan(more)} == {0}
    assert len({spec.split_seed for spec in plan(with_changes(more, splits="per-seed"))}) == 5
    with pytest.raises(ValueError, match="1 to 10000 seeds"):
        with_changes(config, seeds=0)
    with pytest.raises(ValueError, match="datasets"):
        with_changes(config, dataset="venus")


def test_a_study_may_have_the_runs_of_another(tmp_path: Path) -> None:
    text = 'name = "tiny"\ntitle = "A"\ntask = "boundary"\ndatasets = ["moons"]\nlike = "boundaries"\n'
    taken = plan(load_config(written(tmp_path, text)))
    own = [spec for spec in plan(load_config("boundaries")) if spec.dataset == "moons"]
    assert [spec.id for spec in taken] == [spec.id for spec in own]
    shorter = load_config(written(tmp_path, text + "[training]\nepochs = 7\n"))
    assert shorter.arms == load_config("boundaries").arms
    assert shorter.training == {"epochs": 7}


def test_an_activation_may_be_attached_beside_patterns(tmp_path: Path) -> None:
    specs = plan(load_config(written(tmp_path, STUDY.replace('"T9", "T19"', '"T1?", "!T13", "Linear+relu"'))))
    labels = {spec.label for spec in specs}
    assert {"T10", "T19", "Linear+relu"} <= labels
    assert "T13" not in labels

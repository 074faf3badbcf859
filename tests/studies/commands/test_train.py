import json
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner, Result

from qnn_models.data.registry import dataset_names, load
from qnn_models.evaluation.evaluate import evaluate, slices
from qnn_models.models.registry import model_names
from qnn_models.serving.trained import load_trained
from qnn_models.training import loop as training
from studies.cli import main
from studies.commands.train import parse_settings, specify
from studies.tasks import train_task
from studies.tasks.protocol import default_options, default_training

QUICK = ("--dataset", "planted", "--model", "dnn", "--set", "hidden_units=8", "--set", "max_epochs=2", "--threads", "1")


def qnn_train(*arguments: str) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(main, ["train", *arguments])
    finally:
        torch.set_num_threads(threads)


def report(*arguments: str) -> dict[str, Any]:
    result = qnn_train(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    timed = ("train_seconds_per_epoch", "inference_us_per_row", "history")
    return {key: value for key, value in values.items() if key not in timed}


def test_one_json_object_with_settings_and_metrics() -> None:
    found = report(*QUICK, "--seed", "3")
    assert (found["dataset"], found["model"], found["seed"]) == ("planted", "dnn", 3)
    assert found["options"]["hidden_units"] == 8
    assert found["training"]["max_epochs"] == 2
    assert len(found["history"]) == found["epochs"] == 2
    assert 0 < found["test_auc"] < 1
    assert without_times(report(*QUICK, "--seed", "3")) == without_times(found)
    assert report(*QUICK, "--seed", "4")["test_auc"] != found["test_auc"]


def test_the_same_run_in_a_study_has_the_same_metrics() -> None:
    found = report(*QUICK)
    spec = specify("planted", "dnn", None, seed=0, split_seed=0, given={"hidden_units": 8, "max_epochs": 2})
    assert spec.id == found["run_id"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as QUICK has it: how many threads sum decides the last bits
    try:
        metrics = train_task.run(spec).metrics
    finally:
        torch.set_num_threads(threads)
    for name in ("test_auc", "test_logloss", "valid_auc", "best_epoch"):
        assert metrics[name] == found[name]


def test_out_keeps_the_model_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = report(*QUICK)
    real, steps = training._Loop._step, iter(range(100))

    def step(*args: Any) -> Any:
        if next(steps) == 7:  # in the second epoch
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(training._Loop, "_step", step)
    stopped = qnn_train(*QUICK, "--out", str(tmp_path / "run"))
    assert stopped.exit_code == 1
    assert "Stopped; the same command goes on" in stopped.output
    monkeypatch.setattr(training._Loop, "_step", real)
    found = report(*QUICK, "--out", str(tmp_path / "run"))
    assert found.pop("valid_oov").keys() == set(load("planted").layout.names)
    assert without_times(found) == without_times(undisturbed)
    trained = load_trained(tmp_path / "run")
    again = evaluate(trained.model, slices(load("planted").split("test"), 1000))
    assert again.auc == pytest.approx(found["test_auc"], abs=1e-6)


def test_a_reader_at_a_terminal_sees_the_metrics() -> None:
    result = qnn_train(*QUICK)
    assert result.exit_code == 0
    assert "test        AUC 0." in result.stdout


def test_a_format_alone_means_the_quadratic_network() -> None:
    found = report("--dataset", "planted", "--format", "T19", "--set", "layers=1", "--set", "max_epochs=1")
    assert (found["model"], found["options"]["format"], found["options"]["layers"]) == ("quadratic", "T19", 1)


def test_what_a_user_names_wins_over_the_defaults() -> None:
    def loss(**given: Any) -> Any:
        return dict(specify("ml-100k", None, None, seed=0, split_seed=0, given=given).training)["loss"]

    assert loss() == "self_ensemble"
    assert loss(loss="bce") == "bce"


def test_the_default_of_qnn_alpha_is_the_reference_protocol() -> None:
    spec = specify("ml-100k", None, None, seed=0, split_seed=0, given={})
    options, settings = dict(spec.options), dict(spec.training)
    assert {key: options[key] for key in ("embedding_dim", "layers", "rows", "batch_norm", "dropout")} == {
        "embedding_dim": 16,
        "layers": 2,
        "rows": 4,
        "batch_norm": True,
        "dropout": 0.1,
    }
    assert (settings["batch_size"], settings["embedding_l2"], settings["patience"]) == (4096, 0.01, 2)


@pytest.mark.parametrize("dataset", dataset_names())
def test_defaults_are_settings_that_exist(dataset: str) -> None:
    for model in model_names():
        assert default_training(dataset, model).keys() <= train_task.training_parameters().keys()
    assert default_options(dataset).keys() <= train_task.option_parameters("qnn-alpha").keys()


def test_values_are_read_as_in_toml() -> None:
    found = parse_settings(("a=3", "b=0.5", "c=true", "d=relu", 'e="relu"', "f=1e-3", "g=none"))
    assert found == {"a": 3, "b": 0.5, "c": True, "d": "relu", "e": "relu", "f": 1e-3, "g": "none"}


def test_none_and_whole_numbers_fit_the_settings_types() -> None:
    given = {"mid_activation": "none", "learning_rate": 1, "chunk_rows": "none"}
    spec = specify("planted", "qnn-alpha", None, seed=0, split_seed=0, given=given)
    assert dict(spec.options)["mid_activation"] is None
    assert dict(spec.training)["learning_rate"] == 1.0
    assert dict(spec.training)["chunk_rows"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "dnn", "--set", "hiden_units=8"), "did you mean 'hidden_units'?"),
        (("--model", "dnn", "--set", "hidden_units=wide"), "must be int, however: 'wide'"),
        (("--model", "dnn", "--set", "hidden_units"), "written key=value, however: 'hidden_units'"),
        (("--set", "rows=2", "--set", "rows=3"), "rows is given twice"),
        (("--model", "dmn"), "the nearest is 'dnn'"),
        (("--format", "T99"), "the nearest is"),
        (("--format", "T9", "--model", "fm"), "use --model quadratic"),
        (("--format", "T11", "--set", "projection=7"), "d must be even"),
        (("--set", "loss=hinge"), "must be"),
        (("--set", "learning_rate=0"), "learning_rate is positive, however: learning_rate=0"),
        (("--device", "tpu"), "A device is"),
    ],
)
def test_mistakes_are_one_clear_line(arguments: tuple[str, ...], message: str) -> None:
    result = qnn_train("--dataset", "planted", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_diverging_run_says_what_to_lower() -> None:
    result = qnn_train("--dataset", "planted", "--format", "T9", "--set", "learning_rate=1e30")
    assert result.exit_code == 1
    assert "lower learning_rate" in result.output
    assert not isinstance(result.exception, click.ClickException | FloatingPointError)

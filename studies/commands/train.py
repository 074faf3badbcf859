"""``qnn train``: train one model on one data set, by the published protocol unless told otherwise."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studies.commands.outputs import output_folder
from studies.commands.run_file import CHECKPOINT_FOLDER, RunFile, check_same_run, read_run, write_run

if TYPE_CHECKING:
    from qnn_models.training.config import TrainResult
    from studies.tasks.spec import RunSpec, Scalar


@click.command()
@click.argument("run_file", required=False, metavar="[RUN.toml]", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--dataset", default=None, help="Name of a data set (`qnn data list`), or a TOML schema of your own files."
)
@click.option("--model", default=None, help="Name of a model. [default: qnn-alpha; with --format: quadratic]")
@click.option("--format", "format_id", default=None, help="Neuron format of the quadratic network, such as T19.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of start values, dropout and order of batches."
)
@click.option(
    "--split-seed", type=int, default=0, show_default=True, help="Seed of the split, where the files make none."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An option of the model or of the training."
)
@click.option("--source", type=click.Path(path_type=Path), help="Folder of the data set's own files.")
@click.option("--offline", is_flag=True, help="Take the data set as it is in the cache, whatever its source holds now.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), default=None, help="CPU threads. [default: all cores]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Keep the trained model here; interrupted, go on from here."
)
@click.option(
    "--checkpoint-steps", type=click.IntRange(min=1), help="With --out: keep the state every so many steps too."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def train(
    run_file: Path | None,
    dataset: str | None,
    model: str | None,
    format_id: str | None,
    seed: int,
    split_seed: int,
    settings: tuple[str, ...],
    source: Path | None,
    offline: bool,
    device: str,
    threads: int | None,
    out: Path | None,
    checkpoint_steps: int | None,
    as_json: bool,
) -> None:
    """Train one model on one data set and score it on the test split.

    The run is told by options, or by a file RUN.toml with the keys dataset, model, seed, split_seed, source and the tables
    [options] and [training]. --out keeps such a file beside the model, which repeats the run; told again to train what it holds
    already, the command prints the figures that are kept there.

    Several processes train one model on shares of each batch, under torch's own launcher:

    \b
        torchrun --nproc-per-node 2 --no-python qnn train --dataset ml-100k --out run

    Each takes a GPU where there are GPUs, and --threads CPU threads otherwise, 1 unless told; `torchrun --help` tells how to
    join machines. batch_size counts the rows of all processes. When a process ends, all do; the same command goes on from
    --out, with any number of processes, and `torchrun --max-restarts` starts it by itself.
    """  # noqa: D301  (click's mark of a paragraph that it must not fill)
    import torch

    from qnn_models.data.registry import prepare
    from qnn_models.evaluation.evaluate import resolve_device
    from qnn_models.runtime.distributed import launched
    from qnn_models.runtime.seeds import derive
    from qnn_models.serving.trained import save_trained
    from qnn_models.training.config import TrainConfig, warnings_of
    from qnn_models.training.loop import train as run_training
    from studies.tasks.train_task import build

    if out is not None:
        output_folder(out)
    resolve_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    given = parse_settings(settings)
    if run_file is not None:
        run = _told_by(run_file)
        dataset, model, seed, split_seed = run.dataset, run.model, run.seed, run.split_seed
        given, source = {**run.options, **run.training}, source or (Path(run.source) if run.source else None)
    elif dataset is None:
        raise click.UsageError("Missing option '--dataset', or the file of a run.")
    spec = specify(dataset, model, format_id, seed=seed, split_seed=split_seed, given=given)
    if out is not None:
        check_same_run(out, spec)
    config = TrainConfig(**dict(spec.training), seed=derive(spec.root_seed, "training"))  # type: ignore[arg-type]
    try:
        with launched() as processes:
            progress = processes.first and not as_json
            with processes.one_per_machine_first():
                encoded = prepare(dataset, source=source, split_seed=split_seed, offline=offline, progress=progress)
            kept = _finished(out, spec, encoded.content_hash) if processes.first and out is not None else None
            kept = processes.from_first({}, kept)[1]
            if kept is not None:
                if processes.first:
                    _show(kept, out, as_json)
                return
            if processes.first and out is not None:
                write_run(out, spec, source)
            network = build(spec, encoded)
            result = run_training(
                network,
                encoded,
                config,
                device=device,
                checkpoint=None if out is None else out / CHECKPOINT_FOLDER,
                checkpoint_steps=checkpoint_steps,
                progress=progress,
                processes=processes,
            )
    except KeyboardInterrupt:
        remedy = "with --out it would go on" if out is None else "the same command goes on"
        raise click.ClickException(f"Stopped; {remedy} after the last whole epoch.") from None
    if not processes.first:
        return
    warnings = warnings_of(result, config, train_rows=encoded.num_rows("train"))
    report = summary(spec, result, content_hash=encoded.content_hash) | {"warnings": warnings}
    if out is not None:
        from qnn_models.serving.predict import UnknownTokens

        unknown = UnknownTokens(encoded.layout)
        for batch in encoded.batches("valid", batch_size=2**17):
            unknown.add(batch.ids.numpy())
        report["valid_oov"] = unknown.shares()
        save_trained(
            out, network, encoded, name=spec.model, options=dict(spec.options), split_seed=split_seed, report=report
        )
    _show(report, out, as_json)


def _told_by(run_file: Path) -> RunFile:
    """The run of a file, which says all that the options would."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    for name in ("dataset", "model", "format_id", "seed", "split_seed", "settings"):
        if context.get_parameter_source(name) != default:
            option = {"format_id": "--format", "settings": "--set"}.get(name, f"--{name.replace('_', '-')}")
            raise click.UsageError(
                f"A run's file says what is trained, however: {option} does so too; change {run_file}."
            )
    return read_run(run_file)


def _finished(out: Path, spec: RunSpec, content_hash: str) -> dict[str, Any] | None:
    """The report of this very run, where the folder holds it finished and sound."""
    from qnn_models.serving.trained import load_trained

    if not check_same_run(out, spec):
        return None
    try:
        trained = load_trained(out)
    except (FileNotFoundError, ValueError):  # not yet there, or damaged: it is made from the checkpoint
        return None
    return dict(trained.report) if trained.content_hash == content_hash else None


def _show(report: Mapping[str, Any], out: Path | None, as_json: bool) -> None:
    click.echo(json.dumps(report) if as_json else text(report, out))
    for warning in report["warnings"]:
        click.echo(f"Warning: {warning}.", err=True)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Scalar]:
    """``key=value`` texts as a mapping; values are written as in TOML, and a bare word is a text.

    Raises:
        ValueError: a text without ``=``, or a key that is given twice.
    """
    found: dict[str, Scalar] = {}
    for entry in settings:
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not equals or not key or not value:
            raise ValueError(f"A setting is written key=value, however: {entry!r}; for example --set batch_size=1024.")
        if key in found:
            raise ValueError(f"A setting is given once, however: {key} is given twice.")
        try:
            document = tomllib.loads(f"value = {value}")
        except (ValueError, RecursionError):
            document = {}
        found[key] = document["value"] if document.keys() == {"value"} else value
    return found


def specify(
    dataset: str,
    model: str | None,
    format_id: str | None,
    *,
    seed: int,
    split_seed: int,
    given: Mapping[str, Scalar],
) -> RunSpec:
    """The run that a command line asks for, every setting written out; the same run in a study has the same bits.

    Raises:
        ValueError: an unknown setting, a value of the wrong type, a format for a model without one, an impossible width.
        KeyError: an unknown data set, model or format.
    """
    from qnn_models.data.registry import PLANTED, get_schema
    from qnn_theory.registry import stored_name
    from studies.tasks import train_task
    from studies.tasks.protocol import default_options, default_training
    from studies.tasks.signatures import as_value, check_settings
    from studies.tasks.spec import RunSpec, settings

    known = dataset if dataset == PLANTED else get_schema(dataset).name
    name = model or ("quadratic" if format_id is not None else "qnn-alpha")
    options, training = train_task.option_parameters(name), train_task.training_parameters()
    if format_id is not None:
        if "format" not in options:
            raise ValueError(f"{name} has no choice of format, however: --format {format_id}; use --model quadratic.")
        given = {"format": stored_name(format_id), **given}
    check_settings(given, {**options, **training}, "--set")

    def complete(parameters: Mapping[str, Any], defaults: Mapping[str, Scalar]) -> dict[str, Scalar]:
        chosen = {key: parameter.default for key, parameter in parameters.items()}
        for source in (defaults, given):
            chosen |= {
                key: as_value(value, parameters[key].annotation) for key, value in source.items() if key in chosen
            }
        return chosen

    spec = RunSpec(
        task="train",
        dataset=dataset,
        model=name,
        options=settings(complete(options, default_options(known))),
        training=settings(complete(training, default_training(known, name))),
        seed=seed,
        split_seed=split_seed,
    )
    train_task.check(spec)
    return spec


def summary(spec: RunSpec, result: TrainResult, *, content_hash: str) -> dict[str, Any]:
    """Settings and outcome of a run as JSON values; AUC as a fraction, log loss in nats."""
    from dataclasses import asdict

    outcome = asdict(result)
    history = outcome.pop("history")
    return {
        "dataset": spec.dataset,
        "content_hash": content_hash,
        "model": spec.model,
        "options": dict(spec.options),
        "training": dict(spec.training),
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "run_id": spec.id,
        "epochs": len(history),
        **outcome,
        "history": history,
    }


def text(report: Mapping[str, Any], out: Path | None) -> str:
    """The outcome for a reader at a terminal."""
    options = ", ".join(f"{key}={value}" for key, value in report["options"].items())
    lines = [
        f"{report['model']} on {report['dataset']}, seed {report['seed']}, on {report['device']}",
        f"  options     {options or 'none'}",
        f"  loss        {report['training']['loss']}",
        f"  parameters  {report['num_parameters']:,}",
        f"  epochs      {report['epochs']}, best {report['best_epoch']}, "
        f"{report['train_seconds_per_epoch']:.2f} s each; {report['inference_us_per_row']:.1f} µs per row at inference",
        f"  validation  AUC {report['valid_auc']:.4f}   log loss {report['valid_logloss']:.4f}"
        f"   (a constant's: {report['constant_logloss']:.4f})",
        f"  test        AUC {report['test_auc']:.4f}   log loss {report['test_logloss']:.4f}   "
        f"calibration error {report['test_calibration_error']:.4f}   mean prediction {report['test_mean_prediction']:.4f} "
        f"of {report['test_mean_label']:.4f}",
    ]
    return "\n".join(lines if out is None else [*lines, f"  kept in     {out}"])

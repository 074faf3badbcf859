"""`run.toml`: one training as a file. Every run keeps the one that repeats it, and a folder keeps one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies.tasks.spec import RunSpec

__all__ = ["CHECKPOINT_FOLDER", "RUN_FILE", "RunFile", "check_same_run", "read_run", "write_run"]

RUN_FILE = "run.toml"
CHECKPOINT_FOLDER = "checkpoint"
_HEAD = "# One training; it is repeated by: qnn train {name} --out ANOTHER_FOLDER\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """What `qnn train` is told of a run.

    Attributes:
        dataset: name of a data set, or a schema's TOML file, relative to this one.
        model: name of a model; None: as on the command line.
        seed: of start values, dropout and order of batches.
        split_seed: of the split.
        source: folder of the data set's own files, relative to this one; "" where its schema knows them.
        options: the model's, by name; what is left out has its default.
        training: the training's, likewise.
    """

    dataset: str
    model: str | None = None
    seed: int = 0
    split_seed: int = 0
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def read_run(path: Path) -> RunFile:
    """Read a run's file.

    Raises:
        ValueError: it is no TOML, has an unknown key or a value of another type, or names no data set; names file and key.
        OSError: it cannot be read.
    """
    from qnn_models.models.registry import model_names
    from qnn_models.runtime.toml import read_toml
    from studies.tasks.signatures import check_settings, dataclass_parameters, known
    from studies.tasks.train_task import option_parameters, training_parameters

    raw = read_toml(path)
    parameters = dataclass_parameters(RunFile)
    for key, value in raw.items():
        known(key, tuple(parameters), str(path))
        if key in ("options", "training"):
            if not isinstance(value, dict):
                raise ValueError(f"{path}: {key} is a table, however: {value!r}; write [{key}].")
        else:
            check_settings({key: value}, parameters, str(path))
    if "dataset" not in raw:
        raise ValueError(f"{path}: a run names its data set, however: there is no key dataset; add one.")
    found = RunFile(**raw)
    name = found.model or ("quadratic" if "format" in found.options else "qnn-alpha")
    known(name, model_names(), f"{path}: model")
    check_settings(found.options, option_parameters(name), f"{path}: options")
    check_settings(found.training, training_parameters(), f"{path}: training")
    return RunFile(
        dataset=_place(found.dataset, path.parent) if found.dataset.endswith(".toml") else found.dataset,
        model=name,
        seed=found.seed,
        split_seed=found.split_seed,
        source=_place(found.source, path.parent) if found.source else "",
        options=found.options,
        training=found.training,
    )


def write_run(folder: Path, spec: RunSpec, source: Path | None) -> None:
    """Keep a run's file in its folder; every setting is written out, so that a later version repeats the same."""
    import tomli_w

    from qnn_models.runtime.whole_file import appearing

    content = _content(spec)
    if source is not None:
        content["source"] = str(source.absolute())
    tables = {key: content.pop(key) for key in ("options", "training")}
    with appearing(folder / RUN_FILE) as temporary:
        text = tomli_w.dumps({**content, **tables})
        temporary.write_text(_HEAD.format(name=RUN_FILE) + text, encoding="utf-8")


def check_same_run(folder: Path, spec: RunSpec) -> bool:
    """Whether a folder holds this run, begun or finished; False where it holds none.

    Raises:
        ValueError: it holds another; names the first key that differs.
    """
    from qnn_models.serving.trained import MODEL_FILE

    path, kept = folder / RUN_FILE, (folder / MODEL_FILE, folder / CHECKPOINT_FOLDER)
    # A run that was stopped before it kept anything binds nobody.
    if not path.is_file() or not any(place.exists() for place in kept):
        return False
    stored, now = _flat(_of_file(read_run(path))), _flat(_content(spec))
    for key in sorted(stored.keys() | now.keys(), key=lambda key: ("." in key, key not in ("dataset", "model"), key)):
        if stored.get(key) != now.get(key):
            raise ValueError(
                f"A folder keeps one run, however: {folder} has that of {key} = {stored.get(key, 'absent')!r}, and this one "
                f"has {now.get(key, 'absent')!r}; give another --out, or the same settings."
            )
    return True


def _content(spec: RunSpec) -> dict[str, Any]:
    return {
        "dataset": _place(spec.dataset, Path()) if spec.dataset.endswith(".toml") else spec.dataset,
        "model": spec.model,
        "seed": spec.seed,
        "split_seed": spec.split_seed,
        "options": {key: "none" if value is None else value for key, value in spec.options},
        "training": {key: "none" if value is None else value for key, value in spec.training},
    }


def _of_file(run: RunFile) -> dict[str, Any]:
    kept = ("dataset", "model", "seed", "split_seed", "options", "training")
    return {key: getattr(run, key) for key in kept}


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= {f"{key}.{name}": item for name, item in value.items()} if isinstance(value, Mapping) else {key: value}
    return flat


def _place(path: str, folder: Path) -> str:
    return str((folder / path).absolute())

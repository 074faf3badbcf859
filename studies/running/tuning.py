"""Search of hyper-parameters with Optuna, over a declared space, on validation AUC alone; resumable.

A search is a strict TOML file like a study. Each trial is a set of runs like any other (one per seed), with their records in a
store, so settings that come up twice are trained once. The trials live in an SQLite file: killed and started again, a search
goes on with what it has learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeGuard

from qnn_models.runtime.toml import read_toml
from studies.declaring.checks import validated
from studies.declaring.config import Arm, StudyConfig, checked_seeds
from studies.declaring.plan import plan
from studies.running.record import GUARD, Store, guarded
from studies.running.runner import run_specs
from studies.tasks.signatures import nearest
from studies.tasks.spec import Scalar, digest

if TYPE_CHECKING:
    import optuna

OBJECTIVE = "valid_auc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers between two ends, both included; whole where both ends are.

    Attributes:
        low: smallest value.
        high: largest value.
        log: whether it is searched by orders of magnitude.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A declared search.

    Attributes:
        name: names its trials.
        dataset: the data set.
        model: the model.
        seeds: runs per trial; their mean decides.
        options: searched or fixed settings of the model.
        training: searched or fixed settings of the training.
    """

    name: str
    dataset: str
    model: str
    seeds: int = 1
    options: Mapping[str, Range | tuple[Scalar, ...] | Scalar] = field(default_factory=dict)
    training: Mapping[str, Range | tuple[Scalar, ...] | Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best trial so far.

    Attributes:
        trials: trials that ended well.
        options: its model settings.
        training: its training settings.
        valid_auc: mean validation AUC over its seeds; it was chosen for it, so it is too good.
        test_auc: mean test AUC over its seeds; no choice was made on it.
        test_logloss: mean test log loss over its seeds.
    """

    trials: int
    options: Mapping[str, Scalar]
    training: Mapping[str, Scalar]
    valid_auc: float
    test_auc: float
    test_logloss: float


def load_search(name: str) -> Search:
    """Read a search, given as a TOML file or by the name of one that comes with the package.

    Raises:
        ValueError: the file is missing or something in it is wrong; names file and key.
    """
    path = _find(name)
    content = read_toml(path)
    try:
        known = tuple(Search.__dataclass_fields__)
        for key in content:
            if key not in known:
                raise ValueError(f"{key}: no such key{nearest(key, known)}; there are {', '.join(known)}")
        for key, kind in (("name", str), ("dataset", str), ("model", str), ("seeds", int)):
            if type(content.get(key, 1 if key == "seeds" else None)) is not kind:
                raise ValueError(f"{key}: must be {kind.__name__}, however: {content.get(key)!r}")
        sections: dict[str, dict[str, Range | tuple[Scalar, ...] | Scalar]] = {}
        for section in ("options", "training"):
            table = content.get(section, {})
            if not isinstance(table, dict):
                raise ValueError(f"{section}: must be a table, however: {table!r}")
            sections[section] = {key: _choice(value, f"{section}.{key}") for key, value in table.items()}
        search = Search(**{**content, **sections})
        _check(search)
    except ValueError as error:
        raise ValueError(f"{path}: {str(error).rstrip('.')}.") from None
    return search


def _find(name: str) -> Path:
    folder = Path(str(resources.files("studies") / "searches"))
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        names = ", ".join(sorted(found.stem for found in folder.glob("*.toml")))
        raise ValueError(f"A search is one of {names} or the path of a .toml file, however: {name!r}.")
    return path


def _check(search: Search) -> None:
    """Check names, types and values as those of a study are: at both ends of all ranges, and each value of each list."""
    for end in (0, -1):
        validated(_study(search, *_settings(search, lambda _, choice, end=end: _values(choice)[end])))  # type: ignore[misc]
    for section, choices in (("options", search.options), ("training", search.training)):
        for name, choice in choices.items():
            for value in _values(choice)[1:-1]:

                def pick(key: str, other: Any, here: str = f"{section}.{name}", value: Scalar = value) -> Scalar:
                    return value if key == here else _values(other)[0]

                validated(_study(search, *_settings(search, pick)))


def tune(search: Search, *, trials: int, storage: Path, store: Store, threads: int = 1, progress: bool = True) -> Found:
    """Go on with a search until it has so many trials.

    Args:
        search: what is searched.
        trials: trials that ended well, those of earlier calls included.
        storage: SQLite file of the trials.
        store: where the records of the runs are.
        threads: threads per run.
        progress: whether to show a line per trial.

    Raises:
        ValueError: trials below 1, or no trial ended well; or the file of the trials is damaged or its disk full.
    """
    import optuna
    from sqlalchemy.exc import DatabaseError

    try:
        return _tune(search, trials=trials, storage=storage, store=store, threads=threads, progress=progress)
    except (DatabaseError, optuna.exceptions.StorageInternalError) as error:
        said = str(error.orig if isinstance(error, DatabaseError) else error)
        raise ValueError(
            f"The trials of a search are in an SQLite file on a disk with space, however: {storage}: {said}; make space, "
            f"or move the file away and search anew (runs that are done are kept as records)."
        ) from error


def _tune(search: Search, *, trials: int, storage: Path, store: Store, threads: int, progress: bool) -> Found:
    import optuna

    from qnn_models.runtime.seeds import derive

    if trials < 1:
        raise ValueError(f"A search has at least 1 trial, however: trials={trials}.")
    optuna.logging.set_verbosity(optuna.logging.INFO if progress else optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)
    # Two calls that both find no file would both make the tables.
    with guarded(storage.with_name(f".{storage.name}{GUARD}")):
        study = optuna.create_study(
            # A search that was changed is another one: its trials would not compare with those of before.
            study_name=f"{search.name}:{search.dataset}:{search.model}:{digest(asdict(search))}",
            storage=f"sqlite:///{storage}",
            load_if_exists=True,
            direction="maximize",
        )
    enough = optuna.study.MaxTrialsCallback(trials, states=(optuna.trial.TrialState.COMPLETE,))

    def objective(trial: optuna.Trial) -> float:
        # Its own for each trial: neither a search that goes on nor one beside it draws the same settings again.
        study.sampler = optuna.samplers.TPESampler(seed=derive(0, "tune", trial.number) % 2**32)
        config = _study(search, *_settings(search, lambda key, choice: _suggest(trial, key, choice)))
        scores = _scores(config, store, threads)
        if scores is None:
            raise optuna.TrialPruned("a run failed")
        trial.set_user_attr("options", dict(config.arms[0].options))
        trial.set_user_attr("training", dict(config.training))
        for metric in ("test_auc", "test_logloss"):
            trial.set_user_attr(metric, scores[metric])
        return scores[OBJECTIVE]

    while (left := trials - len(_ended(study))) > 0:
        study.optimize(objective, n_trials=left, callbacks=[enough])
        if not _ended(study):
            raise ValueError(
                f"At least one trial must end well, however: all {len(study.trials)} failed; see the records."
            )
    best = study.best_trial
    return Found(
        trials=len(_ended(study)),
        options=best.user_attrs["options"],
        training=best.user_attrs["training"],
        valid_auc=float(best.value or 0.0),
        test_auc=best.user_attrs["test_auc"],
        test_logloss=best.user_attrs["test_logloss"],
    )


def _scores(config: StudyConfig, store: Store, threads: int) -> Mapping[str, float] | None:
    """Mean metrics over the seeds; None when a run failed."""
    specs = plan(config)
    run_specs(specs, store, threads=threads, progress=False)
    records = [store.read(spec.id) for spec in specs]
    done = [record for record in records if record is not None and record.status == "done"]
    if len(done) < len(specs):
        return None
    return {name: fmean(record.metrics[name] for record in done) for name in (OBJECTIVE, "test_auc", "test_logloss")}


def _study(search: Search, options: Mapping[str, Scalar], training: Mapping[str, Scalar]) -> StudyConfig:
    return StudyConfig(
        name=search.name,
        title=f"search {search.name}",
        task="train",
        datasets=(search.dataset,),
        arms=(Arm(model=search.model, options=options),),
        seeds=tuple(range(checked_seeds(search.seeds))),
        training=training,
    )


def _settings(search: Search, pick: Callable[[str, Any], Scalar]) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    options = {key: pick(f"options.{key}", choice) for key, choice in search.options.items()}
    return options, {key: pick(f"training.{key}", choice) for key, choice in search.training.items()}


def _suggest(trial: optuna.Trial, key: str, choice: Range | tuple[Scalar, ...] | Scalar) -> Scalar:
    match choice:
        case Range(low=int(low), high=int(high), log=log):
            return trial.suggest_int(key, low, high, log=log)
        case Range(low=low, high=high, log=log):
            return trial.suggest_float(key, low, high, log=log)
        case tuple():
            return trial.suggest_categorical(key, choice)
        case fixed:
            return fixed


def _values(choice: Any) -> tuple[Scalar, ...]:
    """The values to check: a range stands for its ends."""
    match choice:
        case Range(low=low, high=high):
            return low, high
        case tuple():
            return choice
        case fixed:
            return (fixed,)


def _choice(value: Any, key: str) -> Range | tuple[Scalar, ...] | Scalar:
    if isinstance(value, list):
        if not value or not all(isinstance(item, bool | int | float | str) for item in value):
            raise ValueError(f"{key}: a choice is a list of numbers, texts or truth values, however: {value!r}")
        return tuple(value)
    if isinstance(value, dict):
        low, high, log = value.get("low"), value.get("high"), value.get("log", False)
        if set(value) - {"low", "high", "log"} or not (_number(low) and _number(high)) or not isinstance(log, bool):
            raise ValueError(
                f"{key}: a range is {{ low, high }} of numbers, with log = true or false, however: {value!r}"
            )
        if low > high or (log and low <= 0):
            raise ValueError(f"{key}: low must not be above high, and above 0 for log = true, however: {value!r}")
        whole = isinstance(low, int) and isinstance(high, int)
        return Range(low=low if whole else float(low), high=high if whole else float(high), log=log)
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{key}: must be a value, a list or a range, however: {value!r}")


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ended(study: optuna.Study) -> list[Any]:
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def with_dataset(search: Search, dataset: str | None) -> Search:
    """The search on another data set, or itself for None.

    Raises:
        ValueError: there is no such data set, or the search does not fit it.
    """
    if dataset is None:
        return search
    there = replace(search, dataset=dataset)
    _check(there)
    return there

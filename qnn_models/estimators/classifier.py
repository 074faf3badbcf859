"""`CTRClassifier`: a click-through-rate model by scikit-learn's contract, on data frames."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from qnn_models.data.layout import Split
from qnn_models.data.schema import BUCKETS, Schema
from qnn_models.estimators.fields import column_names_or_none, kinds_of, schema_of, series_of_table
from qnn_models.estimators.inputs import checked_classes, checked_columns, checked_rows, checked_weights, two_classes
from qnn_models.estimators.rows import encoded, encoder_of, grown_encoder, held_out, rows_of, split_of
from qnn_models.estimators.saving import Fitted, read_fitted, write_fitted
from qnn_models.evaluation.evaluate import predict_logits, slices
from qnn_models.models.registry import build
from qnn_models.runtime.seeds import derive
from qnn_models.training.config import TrainConfig, warnings_of
from qnn_models.training.growing import grow_model, grow_optimizer
from qnn_models.training.loop import train, train_pass
from qnn_theory.grammar.format import Format
from qnn_theory.registry import stored_name

__all__ = ["CTRClassifier"]

_BATCH_ROWS = 4096
_DATASET = "frame"
_TWO_PASSES = ("qnn-alpha", "qnn-alpha-mlp")


class CTRClassifier(ClassifierMixin, BaseEstimator):
    """A click-through-rate model as a classifier of two classes, on frames of pandas, polars or pyarrow, or on arrays.

    Numbers are put into quantile buckets, unless they are whole and look like ids (few of them, or `user_id` by name); lists are
    sequences; all else is categorical, with an id for each value seen in training. None, NaN and null are missing values, which
    have an id of their own where training rows lack some. `7`, `7.0` and `"7"` are one value. `encoder_.schema.fields` tells what
    each column was taken for; `categorical` and `numeric` say it.

    A part of the training rows is held out to choose the best epoch by, unless `fit` is given an `eval_set`.

    Args:
        model: a model's name (`qnn_models.model_names`); QNN-α when left out, and the quadratic network where a format is given.
        format: the quadratic network's neuron format: an id such as ``"T19"``, a formula, or a `Format`.
        options: further options of the model, such as ``{"embedding_dim": 8, "layers": 3}``.
        loss: see `qnn_models.TrainConfig`; QNN-α's own when left out and the model is QNN-α, else ``bce``.
        batch_size: rows a step; taken by the number of rows when left out.
        learning_rate: Adam's, at the start.
        embedding_l2: λ of the term ``λ/2 ‖E‖²`` of the embeddings.
        max_epochs: epochs after which training ends in any case.
        patience: epochs in a row without improvement after which it ends.
        monitor: what must improve: ``auc`` or ``auc-logloss``, AUC less log loss.
        prior_bias: start at the log odds of the labels.
        categorical: columns of numbers that are ids.
        numeric: columns of whole numbers that are quantities.
        buckets: most quantile buckets of a numeric column.
        min_count: rows that must hold a value for it to get an id of its own; by the number of rows when left out.
        validation_fraction: share of the training rows held out, of each class; 0: the training rows themselves choose the epoch.
        random_state: seed of start values, dropout, order of the rows and of what is held out; None draws one.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        verbose: show a bar per epoch.

    Attributes:
        classes_: the two classes; the second is the click.
        n_features_in_: number of columns.
        feature_names_in_: their names, where X had names.
        encoder_: from rows to ids.
        model_: the trained network.
        history_: a record of each epoch.
        n_iter_: number of epochs.
        best_epoch_: the chosen one, from 1.

    Example:
        >>> classifier = CTRClassifier(format="T19", random_state=0)             # doctest: +SKIP
        >>> classifier.fit(frame, clicked).predict_proba(new_rows)[:, 1]         # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        format: str | Format | None = None,
        options: Mapping[str, Any] | None = None,
        loss: str | None = None,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        embedding_l2: float = 0.0,
        max_epochs: int = 100,
        patience: int = 3,
        monitor: str = "auc-logloss",
        prior_bias: bool = True,
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        buckets: int = BUCKETS,
        min_count: int | None = None,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.format = format
        self.options = options
        self.loss = loss
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.embedding_l2 = embedding_l2
        self.max_epochs = max_epochs
        self.patience = patience
        self.monitor = monitor
        self.prior_bias = prior_bias
        self.categorical = categorical
        self.numeric = numeric
        self.buckets = buckets
        self.min_count = min_count
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: Any, *, eval_set: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn of rows and their classes.

        Args:
            X: a frame, or an array, shape (rows, columns).
            y: the classes, of which there are two; shape (rows,).
            eval_set: rows and classes (``(X, y)``, or a list of one such pair) to choose the epoch by, in place of held-out rows.
            sample_weight: how much each row counts; a row of weight 2 is two rows, one of weight 0 is none.

        Raises:
            ValueError: a parameter, a column or the classes cannot be; says which.
        """
        name, options, config, seed = self._settings()
        table, y = checked_rows(self, X, y)
        self.classes_ = two_classes(y, self)
        columns, labels, weights = self._counted(table, y, sample_weight)
        if len(set(labels.tolist())) < 2:
            raise ValueError("Rows of both classes count, however: all rows of 1 class have weight 0.")
        share = 0.0 if eval_set is not None else self.validation_fraction
        chosen = held_out(labels, share, seed=seed)
        self.encoder_ = encoder_of(columns, self._schema(columns), ~chosen)
        whole = split_of(self.encoder_, columns, labels, None if weights is None else weights / weights.mean())
        learned = rows_of(whole, ~chosen)
        valid = (
            self._evaluated(eval_set) if eval_set is not None else rows_of(whole, chosen) if chosen.any() else learned
        )
        dataset = encoded(self.encoder_, train=learned, valid=valid)
        self.model_ = build(name, dataset.layout, **options, seed=derive(seed, "start"))
        self._optimizer: dict[str, Tensor] = {}
        result = train(
            self.model_,
            dataset,
            config,
            device=self.device,
            progress=bool(self.verbose),
            optimizer_state=self._optimizer,
        )
        self.model_.eval()
        self._name, self._options, self._content_hash, self._passes = name, options, dataset.content_hash, 0
        self.history_ = [asdict(record) for record in result.history]
        self.n_iter_, self.best_epoch_ = len(self.history_), result.best_epoch
        self._report = {
            **self._settings_report(config, seed),
            "rows": {"train": len(learned), "valid": len(valid)},
            "epochs": self.n_iter_,
            **{key: getattr(result, key) for key in _FIGURES},
            "history": self.history_,
        }
        for text in warnings_of(result, config, train_rows=len(learned)):
            warnings.warn(text, ConvergenceWarning, stacklevel=2)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Go once through further rows, such as a new day's; after `fit`, `load`, another call, or as the first.

        Values that are new get ids after the known ones, whose embeddings and optimizer's state stay; buckets of numbers keep
        their edges. Nothing is held out, and no epoch chosen.

        Args:
            X: as for `fit`, with the same columns.
            y: the classes; one alone will do where `classes`, or the rows before, tell both.
            classes: both classes; needed by a first call whose rows hold one.
            sample_weight: a factor of each row's loss.

        Raises:
            ValueError: as for `fit`; or other classes than before.
        """
        name, options, config, seed = self._settings()
        first = not hasattr(self, "encoder_")
        if first:
            table, y = checked_rows(self, X, y)
            self.classes_ = two_classes(y if classes is None else np.asarray(classes), self)
            self._name, self._options, self._passes = name, options, 0
            self.history_, self.best_epoch_, self._optimizer = [], 0, {}
        else:
            table = checked_columns(self, X)
            y = checked_classes(y, table)
            if classes is not None and np.unique(np.asarray(classes)).tolist() != self.classes_.tolist():
                raise ValueError(f"Classes stay {self.classes_.tolist()}, however: {np.asarray(classes).tolist()}.")
        columns, labels, weights = self._counted(table, y, sample_weight)
        if not len(labels):
            return self
        step = derive(seed, "pass", self._passes)
        if first:
            encoder = encoder_of(columns, self._schema(columns), np.ones(len(labels), dtype=bool))
            model = build(name, encoder.layout, **options, seed=derive(seed, "start"))
            state, report = self._optimizer, self._settings_report(config, seed)
        else:
            encoder = grown_encoder(self.encoder_, columns)
            model = build(self._name, encoder.layout, **self._options, seed=derive(step, "start"))
            model.to(next(self.model_.parameters()).device)
            grow_model(self.model_, model)
            state, report = grow_optimizer(self._optimizer, self.model_, model), self._report
        rows = split_of(encoder, columns, labels, weights)
        dataset = encoded(encoder, train=rows, valid=rows)
        prior = config.prior_bias and first and 0 < labels.mean() < 1
        config = replace(config, prior_bias=bool(prior), seed=step)
        self._optimizer = train_pass(model, dataset, config, device=self.device, optimizer_state=state)
        self.model_ = model.eval()
        self.encoder_, self._content_hash, self._passes = encoder, dataset.content_hash, self._passes + 1
        self.n_iter_ = len(self.history_) + self._passes
        self._report = {**report, "passes": self._passes}
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of both classes, in the order of `classes_`, shape (rows, 2).

        Raises:
            ValueError: a column is absent or holds what it cannot.
        """
        check_is_fitted(self, "encoder_")
        table = checked_columns(self, X)
        split = split_of(self.encoder_, self._columns(table))
        probability = predict_logits(self.model_, slices(split, _BATCH_ROWS)).double().sigmoid().numpy()
        return np.stack([1 - probability, probability], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """The more probable class of each row, shape (rows,)."""
        check_is_fitted(self, "encoder_")
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]

    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to a folder, without pickle; `load`, `qnn_models.load_scorer` and `qnn predict` read it.

        Raises:
            ValueError: classes or parameters that JSON has not, such as times.
        """
        check_is_fitted(self, "encoder_")
        parameters = {k: list(v) if isinstance(v, tuple) else v for k, v in self.get_params().items()}
        if isinstance(self.random_state, np.random.RandomState):
            parameters["random_state"] = None
        if self.format is not None:
            parameters["format"] = stored_name(self.format)
        names = getattr(self, "feature_names_in_", None)
        write_fitted(
            Path(folder),
            Fitted(
                name=self._name,
                options=self._options,
                content_hash=self._content_hash,
                report=self._report,
                parameters=parameters,
                classes=self.classes_,
                feature_names=None if names is None else list(names),
                encoder=self.encoder_,
                model=self.model_,
                optimizer=self._optimizer,
            ),
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """A fitted classifier from the folder that `save`, or ``qnn train --out``, wrote.

        Raises:
            FileNotFoundError: the folder holds no trained model.
            ValueError: a file of it is damaged or missing.
        """
        fitted = read_fitted(Path(folder))
        made = cls(**fitted.parameters)
        made.classes_, made.encoder_, made.model_ = fitted.classes, fitted.encoder, fitted.model
        made.n_features_in_ = len(fitted.encoder.layout.names)
        if fitted.feature_names is not None:
            made.feature_names_in_ = np.array(fitted.feature_names, dtype=object)
        made._name, made._options, made._optimizer = fitted.name, fitted.options, fitted.optimizer
        made._content_hash, made._report = fitted.content_hash, fitted.report
        made._passes, made.history_ = fitted.report.get("passes", 0), list(fitted.report.get("history", []))
        made.n_iter_, made.best_epoch_ = len(made.history_) + made._passes, fitted.report.get("best_epoch", 0)
        return made

    def _settings(self) -> tuple[str, dict[str, Any], TrainConfig, int]:
        """Name and options of the model, the training's settings, and the seed; checked before any rows are read."""
        name = self.model or ("qnn-alpha" if self.format is None else "quadratic")
        options = dict(self.options or {})
        if self.format is not None:
            if name != "quadratic":
                raise ValueError(
                    f"{name} has no choice of format, however: format={self.format!r}; leave model out, or format."
                )
            options["format"] = stored_name(self.format)
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction is within 0 and 1, and leaves rows, however: {self.validation_fraction}."
            )
        if isinstance(self.random_state, int | np.integer) and not isinstance(self.random_state, bool):
            seed = int(self.random_state)
        else:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        loss = self.loss or ("self_ensemble" if name in _TWO_PASSES else "bce")
        config = TrainConfig(
            seed=derive(seed, "training"),
            loss=loss,  # type: ignore[arg-type]
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            embedding_l2=self.embedding_l2,
            max_epochs=self.max_epochs,
            patience=self.patience,
            monitor=self.monitor,  # type: ignore[arg-type]
            prior_bias=self.prior_bias,
        )
        return name, options, config, seed

    def _counted(
        self, table: Any, y: NDArray[Any], given: ArrayLike | None
    ) -> tuple[list[pl.Series], NDArray[np.float32], NDArray[np.float32] | None]:
        """Columns, labels and weights of the rows that count: those of weight 0 are none."""
        unknown = set(np.unique(y).tolist()) - set(self.classes_.tolist())
        if unknown:
            raise ValueError(f"Classes are {self.classes_.tolist()}, however: y holds {sorted(unknown, key=str)}.")
        columns, labels = self._columns(table), (y == self.classes_[1]).astype(np.float32)
        if given is None:
            return columns, labels, None
        weights = checked_weights(given, table)
        counted = weights > 0
        return [column.filter(pl.Series(counted)) for column in columns], labels[counted], weights[counted]

    def _settings_report(self, config: TrainConfig, seed: int) -> dict[str, Any]:
        return {
            "dataset": _DATASET,
            "model": self._name,
            "options": self._options,
            "training": {key: value for key, value in asdict(config).items() if key != "seed"},
            "seed": seed,
            "split_seed": 0,
        }

    def _columns(self, table: Any) -> list[pl.Series]:
        names = getattr(self, "feature_names_in_", None)
        numbered = [f"x{number}" for number in range(self.n_features_in_)]
        given = column_names_or_none(table)
        if given is None or names is None:  # by position
            columns = series_of_table(table, given or numbered)
            return [
                column.alias(name) for column, name in zip(columns, numbered if names is None else names, strict=True)
            ]
        return series_of_table(table, list(names))

    def _evaluated(self, eval_set: Any) -> Split:
        pairs = eval_set if isinstance(eval_set, list) else [eval_set]
        if len(pairs) != 1 or not isinstance(pairs[0], tuple) or len(pairs[0]) != 2:
            raise ValueError("eval_set is a pair (X, y), or a list of one, however: it is something else.")
        X, y = pairs[0]
        table = checked_columns(self, X)
        y = checked_classes(y, table)
        found = {value.item() if isinstance(value, np.generic) else value for value in np.unique(y)}
        unknown = found - set(self.classes_.tolist())
        if unknown or len(found) < 2:
            raise ValueError(
                f"eval_set holds rows of both classes, {self.classes_.tolist()}, however: its y holds {sorted(found, key=str)}."
            )
        return split_of(self.encoder_, self._columns(table), (y == self.classes_[1]).astype(np.float32))

    def _schema(self, columns: Sequence[pl.Series]) -> Schema:
        kinds = kinds_of([c.name for c in columns], categorical=self.categorical, numeric=self.numeric)
        return schema_of(_DATASET, columns, self.classes_, kinds=kinds, buckets=self.buckets, least=self.min_count)


_FIGURES = (
    "best_epoch", "valid_auc", "valid_logloss", "constant_logloss", "train_seconds_per_epoch", "num_parameters", "device",
    "updates",
)  # fmt: skip

"""What is given to an estimator, checked by scikit-learn's rules: names and number of columns, classes, weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from qnn_models.estimators.fields import column_names_or_none

__all__ = ["checked_classes", "checked_columns", "checked_rows", "checked_weights", "two_classes"]


def checked_rows(estimator: BaseEstimator, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
    """X as a frame or a two-dimensional array, and y as one of two classes a row; names and number of columns are kept.

    Raises:
        ValueError: X is none, has no rows or columns, or y is not of two classes.
    """
    X = _known(X)
    validate_data(estimator, X, y, reset=True, skip_check_array=True)
    table = _table(estimator, X)
    estimator.n_features_in_ = table.shape[1]
    return table, checked_classes(y, table)


def checked_classes(y: Any, table: Any) -> NDArray[Any]:
    """One class a row, of at most two.

    Raises:
        ValueError: of more, missing ones, or another number of them.
    """
    y = column_or_1d(np.asarray(y), warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind != "binary":
        raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
    check_consistent_length(table, y)
    return y


def two_classes(y: NDArray[Any], estimator: BaseEstimator) -> NDArray[Any]:
    """The two classes, in their order.

    Raises:
        ValueError: there are not two.
    """
    found = np.unique(y)
    if len(found) != 2:
        number = f"{len(found)} class" + ("es" if len(found) != 1 else "")
        raise ValueError(f"{type(estimator).__name__} learns two classes, however: y holds {number}.")
    return found


def checked_columns(estimator: BaseEstimator, X: Any) -> Any:
    """X as a frame or a two-dimensional array whose columns are those that the estimator was fitted on.

    Raises:
        ValueError: they are others, or in another order.
    """
    X = _known(X)
    table = _table(estimator, X)
    validate_data(estimator, X if hasattr(X, "shape") else table, reset=False, skip_check_array=True)
    return table


def checked_weights(given: ArrayLike, table: Any) -> NDArray[np.float32]:
    """One weight a row.

    Raises:
        ValueError: another number of them, a negative one, or all are 0.
    """
    weights = _check_sample_weight(given, table, dtype=np.float32, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Some row has a weight, however: sample_weight is 0 for all.")
    return weights


def _known(X: Any) -> Any:
    """A frame that scikit-learn knows too, where X is one of a library that we know by Arrow alone."""
    return pl.DataFrame(X) if column_names_or_none(X) is not None and not hasattr(X, "shape") else X


def _table(estimator: BaseEstimator, X: Any) -> Any:
    if not hasattr(X, "iloc") and column_names_or_none(X) is None:
        return check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")
    if not len(X) or not X.shape[1]:
        raise ValueError(
            f"Found array with {len(X)} sample(s) and {X.shape[1]} feature(s) (shape={X.shape}) while a minimum of 1 is "
            "required."
        )
    return X

"""Claims about the published numbers, decided from the paper's tables and the released logs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from qnn_theory.costs import network_cost
from qnn_theory.paper_claims.claim import Claim, verdict
from qnn_theory.published.numbers import logged_runs, printed, printed_value, vocabulary_sizes
from qnn_theory.registry import qnn_alpha

_RUNS = "published_runs.csv"
_PAPER = "paper_results.csv"
_POST, _NONE = "post_act_ReLU", "without_post_act"


def number_claims() -> tuple[Claim, ...]:
    """Every claim that the published numbers can decide, and those they would have to decide but cannot."""
    checks: tuple[Callable[[], Claim], ...] = (
        _shared_settings,
        _no_post_activation,
        _small_gaps,
        _significance,
        _parameter_counts,
        _printed_parameters,
        _printed_metrics,
        _instances,
        _baselines_repeat,
        _headline_on_curve,
        _same_width,
        _validation_is_test,
        _rare_ids,
    )
    return tuple(check() for check in checks)


def _pairs() -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """The 25 formats' runs with and without post-activation."""
    by_arm = {(run["arm"], run["neuron_type"]): run for run in logged_runs()}
    kinds = [kind for arm, kind in by_arm if arm == _POST]
    return {kind: (by_arm[_POST, kind], by_arm[_NONE, kind]) for kind in kinds}


def _shared_settings() -> Claim:
    toggled = [k for k, (post, none) in _pairs().items() if post["num_parameters"] != none["num_parameters"]]
    extra = {int(_pairs()[k][0]["num_parameters"]) - int(_pairs()[k][1]["num_parameters"]) for k in toggled}
    fields = _fields("Criteo_x4_10_h5")
    run = _pairs()["T9"][0]
    batch_norm = int(run["num_layers"]) * 2 * fields * int(run["embedding_dim"])
    return Claim(
        id="same-hyper-parameters",
        statement="All networks of table 1 share the same hyper-parameters; a pair differs in its post-activation only",
        source="li2025qnn, section on the format study",
        verdict=verdict(not toggled),
        evidence=f"{len(toggled)} of {len(_pairs())} pairs ({', '.join(toggled)}) also toggle BatchNorm: the run with a "
        f"post-activation has {', '.join(map(str, sorted(extra)))} parameters more; {run['num_layers']} BatchNorm layers over "
        f"{fields * int(run['embedding_dim'])} channels have {batch_norm}",
        computed_by=_RUNS,
    )


def _no_post_activation() -> Claim:
    auc = sum(float(none["test_auc"]) > float(post["test_auc"]) for post, none in _pairs().values())
    loss = sum(float(none["test_logloss"]) < float(post["test_logloss"]) for post, none in _pairs().values())
    count = len(_pairs())
    return Claim(
        id="no-post-activation",
        statement="Formats do better without post-activation",
        source="li2025qnn, table 1",
        verdict="not decidable here",
        evidence=f"{auc} of {count} on AUC and {loss} of {count} on log loss, one seed a setting; if both were equally good, "
        f"{auc} or more of {count} would come up with probability {_tail(auc, count):.2f}, {loss} or more with "
        f"{_tail(loss, count):.2f}",
        computed_by=f"{_RUNS} (test_auc, test_logloss at full precision), sign test",
    )


def _small_gaps() -> Claim:
    gaps = [abs(float(none["test_auc"]) - float(post["test_auc"])) * 100 for post, none in _pairs().values()]
    small = sum(gap < 0.05 for gap in gaps)
    return Claim(
        id="gaps-matter",
        statement="The gaps between a format with and without post-activation are at least 0.05 AUC points",
        source="li2025qnn, table 1",
        verdict=verdict(small == 0),
        evidence=f"{small} of {len(gaps)} gaps are below 0.05 points, the median is {sorted(gaps)[len(gaps) // 2]:.3f}",
        computed_by=f"{_RUNS} (test_auc at full precision)",
    )


def _significance() -> Claim:
    settings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    names = ("model", "dataset", "arm", "neuron_type", "num_layers", "num_heads", "num_rows", "batch_norm")
    for run in logged_runs():
        settings[tuple(run[name] for name in names)].add(run["seed"])
    repeated = sum(len(seeds) > 1 for seeds in settings.values())
    return Claim(
        id="significance",
        statement="The improvements are significant (p < 0.001)",
        source="li2025qnn, section on the main comparison",
        verdict="not decidable here",
        evidence=f"no number of repeats is stated, and {repeated} of {len(settings)} logged settings were run with more than "
        "one seed",
        computed_by=f"{_RUNS} (seed)",
    )


def _parameter_counts() -> Claim:
    checked = right = 0
    for run in logged_runs():
        expected = _expected_parameters(run)
        if expected is not None:
            checked += 1
            right += expected == int(run["num_parameters"])
    return Claim(
        id="parameter-counts",
        statement="The logged parameter counts are those of the released formats",
        source="li2025qnn-code, logs",
        verdict=verdict(right == checked),
        evidence=f"{right} of {checked} runs of a QNN alone are matched to the unit",
        computed_by=f"qnn_theory.costs.network_cost; {_RUNS} (num_parameters), vocabulary_sizes.csv",
    )


def _printed_parameters() -> Claim:
    wrong = []
    for kind, (_, none) in _pairs().items():
        shown = printed_value("table1", "Criteo", kind, "parameters_millions")
        if abs(int(none["num_parameters"]) / 1e6 - shown) >= 0.01:
            wrong.append(kind)
    return Claim(
        id="table-1-parameters",
        statement="Table 1 prints the logged parameter counts",
        source="li2025qnn, table 1",
        verdict=verdict(not wrong),
        evidence=f"{len(_pairs()) - len(wrong)} of {len(_pairs())} agree to 0.01 million with the run without post-activation"
        + (f"; not {', '.join(wrong)}" if wrong else ""),
        computed_by=f"{_RUNS}, {_PAPER}",
    )


def _printed_metrics() -> Claim:
    wrong = []
    for kind, runs in _pairs().items():
        for setting, run in zip(("relu", "none"), runs, strict=True):
            shown = printed_value("table1", "Criteo", kind, "auc_percent", setting=f"post_activation={setting}")
            logged = float(run["test_auc"]) * 100
            if abs(logged - shown) >= 0.01:
                wrong.append(f"{kind} with post-activation {setting} (printed {shown}, logged {logged:.4f})")
    count = 2 * len(_pairs())
    return Claim(
        id="table-1-auc",
        statement="Table 1 prints the logged test AUC",
        source="li2025qnn, table 1",
        verdict=verdict(not wrong),
        evidence=f"{count - len(wrong)} of {count} agree to 0.01 points"
        + (f"; not {'; '.join(wrong)}" if wrong else ""),
        computed_by=f"{_RUNS} (test_auc), {_PAPER}",
    )


def _instances() -> Claim:
    names = {"Criteo_x4_10_h5": "Criteo", "Frappe_x1_h5": "Frappe", "ML_1M_7_x1": "ML-1M", "Tenrec_x1": "Tenrec"}
    agree = []
    for name, shown in names.items():
        run = next(run for run in logged_runs() if run["dataset"] == name)
        rows = sum(int(run[f"{part}_samples"]) for part in ("train", "valid", "test"))
        same = rows == printed_value("table2", shown, "", "instances")
        same &= _fields(name) == printed_value("table2", shown, "", "fields")
        same &= _features(name) == printed_value("table2", shown, "", "features")
        agree.append((shown, same))
    return Claim(
        id="table-2",
        statement="Table 2 prints the sizes of the logged data sets",
        source="li2025qnn, table 2",
        verdict=verdict(all(same for _, same in agree)),
        evidence=", ".join(f"{name} {'agrees' if same else 'differs'}" for name, same in agree)
        + " in instances, fields and features; no run on iPinYou or KKBox is logged",
        computed_by=f"{_RUNS}, {_PAPER}, vocabulary_sizes.csv",
    )


def _baselines_repeat() -> Claim:
    found = []
    for model in ("xDeepFM", "DeepFM", "DCNv2"):
        for dataset in ("ML-1M", "Frappe", "iPinYou"):
            five, three = (_metrics(table, dataset, model) for table in ("table5", "table3"))
            if five == three:
                continue
            twins = [other for other in _models("table3") if _metrics("table3", dataset, other) == five]
            found.append(f"{model} on {dataset}" + (f" (those of {', '.join(twins)})" if twins else ""))
    return Claim(
        id="table-5-baselines",
        statement="Table 5 repeats table 3's numbers for xDeepFM, DeepFM and DCNv2",
        source="li2025qnn, tables 3 and 5",
        verdict=verdict(not found),
        evidence=("it prints other numbers for " + "; ".join(found)) if found else "every number agrees",
        computed_by=_PAPER,
    )


def _headline_on_curve() -> Claim:
    curve = {
        int(row["setting"].removeprefix("rows=")): float(row["value"])
        for row in printed()
        if (row["source"], row["dataset"], row["metric"]) == ("figure7", "Frappe", "auc_percent")
    }
    headline = printed_value("table3", "Frappe", "QNN-alpha", "auc_percent")
    run = next(r for r in logged_runs() if r["arm"] == "QNN_alpha" and r["dataset"] == "Frappe_x1_h5")
    rows = int(run["num_rows"])
    below, above = max(m for m in curve if m < rows), min(m for m in curve if m > rows)
    low, high = sorted((curve[below], curve[above]))
    return Claim(
        id="headline-on-curve",
        statement="The headline AUC on Frappe lies on the paper's own curve over the number of rows",
        source="li2025qnn, table 3 and figure 7",
        verdict=verdict(low <= headline <= high),
        evidence=f"{headline} with M = {rows}, while M = {below} gives {curve[below]} and M = {above} gives {curve[above]}; the "
        f"curve's best is {max(curve.values())}",
        computed_by=f"{_PAPER}, {_RUNS} (num_rows)",
    )


def _same_width() -> Claim:
    run = _pairs()["T9"][1]
    embedding, layers = int(run["embedding_params"]), int(run["num_layers"])
    dim = _fields("Criteo_x4_10_h5") * int(run["embedding_dim"])
    shown = printed_value("table1", "Criteo", "MLP", "parameters_millions")

    def millions(width: int) -> float:
        sizes = [dim, *[width] * layers, 1]
        return (embedding + sum(a * b + b for a, b in pairwise(sizes))) / 1e6

    widths = [w for w in range(8, dim + 1, 8) if 0 <= millions(w) - shown < 0.01]
    return Claim(
        id="same-width",
        statement="Table 1 compares networks of the same width",
        source="li2025qnn, table 1",
        verdict=verdict(dim in widths),
        evidence=f"the MLP's {shown} million parameters fit {layers} layers of {' or '.join(map(str, widths))}; {layers} "
        f"layers of {dim}, as its rivals have, would be {millions(dim):.2f} million",
        computed_by=f"{_PAPER} (parameters_millions), {_RUNS} (embedding_params)",
    )


def _validation_is_test() -> Claim:
    runs = sum("ipinyou" in run["dataset"].lower() for run in logged_runs())
    return Claim(
        id="ipinyou-split",
        statement="iPinYou is evaluated on data that training did not see, neither for early stopping nor for selection",
        source="li2025qnn, section on data sets",
        verdict="not decidable here",
        evidence=f"{runs} of the logged runs are on iPinYou, so neither split sizes nor metrics can be compared; the released "
        "configuration names one file for both splits",
        computed_by=f"{_RUNS} (dataset)",
    )


def _rare_ids() -> Claim:
    features = _features("Frappe_x1_h5")
    shown = int(printed_value("table2", "Frappe", "", "features"))
    return Claim(
        id="frappe-rare-ids",
        statement="Ids of Frappe that occur less than once become one out-of-vocabulary id (threshold 1)",
        source="li2025qnn, section on data sets; the logs say 2",
        verdict="not decidable here",
        evidence=f"the threshold decides the size of the vocabulary, which is {features} in the logs and {shown} in table 2; "
        "which threshold gives it takes the raw data to count",
        computed_by=f"vocabulary_sizes.csv, {_PAPER}",
    )


def _expected_parameters(run: dict[str, str]) -> int | None:
    """All parameters of a run of a QNN alone; None for a QNN inside another network."""
    fields, width = _fields(run["dataset"]), int(run["embedding_dim"])
    normed = run["batch_norm_present_in_params"] == "True"
    common: dict[str, Any] = {
        "layers": int(run["num_layers"]),
        "fields": fields,
        "embedding_dim": width,
        "vocabulary": _features(run["dataset"]),
    }
    if run["arm"] in (_POST, _NONE):
        bilinear = run["neuron_type"] in ("T1", "T2", "T6")
        found = network_cost(
            run["neuron_type"], **common, batch_norm="outputs" if normed else None, projection=100 if bilinear else None
        )
    elif run["arm"] == "QNN_alpha":
        heads = int(run["num_heads"])
        layer = qnn_alpha(rows=int(run["num_rows"]), heads=heads, head_layout="released", embedding_dim=width)
        found = network_cost(layer, **common, batch_norm="gates" if normed else None)
    else:
        return None
    return int(found.parameters + found.embedding_parameters)


def _fields(dataset: str) -> int:
    return sum(row["dataset"] == dataset for row in vocabulary_sizes())


def _features(dataset: str) -> int:
    return sum(int(row["vocabulary_size"]) for row in vocabulary_sizes() if row["dataset"] == dataset)


def _metrics(source: str, dataset: str, model: str) -> dict[str, float]:
    return {
        row["metric"]: float(row["value"])
        for row in printed()
        if (row["source"], row["dataset"], row["model"]) == (source, dataset, model)
    }


def _models(source: str) -> list[str]:
    return list(dict.fromkeys(row["model"] for row in printed() if row["source"] == source))


def _tail(successes: int, count: int) -> float:
    """P(at least this many heads in so many throws of a fair coin)."""
    return float(sum(math.comb(count, k) for k in range(successes, count + 1)) / 2**count)

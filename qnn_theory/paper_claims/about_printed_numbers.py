"""Claims about printed numbers: whether tables and figures agree with the released logs and with each other."""

from __future__ import annotations

from itertools import pairwise

from qnn_theory.paper_claims.claim import ClaimGroup, Finding
from qnn_theory.paper_claims.logged import PAPER, RUNS, expected_parameters, features_of, fields_of, paired_runs
from qnn_theory.published.numbers import logged_runs, printed, printed_value

CLAIMS = ClaimGroup()


@CLAIMS.claim(
    "parameter-counts",
    "The logged parameter counts are those of the released formats",
    source="li2025qnn-code, logs",
    computed_by=f"qnn_theory.costs.network_cost; {RUNS} (num_parameters), vocabulary_sizes.csv",
)
def _parameter_counts() -> Finding:
    checked = right = 0
    for run in logged_runs():
        expected = expected_parameters(run)
        if expected is not None:
            checked += 1
            right += expected == int(run["num_parameters"])
    evidence = f"{right} of {checked} runs of a QNN alone are matched to the unit"
    return right == checked, evidence


@CLAIMS.claim(
    "table-1-parameters",
    "Table 1 prints the logged parameter counts",
    source="li2025qnn, table 1",
    computed_by=f"{RUNS}, {PAPER}",
)
def _printed_parameters() -> Finding:
    wrong = []
    for kind, (_, none) in paired_runs().items():
        shown = printed_value("table1", "Criteo", kind, "parameters_millions")
        if abs(int(none["num_parameters"]) / 1e6 - shown) >= 0.01:
            wrong.append(kind)
    evidence = (
        f"{len(paired_runs()) - len(wrong)} of {len(paired_runs())} agree to 0.01 million with the run without post-activation"
        + (f"; not {', '.join(wrong)}" if wrong else "")
    )
    return not wrong, evidence


@CLAIMS.claim(
    "table-1-auc",
    "Table 1 prints the logged test AUC",
    source="li2025qnn, table 1",
    computed_by=f"{RUNS} (test_auc), {PAPER}",
)
def _printed_metrics() -> Finding:
    wrong = []
    for kind, runs in paired_runs().items():
        for setting, run in zip(("relu", "none"), runs, strict=True):
            shown = printed_value("table1", "Criteo", kind, "auc_percent", setting=f"post_activation={setting}")
            logged = float(run["test_auc"]) * 100
            if abs(logged - shown) >= 0.01:
                wrong.append(f"{kind} with post-activation {setting} (printed {shown}, logged {logged:.4f})")
    count = 2 * len(paired_runs())
    evidence = f"{count - len(wrong)} of {count} agree to 0.01 points" + (f"; not {'; '.join(wrong)}" if wrong else "")
    return not wrong, evidence


@CLAIMS.claim(
    "table-2",
    "Table 2 prints the sizes of the logged data sets",
    source="li2025qnn, table 2",
    computed_by=f"{RUNS}, {PAPER}, vocabulary_sizes.csv",
)
def _instances() -> Finding:
    names = {"Criteo_x4_10_h5": "Criteo", "Frappe_x1_h5": "Frappe", "ML_1M_7_x1": "ML-1M", "Tenrec_x1": "Tenrec"}
    agree = []
    for name, shown in names.items():
        run = next(run for run in logged_runs() if run["dataset"] == name)
        rows = sum(int(run[f"{part}_samples"]) for part in ("train", "valid", "test"))
        same = rows == printed_value("table2", shown, "", "instances")
        same &= fields_of(name) == printed_value("table2", shown, "", "fields")
        same &= features_of(name) == printed_value("table2", shown, "", "features")
        agree.append((shown, same))
    evidence = (
        ", ".join(f"{name} {'agrees' if same else 'differs'}" for name, same in agree)
        + " in instances, fields and features; no run on iPinYou or KKBox is logged"
    )
    return all(same for _, same in agree), evidence


@CLAIMS.claim(
    "table-5-baselines",
    "Table 5 repeats table 3's numbers for xDeepFM, DeepFM and DCNv2",
    source="li2025qnn, tables 3 and 5",
    computed_by=PAPER,
)
def _baselines_repeat() -> Finding:
    found = []
    for model in ("xDeepFM", "DeepFM", "DCNv2"):
        for dataset in ("ML-1M", "Frappe", "iPinYou"):
            five, three = (_metrics(table, dataset, model) for table in ("table5", "table3"))
            if five == three:
                continue
            twins = [other for other in _models("table3") if _metrics("table3", dataset, other) == five]
            found.append(f"{model} on {dataset}" + (f" (those of {', '.join(twins)})" if twins else ""))
    evidence = ("it prints other numbers for " + "; ".join(found)) if found else "every number agrees"
    return not found, evidence


@CLAIMS.claim(
    "headline-on-curve",
    "The headline AUC on Frappe lies on the paper's own curve over the number of rows",
    source="li2025qnn, table 3 and figure 7",
    computed_by=f"{PAPER}, {RUNS} (num_rows)",
)
def _headline_on_curve() -> Finding:
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
    evidence = (
        f"{headline} with M = {rows}, while M = {below} gives {curve[below]} and M = {above} gives {curve[above]}; the "
        f"curve's best is {max(curve.values())}"
    )
    return low <= headline <= high, evidence


@CLAIMS.claim(
    "same-width",
    "Table 1 compares networks of the same width",
    source="li2025qnn, table 1",
    computed_by=f"{PAPER} (parameters_millions), {RUNS} (embedding_params)",
)
def _same_width() -> Finding:
    run = paired_runs()["T9"][1]
    embedding, layers = int(run["embedding_params"]), int(run["num_layers"])
    dim = fields_of("Criteo_x4_10_h5") * int(run["embedding_dim"])
    shown = printed_value("table1", "Criteo", "MLP", "parameters_millions")

    def millions(width: int) -> float:
        sizes = [dim, *[width] * layers, 1]
        return (embedding + sum(a * b + b for a, b in pairwise(sizes))) / 1e6

    widths = [w for w in range(8, dim + 1, 8) if 0 <= millions(w) - shown < 0.01]
    evidence = (
        f"the MLP's {shown} million parameters fit {layers} layers of {' or '.join(map(str, widths))}; {layers} "
        f"layers of {dim}, as its rivals have, would be {millions(dim):.2f} million"
    )
    return dim in widths, evidence


def _metrics(source: str, dataset: str, model: str) -> dict[str, float]:
    return {
        row["metric"]: float(row["value"])
        for row in printed()
        if (row["source"], row["dataset"], row["model"]) == (source, dataset, model)
    }


def _models(source: str) -> list[str]:
    return list(dict.fromkeys(row["model"] for row in printed() if row["source"] == source))

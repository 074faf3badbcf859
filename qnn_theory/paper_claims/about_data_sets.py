"""Claims about how the data sets were cut and encoded, which the published numbers would have to decide but cannot."""

from __future__ import annotations

from qnn_theory.paper_claims.claim import ClaimGroup, Finding
from qnn_theory.paper_claims.logged import PAPER, RUNS, features_of
from qnn_theory.published.numbers import logged_runs, printed_value

CLAIMS = ClaimGroup()


@CLAIMS.claim(
    "ipinyou-split",
    "iPinYou is evaluated on data that training did not see, neither for early stopping nor for selection",
    source="li2025qnn, section on data sets",
    computed_by=f"{RUNS} (dataset)",
)
def _validation_is_test() -> Finding:
    runs = sum("ipinyou" in run["dataset"].lower() for run in logged_runs())
    evidence = (
        f"{runs} of the logged runs are on iPinYou, so neither split sizes nor metrics can be compared; the released "
        "configuration names one file for both splits"
    )
    return None, evidence


@CLAIMS.claim(
    "frappe-rare-ids",
    "Ids of Frappe that occur less than once become one out-of-vocabulary id (threshold 1)",
    source="li2025qnn, section on data sets; the logs say 2",
    computed_by=f"vocabulary_sizes.csv, {PAPER}",
)
def _rare_ids() -> Finding:
    features = features_of("Frappe_x1_h5")
    shown = int(printed_value("table2", "Frappe", "", "features"))
    evidence = (
        f"the threshold decides the size of the vocabulary, which is {features} in the logs and {shown} in table 2; "
        "which threshold gives it takes the raw data to count"
    )
    return None, evidence

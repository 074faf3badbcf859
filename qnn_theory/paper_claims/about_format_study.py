"""Claims about the format study (table 1): what was the same in its runs, and what their differences say."""

from __future__ import annotations

import math
from collections import defaultdict

from qnn_theory.paper_claims.claim import ClaimGroup, Finding
from qnn_theory.paper_claims.logged import RUNS, fields_of, paired_runs
from qnn_theory.published.numbers import logged_runs

CLAIMS = ClaimGroup()


@CLAIMS.claim(
    "same-hyper-parameters",
    "All networks of table 1 share the same hyper-parameters; a pair differs in its post-activation only",
    source="li2025qnn, section on the format study",
    computed_by=RUNS,
)
def _shared_settings() -> Finding:
    toggled = [k for k, (post, none) in paired_runs().items() if post["num_parameters"] != none["num_parameters"]]
    extra = {int(paired_runs()[k][0]["num_parameters"]) - int(paired_runs()[k][1]["num_parameters"]) for k in toggled}
    fields = fields_of("Criteo_x4_10_h5")
    run = paired_runs()["T9"][0]
    batch_norm = int(run["num_layers"]) * 2 * fields * int(run["embedding_dim"])
    evidence = (
        f"{len(toggled)} of {len(paired_runs())} pairs ({', '.join(toggled)}) also toggle BatchNorm: the run with a "
        f"post-activation has {', '.join(map(str, sorted(extra)))} parameters more; {run['num_layers']} BatchNorm layers over "
        f"{fields * int(run['embedding_dim'])} channels have {batch_norm}"
    )
    return not toggled, evidence


@CLAIMS.claim(
    "no-post-activation",
    "Formats do better without post-activation",
    source="li2025qnn, table 1",
    computed_by=f"{RUNS} (test_auc, test_logloss at full precision), sign test",
)
def _no_post_activation() -> Finding:
    auc = sum(float(none["test_auc"]) > float(post["test_auc"]) for post, none in paired_runs().values())
    loss = sum(float(none["test_logloss"]) < float(post["test_logloss"]) for post, none in paired_runs().values())
    count = len(paired_runs())
    evidence = (
        f"{auc} of {count} on AUC and {loss} of {count} on log loss, one seed a setting; if both were equally good, "
        f"{auc} or more of {count} would come up with probability {_tail(auc, count):.2f}, {loss} or more with "
        f"{_tail(loss, count):.2f}"
    )
    return None, evidence


@CLAIMS.claim(
    "gaps-matter",
    "The gaps between a format with and without post-activation are at least 0.05 AUC points",
    source="li2025qnn, table 1",
    computed_by=f"{RUNS} (test_auc at full precision)",
)
def _small_gaps() -> Finding:
    gaps = [abs(float(none["test_auc"]) - float(post["test_auc"])) * 100 for post, none in paired_runs().values()]
    small = sum(gap < 0.05 for gap in gaps)
    evidence = f"{small} of {len(gaps)} gaps are below 0.05 points, the median is {sorted(gaps)[len(gaps) // 2]:.3f}"
    return small == 0, evidence


@CLAIMS.claim(
    "significance",
    "The improvements are significant (p < 0.001)",
    source="li2025qnn, section on the main comparison",
    computed_by=f"{RUNS} (seed)",
)
def _significance() -> Finding:
    settings: dict[tuple[str, ...], set[str]] = defaultdict(set)
    names = ("model", "dataset", "arm", "neuron_type", "num_layers", "num_heads", "num_rows", "batch_norm")
    for run in logged_runs():
        settings[tuple(run[name] for name in names)].add(run["seed"])
    repeated = sum(len(seeds) > 1 for seeds in settings.values())
    evidence = (
        f"no number of repeats is stated, and {repeated} of {len(settings)} logged settings were run with more than "
        "one seed"
    )
    return None, evidence


def _tail(successes: int, count: int) -> float:
    """P(at least this many heads in so many throws of a fair coin)."""
    return float(sum(math.comb(count, k) for k in range(successes, count + 1)) / 2**count)

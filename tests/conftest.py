"""Hypothesis profiles: `ci` is the default and deterministic, `dev` explores, `deep` looks long. Skips must be expected."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, max_examples=10, database=None, **_common)
settings.register_profile("dev", max_examples=30, **_common)
settings.register_profile("deep", max_examples=500, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--expected-skips",
        metavar="PARTS",
        help="fail every skip whose reason holds none of these parts, separated by commas; empty: fail every skip",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_an_unexpected_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file is skipped (``importorskip`` at its top) before any of its tests is known."""
    report = yield
    _fail_an_unexpected_skip(collector.config, report)
    return report


def _fail_an_unexpected_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    parts: str | None = config.getoption("--expected-skips")
    if parts is None or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(part.strip() and part.strip().lower() in reason.lower() for part in parts.split(",")):
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid}: no test may be skipped but for {parts or 'no reason'}, however: {reason}. "
            "Install what it needs, or name it in --expected-skips."
        )

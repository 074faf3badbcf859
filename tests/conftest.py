"""Hypothesis profiles: `ci` is the default and deterministic, `dev` explores, `deep` looks long."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, max_examples=10, database=None, **_common)
settings.register_profile("dev", max_examples=30, **_common)
settings.register_profile("deep", max_examples=500, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

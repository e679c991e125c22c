"""Options of the unit tests, and how hard the property tests look."""

import os

import pytest
from hypothesis import HealthCheck, settings

# `make check` looks briefly at every property, `make test` (HYPOTHESIS_PROFILE=thorough) longer.
# No deadline: tests are never timed.
_CALM = [HealthCheck.too_slow]
settings.register_profile("brief", max_examples=25, deadline=None, suppress_health_check=_CALM)
settings.register_profile("thorough", max_examples=150, deadline=None, suppress_health_check=_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "brief"))


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite expected texts from what is produced"
    )


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")

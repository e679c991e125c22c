"""Options of the unit tests."""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite expected texts from what is produced"
    )


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")

"""Options of the unit tests."""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # unit tests ask nobody for a model they do not know


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite expected texts from what is produced"
    )


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")

import pathlib

import pytest

pytest_plugins = ["jqlite_fixture"]


@pytest.fixture(scope="session")
def jqlite_words():
    models = pathlib.Path(__file__).parent.parent / "models.json"
    return ["--models", str(models), "--now", "2026-01-31T09:30:00Z", "--id-seed", "1"]

"""The examples of llmrr-migrate-sources(7): each gives what it is there to show."""

import pytest

from llmrr.cli.source_examples import EXAMPLES, Example
from llmrr.cli.sources_page import migrated, page
from llmrr.migrate.artefact import KINDS

_WITHOUT_MODELS = {"Kept answers"}


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.title for one in EXAMPLES])
def test_an_example_gives_a_model_and_no_path_of_where_it_was_made(example: Example) -> None:
    found = migrated(example)
    assert ("[[models]]" in found) != (example.title in _WITHOUT_MODELS)
    assert "/tmp" not in found
    assert found == migrated(example)


def test_the_page_names_every_kind() -> None:
    text = page().text("2026-01-01").replace("\\-", "-")
    assert not [kind for kind in KINDS if kind not in text]

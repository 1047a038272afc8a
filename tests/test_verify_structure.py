"""The check "structure" on GGUF files that llama.cpp's own script converted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import vendor_worker
from tiny_transformers import FAMILIES, make

from llmrr.convert.verify import structure


def told(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def vendor() -> Iterator[vendor_worker.Vendor]:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = vendor_worker.source()
    if source is None:
        pytest.skip("LLMRR_LLAMA_CPP_SOURCE does not name llama.cpp's source")
    worker = vendor_worker.Vendor(source)
    yield worker
    worker.close()


# The script loses StableLM's norms of heads; llama.cpp has no positions by ALiBi for Falcon.
NOT_THERE = {"stablelm-parallel"}


@pytest.mark.mlx
@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - NOT_THERE))
def test_a_right_conversion_passes(tmp_path: Path, vendor: vendor_worker.Vendor, name: str) -> None:
    make(tmp_path / "model", name)
    gguf = vendor.convert(tmp_path / "model", tmp_path / "m.gguf")
    found = structure.check(tmp_path / "model", gguf, told)
    print(name, found)
    assert found.passed, found.detail

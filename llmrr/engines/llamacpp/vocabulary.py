"""The vocabulary of a GGUF file alone, without its weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmrr.engines.llamacpp.api import Vocab, api, captured_log, set_fields
from llmrr.engines.llamacpp.loading import refusal
from llmrr.formats.gguf import check_vocabulary, read_parts


@contextmanager
def open_vocabulary(path: Path) -> Iterator[Vocab]:
    """The tokens of the model at ``path``, as llama.cpp makes them of texts, while this lasts.

    Raises ``DamagedFile`` and ``Unsupported`` for what llama.cpp would end the process for.
    """
    check_vocabulary(read_parts(path)[0])
    binding = api()
    parameters = set_fields(
        binding.llama_model_default_params(), {"vocab_only": True, "n_gpu_layers": 0}
    )
    with captured_log() as lines:
        model = binding.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        raise refusal(path, lines)
    try:
        yield Vocab(model)
    finally:
        binding.llama_model_free(model)

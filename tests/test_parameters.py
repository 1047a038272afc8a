"""Options as people write them, under our names or those of the tools they come from."""

import pytest

from llmrr import parameters
from llmrr.errors import UsageError


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("num_ctx", "context_size"),
        ("--ctx-size", "context_size"),
        ("n-gpu-layers", "gpu_layers"),
        ("-ngl", "gpu_layers"),
        ("num_predict", "max_tokens"),
        ("max_new_tokens", "max_tokens"),
        ("temp", "temperature"),
        ("top-k", "top_k"),
        ("repetition_penalty", "repeat_penalty"),
        ("num_thread", "threads"),
        ("cache-type-k", "kv_type"),
        ("flash-attn", "flash_attention"),
    ],
)
def test_names_of_the_neighbours(key: str, ours: str) -> None:
    assert parameters.option_name(key) == ours


def test_every_foreign_name_leads_to_an_option() -> None:
    assert set(parameters.FOREIGN.values()) <= set(parameters.known_options())
    assert not set(parameters.FOREIGN) & set(parameters.known_options())


def test_option_values_are_typed_and_stops_add_up() -> None:
    pairs = [("temperature", "0"), ("top_k", "5"), ("stop", "a"), ("stop", "1"), ("mmap", "no")]
    sampling, loading = parameters.read_options([*pairs, ("fa", "on"), ("gpu_layers", "auto")])
    assert sampling == {"temperature": 0.0, "top_k": 5, "stop": ("a", "1")}
    assert loading == {"mmap": False, "flash_attention": "on", "gpu_layers": "auto"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("temperature", "hot", '-o temperature "hot" is not a number'),
        ("top_k", "1.5", '-o top_k "1.5" is not a whole number'),
        ("mmap", "maybe", '-o mmap "maybe" is not true or false'),
        ("kv_type", "q9", '-o kv_type "q9" is not one of'),
        ("num_ctx", "-1", '-o num_ctx "-1" is not a whole number'),
    ],
)
def test_a_wrong_value_is_named(key: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parameters.read_options([(key, value)])
    assert caught.value.message.startswith(said)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parameters.read_options([("temprature", "1")])
    assert caught.value.hint == "-o temperature VALUE"


def test_flags_win_over_options_and_zero_is_stated() -> None:
    sampling = parameters.sampling(
        {"temperature": 0.0, "seed": None}, {"temperature": 1.0, "seed": 3}
    )
    assert (sampling.temperature, sampling.seed) == (0.0, 3)

"""The sampling and loading options as people write them, under our names or those of the tools they
come from: the values of ``-o KEY VALUE``, of flags and of a Modelfile. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from llmrr.errors import UsageError, nearest
from llmrr.kinds import FLAG, Kind, one_of
from llmrr.settings import PLACING, SETTINGS
from llmrr.tomltext import complaint, is_secret
from llmrr.types import Sampling

# Names that Ollama, llama.cpp, llama-cpp-python and Transformers use, after "-" became "_".
FOREIGN = {
    "temp": "temperature",
    "num_predict": "max_tokens",
    "n_predict": "max_tokens",
    "predict": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "repetition_penalty": "repeat_penalty",
    "typical": "typical_p",
    "random_seed": "seed",
    "reverse_prompt": "stop",
    "num_ctx": "context_size",
    "n_ctx": "context_size",
    "ctx_size": "context_size",
    "context": "context_size",
    "num_gpu": "gpu_layers",
    "n_gpu_layers": "gpu_layers",
    "ngl": "gpu_layers",
    "num_thread": "threads",
    "n_threads": "threads",
    "cache_type_k": "kv_type",
    "cache_type_v": "kv_type",
    "ctk": "kv_type",
    "ctv": "kv_type",
    "type_k": "kv_type",
    "type_v": "kv_type",
    "flash_attn": "flash_attention",
    "fa": "flash_attention",
    "use_mmap": "mmap",
    "use_mlock": "mlock",
    "adapter": "lora",
    "reasoning_effort": "think",
}
# What Ollama and llama.cpp call no limit, what fits the context, and a random seed: not stated.
_NOT_STATED = {("max_tokens", -1), ("max_tokens", -2), ("seed", -1)}
THINK = ("off", "low", "medium", "high")
# Options of a request that no [[models]] params hold.
_REQUEST_ONLY = {"ignore_eos": FLAG, "think": one_of(*THINK)}
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True}
_SWITCHES |= {"false": False, "no": False, "off": False, "0": False}


def read_options(
    pairs: Iterable[Sequence[str]], folder: Path = Path()
) -> tuple[dict[str, object], dict[str, object]]:
    """What ``-o KEY VALUE`` sets, as (sampling, loading), in the values that engines take. ``stop``
    may be given several times; None is a value that stands for: not stated. Relative paths start
    at ``folder``. Raises ``UsageError`` for an unknown key or a wrong value.

    >>> read_options([("temp", "0.2"), ("num_ctx", "8192")])
    ({'temperature': 0.2}, {'context_size': 8192})
    >>> read_options([("num_predict", "-1")])
    ({'max_tokens': None}, {})
    """
    sampling: dict[str, object] = {}
    loading: dict[str, object] = {}
    for key, text in pairs:
        name = option_name(key)
        value = _value(f"-o {key}", text, name, _readings(text), folder)
        if name == "stop":
            before = sampling.get("stop")
            sampling[name] = (*(before if isinstance(before, tuple) else ()), text)
        elif name in _REQUEST_ONLY or name in fields_of("params"):
            sampling[name] = value
        else:
            loading[name] = value
    return sampling, loading


def read_loading(pairs: Iterable[Sequence[str]]) -> dict[str, object]:
    """What ``-o KEY VALUE`` sets where nothing is sampled. Raises ``UsageError`` for the rest."""
    sampling, loading = read_options(pairs)
    for name in sampling:
        raise UsageError(f"-o {name} has no effect here", f"omit -o {name}")
    return loading


def fields_of(table: str) -> dict[str, Kind]:
    """The keys of ``[[models]]`` params or options, with what each accepts; not those that belong
    to the source."""
    prefix = f"models[].{table}."
    found = (spec for spec in SETTINGS if spec.key.startswith(prefix))
    return {spec.leaf: spec.kind for spec in found if spec.leaf not in PLACING}


def known_options() -> dict[str, Kind]:
    """All that ``-o`` takes, by our names."""
    sampling = {name: kind for name, kind in fields_of("params").items() if name != "system"}
    return {**sampling, **_REQUEST_ONLY, **fields_of("options")}


def option_name(key: str) -> str:
    """Our name of an option. Raises ``UsageError`` with the nearest one that is known.

    >>> option_name("--n-gpu-layers"), option_name("top-k")
    ('gpu_layers', 'top_k')
    """
    plain = key.lstrip("-").replace("-", "_").lower()
    name = FOREIGN.get(plain, plain)
    known = list(known_options())
    if name in known:
        return name
    near = nearest(plain, [*known, *FOREIGN])
    hint = f"-o {near} VALUE" if near else f"the options are {', '.join(known)}"
    raise UsageError(f'there is no option "{key}" for -o', hint)


def sampling(stated: Mapping[str, object], below: Mapping[str, object]) -> Sampling:
    """The values of flags over those of ``-o``; None is: not stated. Raises ``UsageError``."""
    given = {name: _flag(name, value) for name, value in stated.items() if value is not None}
    return Sampling(**{**below, **given})  # type: ignore[arg-type]


def _flag(name: str, value: object) -> object:
    if name not in known_options():  # a schema or a grammar, which are read already
        return value
    flag = f"--{name.replace('_', '-')}"
    return _value(flag, value, name, [value])


def _value(
    flag: str, given: object, name: str, readings: Iterable[object], folder: Path = Path()
) -> object:
    # One text may be read as several TOML values; the kind of the option decides.
    kind, why = known_options()[name], ""
    for candidate in () if is_secret(name, given) else readings:
        if (name, candidate) in _NOT_STATED:
            return None
        try:
            return kind.parse(candidate, folder)
        except ValueError as exc:
            why = why or str(exc)
    written = f' "{given}"' if isinstance(given, str) else f" {given}"
    said = complaint(name, given, kind.expected, why, named=flag, written=written)
    raise UsageError(said, f"{flag} VALUE")


def _readings(text: str) -> Iterator[object]:
    word = text.strip().lower()
    for read in (int, float):
        with suppress(ValueError):
            yield read(word)
    if word in _SWITCHES:
        yield _SWITCHES[word]
    yield text
    yield word

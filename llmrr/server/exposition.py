"""The figures as Prometheus reads them.

Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from llmrr import __version__
from llmrr.alerts import EVENTS
from llmrr.engines.base import Load
from llmrr.server import callers
from llmrr.server.aliases import AUTO
from llmrr.server.counting import BOUNDS, Histogram
from llmrr.server.queueing import REMOTE
from llmrr.server.service import Service
from llmrr.server.state import State, process

_ELSEWHERE: Final = "remote"  # what the gate of all models elsewhere is called
MEDIA_TYPE: Final = "text/plain; version=0.0.4"
Labels = Mapping[str, object]
Samples = Iterable[tuple[Labels, float]]


def text(service: Service, state: State) -> str:
    """All of them that are for who asks."""
    return "".join((*_counted(service), *_now(service, state), *_models(state), *_process(service)))


def family(name: str, kind: str, doc: str, samples: Samples) -> str:
    r"""A family of samples; without any, nothing.

    >>> print(family("up", "gauge", "It is.", [({"a": 'x"'}, 1)]), end="")
    # HELP llmrr_up It is.
    # TYPE llmrr_up gauge
    llmrr_up{a="x\""} 1
    """
    lines = [
        f"llmrr_{name}{_labels(labels)} {_value(value)}\n"
        for labels, value in samples if _is_seen(labels)
    ]  # fmt: skip
    return f"# HELP llmrr_{name} {doc}\n# TYPE llmrr_{name} {kind}\n{''.join(lines)}" * bool(lines)


def histogram(name: str, doc: str, label: str, found: Mapping[str, Histogram]) -> str:
    """A family of histograms, by one label."""
    lines = [f"# HELP llmrr_{name} {doc}\n# TYPE llmrr_{name} histogram\n"]
    found = {key: one for key, one in found.items() if _is_seen({label: key})}
    for key, one in found.items():
        for bound, count in zip((*BOUNDS, "+Inf"), accumulate(one.counts), strict=True):
            lines.append(f"llmrr_{name}_bucket{_labels({label: key, 'le': bound})} {count}\n")
        shown = _labels({label: key})
        lines.append(f"llmrr_{name}_sum{shown} {_value(one.sum)}\n")
        lines.append(f"llmrr_{name}_count{shown} {sum(one.counts)}\n")
    return "".join(lines) * bool(found)


def _is_seen(labels: Labels) -> bool:
    """Whether a sample is for who asks: of models, those that are his."""
    names = str(labels.get("model") or labels.get("models") or AUTO).split(",")
    return all(one in (AUTO, _ELSEWHERE) or callers.current().may_use(one) for one in names)


def _counted(service: Service) -> Iterator[str]:
    found = service.metrics
    yield family("requests_total", "counter", "Requests, by the model that was asked for.", (
        ({"path": path, "model": model, "status": status}, count)
        for (path, model, status), count in found.requests.items()
    ))  # fmt: skip
    yield family("answers_total", "counter", "Answers, by the model that gave them.", (
        ({"model": model, "outcome": how}, count) for (model, how), count in found.answers.items()
    ))  # fmt: skip
    yield family("tokens_total", "counter", "Tokens: prompt, cached (of the prompt), generated.", (
        ({"model": model, "kind": kind}, count) for (model, kind), count in found.tokens.items()
    ))  # fmt: skip
    yield family("cache_hits_total", "counter", "Answers that were kept.", (
        ({"model": model, "kind": kind}, count) for (model, kind), count in found.cache_hits.items()
    ))  # fmt: skip
    yield histogram("request_seconds", "Until a request has ended.", "path", found.request_s)
    yield histogram("queue_seconds", "In the queue.", "model", found.queue_s)
    yield histogram(
        "first_token_seconds", "Until the first token, the queue and loading included.", "model",
        found.first_token_s,
    )  # fmt: skip
    yield histogram(
        "answer_seconds", "Until an answer is complete, the queue included.", "model",
        found.answer_s,
    )  # fmt: skip


def _now(service: Service, state: State) -> Iterator[str]:
    queue = service.queue
    yield _one("queue_length", "Requests that wait.", queue.waiting)
    yield _one("queue_limit", "How many may.", service.limits.max_queue)
    yield _one("under_way", "Answers that wait or are computed.", len(service.under_way))
    yield family("slots_used", "gauge", "Sequences under way, by what may compute them.", (
        ({"models": ",".join(sorted(one or _ELSEWHERE for one in places))}, units)
        for places, units in queue.under_way().items()
    ))  # fmt: skip
    places = [*(held.name for held in state.loaded), REMOTE]
    yield family("slots", "gauge", "Sequences that are computed at once at most.", (
        ({"models": place or _ELSEWHERE}, queue.capacity(frozenset((place,)))) for place in places
    ))  # fmt: skip
    yield _one("draining", "Whether the server is about to end.", service.is_draining)
    yield family("alerts_total", "counter", "Alerts since the server began.", (
        ({"event": event}, state.alerts[event]) for event in sorted({*EVENTS, *state.alerts})
    ))  # fmt: skip
    yield family("alert_active", "gauge", "Whether one was raised in the last five minutes.", (
        ({"event": event}, event in state.alerted) for event in sorted({*EVENTS, *state.alerted})
    ))  # fmt: skip


def _models(state: State) -> Iterator[str]:
    yield _one("loaded_models", "Models in memory.", len(state.loaded))
    yield family("model_bytes", "gauge", "What a model in memory takes.", (
        ({"model": held.name}, held.bytes) for held in state.loaded
    ))  # fmt: skip
    yield from _loads({held.name: held.load for held in state.loaded if held.load is not None})
    yield family("breaker_open", "gauge", "Whether a model is left alone for having failed.", (
        ({"model": name}, name in state.open_breakers) for name in state.models
    ))  # fmt: skip
    yield family("model_down", "gauge", "Whether the server of a model does not answer.", (
        ({"model": name}, name in state.down) for name in state.models
    ))  # fmt: skip
    if state.memory is not None:
        yield _one("memory_used_bytes", "Memory in use, by whomever.", state.memory.used_bytes)
        yield _one("memory_limit_bytes", "What may be.", state.memory.limit_bytes)


def _loads(loads: Mapping[str, Load]) -> Iterator[str]:
    """What the engines say of their models."""
    for name, kind, doc, field in (
        ("engine_slots", "gauge", "Sequences that a model has memory for.", "slots"),
        ("engine_slots_busy", "gauge", "Of these in use.", "busy"),
        ("engine_waiting", "gauge", "Sequences that wait for one.", "waiting"),
        ("prefix_bytes", "gauge", "What is kept of prompts beside the slots.", "prefix_bytes"),
        ("prefix_hits_total", "counter", "Prompts that were gone on with it.", "prefix_hits"),
    ):
        yield family(name, kind, doc, (
            ({"model": model}, getattr(load, field)) for model, load in loads.items()
        ))  # fmt: skip
    yield family("engine_tokens_total", "counter", "Tokens of a model since it was loaded: read "
                 "(of prompts), cached (of these), generated, drafted, accepted.", (
        ({"model": model, "kind": kind}, getattr(load, field)) for model, load in loads.items()
        for kind, field in (
            ("read", "prompt_tokens"), ("cached", "cached_tokens"),
            ("generated", "generated_tokens"), ("drafted", "drafted_tokens"),
            ("accepted", "accepted_tokens"),
        )
    ))  # fmt: skip


def _process(service: Service) -> Iterator[str]:
    found = process()
    yield _one("process_threads", "Threads of this process.", found.threads)
    if found.descriptors is not None:
        yield _one("process_open_fds", "Its file descriptors.", found.descriptors)
    if found.resident_bytes is not None:
        yield _one("process_resident_bytes", "Its memory.", found.resident_bytes)
    yield _one("uptime_seconds", "How long it has run.", time.time() - service.began)
    yield family("build_info", "gauge", "What runs.", [({"version": __version__}, 1)])


def _one(name: str, doc: str, value: float) -> str:
    return family(name, "gauge", doc, [({}, value)])


def _labels(labels: Labels) -> str:
    """Labels as they stand behind a name."""
    shown = ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())
    return f"{{{shown}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    """A number without digits that say nothing.

    >>> _value(True), _value(3.0), _value(0.25), _value(12345678901)
    ('1', '3', '0.25', '12345678901')
    """
    return str(int(value)) if value == int(value) else repr(float(value))

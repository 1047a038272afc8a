"""Brings the server up, and says where it is."""

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from llmrr import cluster
from llmrr.cli import output
from llmrr.errors import UsageError
from llmrr.kinds import alias_problem, parse_duration
from llmrr.router import Router

OTHERS = 1024  # descriptors besides those of clients: files, and connections to providers
LEVELS = ("error", "warning", "info", "debug")
DEFAULT_LEVEL = "warning"


def stated(
    host: str | None, port: int | None, parallel: int | None, max_queue: int | None,
    timeout: str | None, log_requests: bool, ollama: bool,
    speculate: int | None = None, aliases: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """What a command line states, as tables of the configuration."""
    tables: dict[str, dict[str, object]] = {
        "serve": {
            "host": host, "port": port, "max_queue": max_queue, "timeout": _duration(timeout),
            "log_requests": log_requests or None, "ollama": ollama or None,
            "aliases": dict(map(_alias, aliases)) or None,
        },
        "batching": {"max_batch_size": parallel},
        "engines": {"llamacpp": None if speculate is None else {"speculate": speculate}},
    }  # fmt: skip
    return {
        name: found for name, table in tables.items()
        if (found := {key: value for key, value in table.items() if value is not None})
    }  # fmt: skip


def logging(log_level: str) -> Callable[[str], None]:
    """Begin to log what the server tells; what tells something besides."""
    from llmrr.server import logs

    _require_level(log_level)
    logs.to_stderr(log_level)
    return logs.notice


def serve(router: Router, variables: Sequence[str]) -> None:
    """Serve until it is interrupted. Raises ``KeyboardInterrupt`` then, at the end of it all."""
    from llmrr.server import aliases, allocating, circles, hosting, lending, logs
    from llmrr.server.service import Service

    value = router.config.value
    allocating.tighten()
    host, service = cast(str, value("serve.host")), Service(router)
    try:
        _require_names(variables)
        hosting.allow_descriptors(cast(int, value("serve.max_connections")) + OTHERS)
        listeners = [hosting.listener(host, cast(int, value("serve.port")))]
        try:
            if value("serve.ollama"):
                listeners.append(hosting.ollamas())
            where = " and ".join(map(hosting.address, listeners))

            def ready() -> None:
                allocating.settle()
                logs.notice(f"listening on {where}")

            server = hosting.server(
                service, ready, host=host, variables=variables, tell=logs.notice
            )
            aliases.hold(router)
            for said in circles.found(router, listeners):
                logs.warn(said)
            service.prepare()
            stop = partial(server.handle_exit, signal.SIGTERM, None)
            with lending.lent(router, where, stop) as server.lent:
                server.run(listeners)
        finally:
            for one in listeners:
                one.close()
    finally:
        service.close()
    if server.was_interrupted:
        raise KeyboardInterrupt


def on_ray(
    router: Router, variables: Sequence[str], replicas: str | None, *, ray: bool
) -> None:
    """Serve from replicas on a Ray cluster until it is interrupted."""
    _require_names(variables)
    count = _replicas(router, replicas, ray=ray)
    with cluster.connected():
        from llmrr.server import rays

        rays.run(router, count, variables, output.note)


def hash_key() -> None:
    """Ask for a key, or read it from stdin, and print the line that stands for it."""
    from llmrr.server.keyring import hashed

    key = output.ask_hidden("The key: ") if sys.stdin.isatty() else sys.stdin.readline()
    output.data(f'hash = "{hashed(key.strip())}"')


def _replicas(router: Router, replicas: str | None, *, ray: bool) -> cluster.Replicas:
    if not ray:
        raise UsageError("--replicas is for --ray", "llmrr serve --ray --replicas 1:4")
    return cluster.replicas(replicas, router.config)


def _flags(log_level: str, replicas: str | None, *, ray: bool) -> list[str]:
    """What a command line states besides tables, as it states it."""
    _require_level(log_level)
    found = [] if log_level == DEFAULT_LEVEL else ["--log-level", log_level]
    found += ["--ray"] if ray else []
    return [*found, "--replicas", replicas] if replicas else found


def unit(
    router: Router, kind: str, tables: dict[str, Any], variables: Sequence[str], log_level: str,
    replicas: str | None, *, ray: bool,
) -> None:  # fmt: skip
    """Print a unit that runs the server with these settings. Raises what the server could never
    begin with; its keys may be elsewhere as yet."""
    from llmrr.server import aliases, security, units

    _require_names(variables)
    flags = _flags(log_level, replicas, ray=ray)
    if ray or replicas:
        _replicas(router, replicas, ray=ray)
    security.require(router.config, cast(str, router.config.value("serve.host")), variables)
    aliases.hold(router)
    output.data(units.text(kind, tables, variables, flags).rstrip("\n"))


def _require_level(log_level: str) -> None:
    if log_level not in LEVELS:
        raise UsageError(f"there is no --log-level {log_level}", f"one of {', '.join(LEVELS)}")


def _require_names(variables: Sequence[str]) -> None:
    from llmrr.keys import require_name

    for name in variables:
        require_name(name)


def _alias(text: str) -> tuple[str, str]:
    name, mark, model = text.partition("=")
    if not (name and mark and model):
        raise UsageError(
            f'--alias takes NAME=MODEL, and "{text}" is not that', "--alias gpt-4o=MODEL"
        )
    if problem := alias_problem(name):
        raise UsageError(f"--alias {text}: {problem}", "--alias 'claude-*=MODEL'")
    return name, model


def _duration(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = parse_duration(float(text) if text.replace(".", "", 1).isdecimal() else text)
    except ValueError:
        found = 0.0
    if not found:
        raise UsageError(f"--timeout {text} is no time", "--timeout 10m")
    return found

"""From what is wished to a comparison: the cases, both sides, and what came of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr import paths
from llmrr.errors import NotFound, Unreachable, UsageError
from llmrr.evaluate import match_named
from llmrr.migrate.validating import asking, cases, comparison, kept, own, shadow
from llmrr.migrate.validating.addresses import AddressSystem
from llmrr.migrate.validating.bars import Bars
from llmrr.migrate.validating.commands import CommandSystem
from llmrr.migrate.validating.comparison import Comparison
from llmrr.migrate.validating.systems import EngineSystem, System
from llmrr.types import Sampling

if TYPE_CHECKING:
    from llmrr.router import Router

MOST_FAILURES = 1000  # that [breaker] takes
HISTORY = 100  # prompts of it, unless the user says otherwise


class Wish(NamedTuple):
    """What is asked, of which sides, and what they are held to. Of the old side exactly one is
    stated: ``old``, ``command``, ``url``, ``shadow``, or none of them, which is the legacy side of
    ``[migration]``."""

    set: str | None = None
    history: bool = False
    match: str | None = None
    old: str | None = None
    command: str | None = None
    url: str | None = None
    body: str | None = None
    path: str | None = None
    headers: Sequence[str] = ()
    shadow: bool = False
    new: str | None = None
    samples: int = 100
    seed: int = 0
    bars: Bars = Bars()
    embedding: str | None = None
    judge: str | None = None
    max_tokens: int | None = None
    timeout_s: float = 300.0


def validate(
    router: "Router", wish: Wish, told: Callable[[int, int], None] = lambda done, total: None
) -> Comparison:
    """Ask both sides, measure, and record what came of it. Raises ``UsageError`` where the wishes
    do not go together, or both sides are the same, and what reading a set does."""
    _require_together(wish)
    # Every request is to be asked: one that a breaker holds back says nothing of a side.
    router.update_config(breaker={"failures": MOST_FAILURES})
    for name in filter(None, (wish.embedding, wish.judge)):
        router.resolve(name)
    if wish.embedding is not None:  # not only after all was asked
        router.embed("Hello", model=wish.embedding)
    if wish.shadow:
        asked = asking.Asked(tuple(shadow.trials(router.database, wish.samples)))
        names = tuple(", ".join(_side(router, one)) or one for one in ("legacy", "new"))
    else:
        new = _new(router, wish)
        old = _old(router, wish)
        asked = asking.ask(
            old, new, _cases(router, wish), samples=wish.samples, seed=wish.seed, told=told
        )
        names = old.name, new.name
    found = comparison.compare(
        router, (names[0], names[1]), asked, wish.bars, embedding=wish.embedding,
        judge=wish.judge, seed=wish.seed,
    )  # fmt: skip
    of = kept.of(comparison.facts(found), router.config, wish.new)
    router.with_database(lambda one: kept.record(one, of), "the validation is not kept")
    return found


def _require_together(wish: Wish) -> None:
    stated = {
        "--old": wish.old, "--old-command": wish.command, "--old-url": wish.url,
        "--shadow": wish.shadow,
    }  # fmt: skip
    several = [name for name, one in stated.items() if one]
    if len(several) > 1:
        raise UsageError(f"{' and '.join(several)} exclude each other", "one old side")
    if wish.url is None and (wish.body or wish.path or wish.headers):
        raise UsageError("--old-body, --old-path and --old-header need --old-url", "--old-url URL")
    asks = [name for name, one in (("--set", wish.set), ("--history", wish.history)) if one]
    if len(asks) > 1 or (wish.shadow and (asks or wish.new)):
        also = ["--shadow"] if wish.shadow else []
        more = ["--new"] if wish.shadow and wish.new else []
        together = " and ".join([*also, *asks, *more])
        raise UsageError(f"{together} exclude each other", "leave out one")


def _cases(router: "Router", wish: Wish) -> list[cases.Case]:
    if wish.set is not None:
        path = paths.expanded(wish.set)
        try:
            data = path.read_bytes()
        except OSError as error:
            said = f"cannot read {wish.set}: {error.strerror}"
            raise NotFound(said, "--set FILE.jsonl") from None
        return cases.of_set(data, Path(wish.set), match_named(wish.match) if wish.match else None)
    if wish.history:
        return cases.of_history(router.database, HISTORY)
    return cases.builtin()


def _sampling(wish: Wish) -> Sampling:
    return Sampling(max_tokens=wish.max_tokens)


def _side(router: "Router", side: str) -> tuple[str, ...]:
    """The models of a side of ``[migration]``; none where it is not configured."""
    found: Any = router.config.value(f"migration.{side}")
    return tuple(found or ())


def _new(router: "Router", wish: Wish) -> System:
    names = (wish.new,) if wish.new else _side(router, "new")
    for name in names:
        router.resolve(name)
    return EngineSystem(router, names, _sampling(wish))


def _old(router: "Router", wish: Wish) -> System:
    if wish.command is not None:
        ours = own.of_command(router, wish.command)
        return CommandSystem(wish.command, wish.timeout_s, ours)
    if wish.url is not None:
        headers = _headers(wish.headers, router)
        return AddressSystem(wish.url, wish.body, wish.path, headers, wish.timeout_s)
    names = (wish.old,) if wish.old else _side(router, "legacy")
    if not names:
        raise UsageError(
            "there is no old side to compare with: nothing names [migration] legacy",
            '--old openai:gpt-4o, --old-command "CMD", --old-url URL, or --shadow',
        )
    for name in names:
        router.resolve(name)
    return EngineSystem(router, names, _sampling(wish))


def _headers(stated: Sequence[str], router: "Router") -> Mapping[str, str]:
    """Headers with the secrets of their variables. Raises ``UsageError`` for what names none, and
    does not repeat it: it may be a key."""
    from llmrr.engines.remote.keys import Headers, lookup

    found = Headers()
    env_file: Any = router.config.value("env_file")
    for one in stated:
        name, _, variable = one.partition("=")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) or not re.fullmatch(
            r"[A-Za-z_][A-Za-z0-9_]*", variable
        ):
            raise UsageError(
                "--old-header takes NAME=VARIABLE, a variable that holds the value",
                "--old-header Authorization=OPENAI_API_KEY",
            )
        key = lookup(variable, env_file)
        if key is None:
            raise Unreachable(
                f"--old-header {name}: no variable of that name is set",
                "export it, or llmrr keys set NAME",
            )
        bare = name.lower() == "authorization" and " " not in key.secret
        found[name] = f"Bearer {key.secret}" if bare else key.secret
    return found

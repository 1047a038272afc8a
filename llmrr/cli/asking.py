"""From what the command line states to a request that the router answers."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TextIO

from llmrr import parameters
from llmrr.cli import earlier, inputs, output, prompt
from llmrr.errors import UsageError
from llmrr.strategies import strategy_warning
from llmrr.types import Message, Request, Sampling

if TYPE_CHECKING:
    from llmrr.cli.attaching import Attached
    from llmrr.cli.calling import Toolbox
    from llmrr.config import Config
    from llmrr.router import Answer, Router
    from llmrr.routing import Decision

Pairs = Sequence[Sequence[str]]


class Asked(NamedTuple):
    """One prompt as the command line states it; ``stated`` holds the sampling flags by name."""

    words: Sequence[str] = ()
    model: str | None = None
    system: str | None = None
    files: Sequence[str] = ()
    attached: Sequence[str] = ()
    template: str | None = None
    values: Pairs = ()
    options: Pairs = ()
    context_size: int | None = None
    engine: str | None = None
    strategy: str | None = None
    fallback: Sequence[str] = ()
    need: Sequence[str] = ()
    stated: Mapping[str, object] = MappingProxyType({})
    schema: str | None = None
    grammar: str | None = None
    raw: bool = False
    latest: bool = False
    conversation: str | None = None
    log: bool = True
    cache: bool = True
    tools: Sequence[str] = ()
    yes: bool = False


class Choice(NamedTuple):
    """How one of the models is chosen, and what is asked when it fails."""

    strategy: str | None = None
    fallback: Sequence[str] = ()
    need: Sequence[str] = ()


ANY = Choice()


class Question(NamedTuple):
    """What is asked of which model, or a conversation to be begun when ``request`` is None.
    ``cache`` is as ``Router.run`` takes it."""

    model: str | None
    request: Request | None
    loading: Mapping[str, object]
    sampling: Sampling
    conversation: str | None
    system: str | None = None
    prompt: str | None = None
    past: tuple[Message, ...] = ()
    engine: str | None = None
    choice: Choice = ANY
    cache: bool | None = None
    box: "Toolbox | None" = None


def question(asked: Asked, router: "Router", piped: str | bytes | None) -> Question:
    """Understand a command line; ``piped`` is what came on stdin, its bytes where they are
    attached. Raises ``UsageError``, ``NotFound`` and their kin."""
    if warning := strategy_warning(asked.strategy):
        output.note(warning)
    _require_one_wish(asked)
    words = [prompt.clean(word) for word in asked.words]
    model, said = prompt.split_words(words, asked.model, router.is_model)
    if model is None and len(words) > 1:
        _note_near_model(words[0], router)
    files = [(name, inputs.read_text(name)) for name in asked.files if name != "-"]
    stdin = piped if isinstance(piped, str) else None
    if "-" in asked.files:
        files, stdin = [*files, ("stdin", inputs.needed(stdin))], None
    attached = _attached(asked, None if isinstance(piped, str) else piped)
    text = prompt.join_parts(said, [*files, *attached.texts], stdin)
    rendered, template_model, rest = _rendered(asked, router.config, text)
    flags, loading = parameters.read_options(asked.options)
    if asked.context_size is not None:
        loading["context_size"] = asked.context_size
    sampling = parameters.sampling({**asked.stated, **_constraint(asked)}, flags)
    past = earlier.conversation(latest=asked.latest, cid=asked.conversation)
    turns = prompt.with_images(prompt.messages(rest, asked.system, rendered), attached.images)
    request = _request(turns, past.messages if past else (), sampling, raw=asked.raw)
    before = earlier.same_model(past, router.config) if past else None
    box = _toolbox(asked)
    conversation = past.cid if past else None
    if box and request:
        request = replace(request, tools=box.tools)
        conversation = conversation or uuid.uuid4().hex[:12]  # of all that follows a call
    return Question(
        model=model or template_model or before,
        request=request,
        loading=loading,
        sampling=sampling,
        conversation=conversation,
        system=asked.system,
        prompt=text,
        past=past.messages if past else (),
        engine=asked.engine,
        choice=Choice(asked.strategy, asked.fallback, asked.need),
        cache=None if asked.cache else False,
        box=box,
    )


def _require_one_wish(asked: Asked) -> None:
    if asked.raw and (asked.system or asked.latest or asked.conversation):
        raise UsageError("--raw sends one text: no system prompt, no conversation", "omit --raw")
    if "-" in asked.attached and "-" in asked.files:
        raise UsageError("-f - and -a - both read stdin", "omit one of them")


def _request(
    turns: tuple[Message, ...], past: Sequence[Message], sampling: Sampling, *, raw: bool
) -> Request | None:
    """What is asked; None where nothing is."""
    if not any(turn.role == "user" for turn in turns):
        return None
    if not raw:
        return Request(messages=_after(past, turns), sampling=sampling)
    if len(turns) > 1:
        raise UsageError("--raw sends one text, and the template has messages", "omit --raw")
    return Request(prompt=turns[-1].content, sampling=sampling)


def ask(
    understood: Question,
    router: "Router",
    progress: Callable[[int, int], None] | None = None,
    *,
    log: bool = True,
) -> "Answer":
    """Ask. Raises ``UsageError`` when there is no prompt, and before that what a model that is
    named and not here does."""
    if understood.request is None:
        if understood.model:
            router.catalogue.for_running(router.resolve(understood.model))
        raise UsageError("no prompt was given, and nothing came on stdin", 'llmrr run "…"')
    return router.run(
        understood.request,
        model=understood.model,
        options=understood.loading,
        engine=understood.engine,
        conversation=understood.conversation,
        log=log,
        progress=progress,
        cache=understood.cache,
        **understood.choice._asdict(),
    )


def decide(asked: Asked, router: "Router", stdin: str | bytes | None) -> "Decision":
    """Which model a prompt would go to. All words are the prompt; an empty model is none. Raises
    what ``question`` does."""
    found = question(asked, router, stdin)
    request = found.request or Request(sampling=found.sampling)
    return router.route(
        request, model=found.model or None, options=found.loading, engine=found.engine,
        **found.choice._asdict(),
    )  # fmt: skip


def read_piped(asked: Asked, stdin: TextIO | None) -> str | bytes | None:
    """What is piped in: its bytes where ``-a -`` attaches them, else its text."""
    return inputs.piped(stdin) if "-" in asked.attached else inputs.read_stdin(stdin)


def _note_near_model(word: str, router: "Router") -> None:
    from llmrr.store.references import hub_reference

    near = router.catalogue.near(word)
    if hub_reference(word):
        output.note(f'"{word}" is taken as part of the prompt; as a model: -m {word}')
    elif near:
        output.note(f'no model "{word}": taken as part of the prompt (did you mean {near}?)')


def _toolbox(asked: Asked) -> "Toolbox | None":
    if not asked.tools:
        return None
    from llmrr.cli import calling

    if asked.raw:
        raise UsageError("--raw sends one text, and no tools", "omit --raw")
    return calling.toolbox(asked.tools, yes=asked.yes)


def _attached(asked: Asked, stdin: bytes | None) -> "Attached":
    from llmrr.cli import attaching

    found = attaching.read(asked.attached, stdin)
    if asked.raw and found.images:
        raise UsageError("--raw sends one text, and no images", "omit --raw")
    return found


def _rendered(
    asked: Asked, config: "Config", text: str | None
) -> tuple[tuple[Message, ...] | str | None, str | None, str | None]:
    # (the rendered template, its model, what of the text is still to be said)
    if asked.template is None:
        if asked.values:
            hint = "add -t NAME, a template of llmrr.toml"
            raise UsageError(f'-P "{asked.values[0][0]}" needs a template', hint)
        return None, None, text
    from llmrr.config import render

    template = config.template(asked.template)
    values = {key: prompt.clean(value) for key, value in asked.values}
    holes = template.prompt.holes
    takes_prompt = text is not None and "input" in holes and "input" not in values
    if takes_prompt and text is not None:
        values["input"] = text
    elif text is not None and template.template is not None:
        why = "-P input fills it" if "input" in values else "it has no hole {input}"
        raise UsageError(
            f"the template {template.name!r} takes no prompt: {why}",
            f"leave the prompt out, or edit {template.file}",
        )
    return render(template, values), template.model, None if takes_prompt else text


def _constraint(asked: Asked) -> dict[str, object]:
    if asked.schema is not None and asked.grammar is not None:
        raise UsageError("--schema and --grammar exclude each other", "leave one of them out")
    if asked.grammar is not None:
        return {"grammar": _grammar(asked.grammar)}
    if asked.schema is None:
        return {}
    from llmrr.engines import schema

    return {"schema": schema.load(asked.schema)}


def _grammar(given: str) -> str:
    """The text itself, if it looks as no file's name does, or that of the file."""
    return prompt.clean(given) if "::=" in given or "\n" in given else inputs.read_text(given)


def _after(past: Sequence[Message], turns: tuple[Message, ...]) -> tuple[Message, ...]:
    # A new system prompt replaces that of the conversation.
    if turns and turns[0].role == "system":
        past = [message for message in past if message.role != "system"]
        return (turns[0], *past, *turns[1:])
    return (*past, *turns)

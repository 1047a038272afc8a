"""A conversation under way: who answers, what was said, how the answers are shown."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrr.cli import answers, asking, output
from llmrr.errors import LlmrrError
from llmrr.types import Message, Request, Sampling

if TYPE_CHECKING:
    from llmrr.cli.calling import Toolbox
    from llmrr.router import Answer, Router

# A conversation takes more context than its first message needs, if it fits.
CONTEXT_AT_LEAST = 32768


@dataclass(slots=True)
class Session:
    """A conversation under way."""

    router: "Router"
    model: str | None
    how: answers.Shown
    loading: dict[str, object]
    sampling: Sampling
    system: str | None = None
    messages: tuple[Message, ...] = ()
    cid: str = ""
    engine: str | None = None
    choice: asking.Choice = asking.ANY
    cache: bool | None = None
    log: bool = True
    named: bool = False  # the model was named once on stderr
    notes: tuple[str, ...] = ()  # what was told of how it is asked
    asked: "Answer | None" = None  # what was last begun
    box: "Toolbox | None" = None

    def turns(self) -> tuple[Message, ...]:
        """All that is sent: the system prompt, then the conversation."""
        system = (Message("system", self.system),) if self.system else ()
        return (*system, *self.messages)

    @property
    def current(self) -> str | None:
        """The model that is spoken with: of several the one that answered last."""
        if not self.router.chooses(self.model):
            return self.model
        return self.asked.model.name if self.asked else None

    def keeps(self) -> bool:
        """Whether what is said may be kept."""
        return self.log and bool(self.router.config.value("log_prompts"))


def begin(
    router: "Router", question: asking.Question, how: answers.Shown, *, log: bool = True
) -> Session:
    """A session from what the command line said; a continued conversation brings its turns."""
    turns = question.past
    system = question.system or next((m.content for m in turns if m.role == "system"), None)
    return Session(
        router=router,
        model=question.model,
        how=how,
        loading={**question.loading},
        sampling=question.sampling,
        system=system,
        messages=tuple(m for m in turns if m.role != "system"),
        cid=question.conversation or new_id(),
        engine=question.engine,
        choice=question.choice,
        cache=question.cache,
        log=log,
        box=question.box,
    )


def loaded_as(stated: Mapping[str, object]) -> dict[str, object]:
    """How the models of a conversation are loaded."""
    return {"at_least": CONTEXT_AT_LEAST, **stated}


def lasting_name(router: "Router", name: str | None) -> str | None:
    """What names the same model later and in another folder: the name that is configured, else the
    source. What names nothing any more stays as it is."""
    if name is None or router.config.model(name):
        return name
    with suppress(LlmrrError):
        return router.resolve(name).source
    return name


def new_id() -> str:
    """An id for a conversation that begins."""
    return uuid.uuid4().hex[:12]


def say(session: Session, text: str) -> None:
    """Send a message and print the answer. An answer that was stopped stays in the conversation:
    it is what the person saw; a question that failed does not."""
    progress, heard = answers.Progress(), answers.Heard()
    turns = (*session.turns(), Message("user", text))
    try:
        if session.box is None:
            answer = _begun(session, turns, progress)
            answers.listen(answer, session.how, progress, heard)
        else:
            from llmrr.cli import calling

            answer = calling.answer(
                lambda turns: _begun(session, turns, progress), turns, session.box, session.how,
                progress, heard,
            )  # fmt: skip
        answers.conclude(answer, session.how, session.sampling, heard)
    finally:
        if heard.text:
            said = (Message("user", text), *heard.turns, Message("assistant", heard.text))
            session.messages = (*session.messages, *said)
            # It has chosen the model that goes on with the conversation.
            session.choice = session.choice._replace(strategy=None)


def _begun(
    session: Session, turns: tuple[Message, ...], progress: answers.Progress
) -> "Answer":
    """An answer under way; who answers is told where that is not known."""
    tools = session.box.tools if session.box else ()
    answer = session.router.run(
        Request(messages=turns, sampling=session.sampling, tools=tools),
        model=session.model,
        options=loaded_as(session.loading),
        engine=session.engine,
        conversation=session.cid,
        log=session.log,
        progress=progress,
        cache=session.cache,
        **session.choice._asdict(),
    )
    if not session.named or session.how.explain:
        answers.announce(answer, explain=session.how.explain)
    output.notes(note for note in answer.notes if note not in session.notes)
    session.named, session.notes = True, answer.notes
    session.asked = answer
    return answer

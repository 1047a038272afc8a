"""What a runnable of LangChain is made of: chains of models, and prompts that wait for one.

Code in both languages and what LangChain itself writes are the same ``Call``s, so that one reading
serves all.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers import arguments, constructed
from llmrr.migrate.readers.langchain import asking, prompts
from llmrr.migrate.readers.langchain.parts import (
    NOTHING,
    Chain,
    Part,
    beside,
    circle,
    has_conditions,
    items,
    link,
    names,
    one_of,
    uses,
    within,
)
from llmrr.migrate.readers.langchain.sketches import Sketch
from llmrr.migrate.terms import fields
from llmrr.migrate.values import Call, Unresolved, Value

_ASKING: Final = frozenset({
    "invoke", "ainvoke", "stream", "astream", "batch", "abatch", "run", "arun", "predict",
    "apredict", "call", "generate", "agenerate", "predict_messages", "apply", "streamEvents",
    "astream_events", "streamLog", "astream_log", "call_as_llm", "predictMessages",
    "batch_as_completed", "generatePrompt", "__call__", "complete", "acomplete", "chat", "achat",
    "stream_chat", "stream_complete", "astream_chat", "astream_complete", "query", "",
})  # fmt: skip
_FILLING: Final = frozenset({
    "format", "format_messages", "format_prompt", "aformat", "formatMessages", "formatPrompt",
    "formatPromptValue", "aformat_prompt", "aformat_messages", "to_messages", "to_string",
    "toChatMessages", "toString",
})  # fmt: skip
_SAME: Final = frozenset({
    "with_config", "withConfig", "with_types", "with_listeners", "withListeners", "assign", "pick",
    "with_alisteners", "as_tool", "asTool", "bind_llm",
})  # fmt: skip
_TOOLS: Final = frozenset({
    "bind_tools", "bindTools", "with_structured_output", "withStructuredOutput", "bind_functions",
})  # fmt: skip
_LONGEST: Final = 50  # models of one chain
_FALLBACKS: Final = frozenset({"with_fallbacks", "withFallbacks"})


Reading: TypeAlias = Callable[["Runnables", Call], Part | None]


class Runnables:
    """Reads the runnables of one artefact into its findings.

    ``calls`` are those of the file, for what a function of it gives; ``lined`` says whether their
    lines mean something; ``keys_guessed`` that the names of keys are those of a class, not stated.
    ``reading`` reads constructors: those of LangChain, if nothing else is said.
    """

    def __init__(
        self, findings: Findings, calls: Iterable[Call] = (), *, lined: bool = True,
        javascript: bool = False, keys_guessed: bool = False,
        reading: "Reading | None" = None,
    ) -> None:  # fmt: skip
        from llmrr.migrate.readers.langchain import kinds

        self._of_class = reading or kinds.read
        self.findings, self.lined, self.javascript = findings, lined, javascript
        self.keys_guessed = keys_guessed
        self.calls = tuple(calls)
        self.sketches: list[Sketch] = []
        self.logic: list[str] = []
        self._known: dict[int, Part] = {}
        self._held: dict[int, tuple[Value, Part]] = {}
        self._made: dict[int, list[Model]] = {}
        self.messages_used: set[int] = set()
        self.asked: set[tuple[str, int]] = set()
        self._uses = uses(self.calls)
        self._keep: list[Call] = []  # so that an id stays that of the same call

    def line(self, call: Call) -> int | None:
        """Where a call stands, if it stands in code."""
        return call.line if self.lined else None

    def part(self, value: Value) -> Part:
        """What a value is made of; each call is read once."""
        if isinstance(value, Call):
            if id(value) not in self._known:
                self._known[id(value)] = NOTHING  # a circle ends here
                self._keep.append(value)
                self._known[id(value)] = self._of_call(value)
            return self._known[id(value)]
        if isinstance(value, list | dict):
            if id(value) not in self._held:  # a constant may be used a thousand times
                self._held[id(value)] = (value, beside(self.part(one) for one in items(value)))
            return self._held[id(value)][1]
        if isinstance(value, Unresolved) and value.calls:
            return one_of(self.part(one) for one in value.calls)
        return NOTHING

    def finish(self) -> None:
        """Enter prompts, what stays in the code, and circles of fallbacks."""
        for one in self.sketches:
            one.register(self.findings)
        if self.logic:
            said = ", ".join(dict.fromkeys(self.logic))
            self.findings.warn("framework-logic", f"what stays in the code: {said[:300]}")
        if found := circle(self.findings.fallbacks):
            self.findings.warn("cycle", f"models that fall back on each other: {found}")

    def _of_call(self, call: Call) -> Part:
        name = call.name
        if name == "|" or (name == "pipe" and call.receiver):
            first = [call.receiver] if call.receiver else []
            return self.sequence([*first, *call.args])
        on = self._receiver(call)
        if on is not None and (found := self._of_method(call, name, on)) is not None:
            return found
        if (found := self._of_class(self, call)) is not None:
            return found
        return self.given(call)

    def _receiver(self, call: Call) -> Part | None:
        """What a method is called on; None where that is nothing that a call gave."""
        if call.among:
            return one_of(self.part(one) for one in call.among)
        return None if call.receiver is None else self.part(call.receiver)

    def sequence(self, values: Iterable[Value]) -> Part:
        """What is piped together: prompts go to the first model behind them."""
        chains: list[Chain] = []
        waiting: list[Sketch] = []
        is_open = False
        for value in values:
            found = self.part(value)
            if found.chains:
                link(waiting, found)
                waiting = []
            is_open = is_open or found.is_open
            chains += found.chains
            waiting += found.waiting
        return Part(tuple(chains), tuple(waiting), is_open)

    def _of_method(self, call: Call, name: str, on: Part) -> Part | None:
        """A method of a runnable; None where it may be a constructor by another way."""
        line = self.line(call)
        if name in _FALLBACKS:
            given = call.named.get("fallbacks") or (call.args[0] if call.args else None)
            return self.fallbacks(on, given, call)
        if name in _TOOLS:
            if on.chains:
                self.findings.warn("tools", "tools or a schema of answers stay in the code", line)
            return on
        if name == "bind":
            return self.bound(on, arguments.stated_in(call), call)
        if name in ("with_retry", "withRetry"):
            return self.retried(on, call.named, call)
        if name == "partial":
            stated = call.named
            for one in on.waiting:
                prompts.add_defaults(one, stated, self.findings, line)
            return on
        if name in ("configurable_alternatives", "configurable_fields", "configurableFields"):
            return self._chosen(on, call)
        if name in _SAME or (name in _FILLING and not on.chains):
            return on
        if name in _ASKING:
            return asking.asked(self, on, call)
        return None if not (on.chains or on.waiting) else NOTHING

    def fallbacks(self, on: Part, given: Value, call: Call) -> Part:
        """A chain of what it is called on, then the fallbacks, where all of them are models."""
        line = self.line(call)
        found = [self.part(one) for one in given] if isinstance(given, list) else []
        if not on.chains:
            return on
        lost = [one for one in found if not one.chains]
        if lost or not found:
            self.findings.warn("unresolved", "not every fallback is a model that is known", line)
        behind = [model for one in found for chain in one.chains for model in chain][:_LONGEST]
        if len(self.findings.fallbacks) >= constructed.MOST:
            return on
        if has_conditions(call.named):
            self.findings.warn(
                "conditional-fallback", "only some exceptions led to the fallback", line
            )
        chains = []
        for chain in on.chains:
            chains.append(tuple({id(one): one for one in (*chain, *behind)}.values()))
            self.findings.fallbacks = [
                one for one in self.findings.fallbacks if one != names(chain)
            ]
            self.findings.chain(*chains[-1])
        return on._replace(chains=tuple(chains))

    def bound(self, on: Part, stated: Mapping[str, Value], call: Call) -> Part:
        """Models with other settings: in place, where they are used in no other way."""
        told = {name: one for name, one in stated.items() if name not in ("self", "config")}
        if not told or not on.chains:
            return on
        line = self.line(call)
        tools = constructed.is_of_tools
        if all(tools(name) for name in told):
            self.findings.warn("tools", "tools or a format of answers stay in the code", line)
            return on
        chains = tuple(
            tuple(self._other(model, told, call) for model in chain) for chain in on.chains
        )
        return on._replace(chains=chains)

    def _other(self, model: Model, stated: Mapping[str, Value], call: Call) -> Model:
        receiver = call.receiver
        alone = receiver is None or self._uses[id(receiver)] <= 1
        alone = alone and all(self._uses[id(one)] <= 1 for one in call.among)
        if not alone or model.call_sites or self._shared(model):
            copy = self.findings.model(model.source, line=self.line(call))
            copy.params, copy.options = dict(model.params), dict(model.options)
            copy.key = model.key
            model = copy
        constructed.fill(
            model, stated, self.findings, line=self.line(call), milliseconds=self.javascript
        )
        return model

    def _shared(self, model: Model) -> bool:
        return sum(any(one is model for one in made) for made in self._made.values()) > 1

    def retried(self, on: Part, stated: Mapping[str, Value], call: Call) -> Part:
        """``with_retry``: attempts are retries and one more."""
        given = stated.get("stop_after_attempt") or stated.get("stopAfterAttempt")
        attempts = given if given is not None else stated.get("max_attempt_number", 3)
        if isinstance(attempts, int) and not isinstance(attempts, bool) and attempts > 0:
            return self.bound(on, {"max_retries": attempts - 1}, call)
        fields.resolved(attempts, self.findings, "stop_after_attempt", self.line(call))
        return on

    def _chosen(self, on: Part, call: Call) -> Part:
        """One of several is chosen at run time; the first is what counts."""
        others = beside(self.part(one) for one in call.named.values())
        if on.chains:
            self.findings.warn(
                "framework-logic", "which model or setting counts is chosen at run time",
                self.line(call),
            )  # fmt: skip
        return Part(on.chains + others.chains, on.waiting)

    def model(self, provider: str, call: Call) -> Part:
        """The model that a call constructs, or each of those that branches name."""
        spelled = constructed.spellings(provider, call, self.findings, self.line(call))
        return one_of([self._one_model(provider, one, call) for one in spelled])

    def _one_model(self, provider: str, spelled: Call, call: Call) -> Part:
        found = constructed.construct(
            provider, spelled, self.findings, line=self.line(call), milliseconds=self.javascript
        )
        if found is None:
            return NOTHING
        self._made.setdefault(id(call), []).append(found)
        if call.text and not self.lined:
            self.findings.warn("from-repr", f"{found.name} was recovered from its printed form")
        told = {"api_key_env", "base_url"} <= found.options.keys()
        if self.keys_guessed and told and found.source.startswith("openai:"):
            self.findings.warn(
                "key-guess",
                f"{found.options['api_key_env']} is what LangChain calls every key of this"
                f" class, and {found.options['base_url']} is not OpenAI: check it",
            )  # fmt: skip
        return Part(((found,),))

    def prompt(self, call: Call, otherwise: str = "") -> Part:
        """The prompt that a call makes."""
        if len(self.sketches) >= constructed.MOST:
            said = f"more than {constructed.MOST} prompts: the rest is left"
            self.findings.warn("unresolved", said)
            return NOTHING
        found = prompts.sketch(call, self.findings, self.line(call), otherwise)
        for value in (*call.args, *call.fields.values()):
            self.messages_used |= {id(one) for one in within(value)}
        return Part((), (self.keep(found),)) if found else NOTHING

    def keep(self, found: Sketch) -> Sketch:
        """A prompt that is to be entered at the end."""
        self.sketches.append(found)
        return found

    def given(self, call: Call) -> Part:
        """Anything that is given models and prompts: they belong together."""
        found = beside(self.part(one) for one in (*call.args, *call.fields.values()))
        on = self._receiver(call)
        if on is not None and call.name not in _ASKING:
            found = beside([on, found])
        if len(found.chains) == 1 or found.is_open:
            link(found.waiting, found)
            return Part(found.chains, (), found.is_open)
        return found

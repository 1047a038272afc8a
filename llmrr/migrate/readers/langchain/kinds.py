"""Which constructors and functions of LangChain are models, prompts, containers, or logic."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers import arguments, constructed
from llmrr.migrate.readers.langchain import classes, sketches
from llmrr.migrate.readers.langchain.parts import NOTHING, Part, beside, link, one_of
from llmrr.migrate.terms import fields, naming, secrets
from llmrr.migrate.values import Call, Env, Prompt, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.readers.langchain.runnables import Runnables

_INITS: Final = frozenset({"init_chat_model", "initChatModel"})
_AGENTS: Final = re.compile(r"create_?(?:\w*_)?(?:\w*)[Aa]gent\w*")
_CHAINS: Final = frozenset({"LLMChain", "ConversationChain", "TransformChain", "PromptPlayground"})
_CLASS_METHODS: Final = frozenset({
    "from_model_id", "fromModelId", "initialize", "from_pretrained", "from_params", "construct",
})  # fmt: skip
_CACHES: Final = re.compile(r"\w*(?:SQLite|SQLAlchemy|GPT|InMemory|Redis|Semantic|Local)\w*Cache")
_OF_AZURE: Final = re.compile(
    r"(?i)azure_?open_?ai_?(?:api_?)?(?:key|instance_?name|deployment_?name|base_?path|endpoint)"
)
_BARE: Final = ("LLMChain", "PromptTemplate", "ChatPromptTemplate")
_SEQUENCES: Final = ("RunnableSequence", "RunnableSequence.from")


def read(runnables: "Runnables", call: Call) -> Part | None:
    """What a call of LangChain's makes; None where it is none of LangChain's."""
    name = call.name
    parts = call.callee.split(".")
    if name in _CLASS_METHODS and len(parts) > 1:
        name = parts[-2]
    if not _is_ours(runnables, call, name):
        return None
    if sketches.is_message(call):
        return NOTHING
    if sketches.is_prompt(call):
        return runnables.prompt(call)
    if name in _INITS:
        return _initialised(runnables, call)
    if name in classes.MODELS:
        return _of_model(runnables, call, name)
    if classes.EMBEDDINGS.fullmatch(name):
        return _embedding(runnables, call, name)
    if (found := _container(runnables, call, name)) is not None:
        return found
    return _other(runnables, call, name)


def _is_ours(runnables: "Runnables", call: Call, name: str) -> bool:
    if not runnables.lined or classes.is_ours(call.callee):
        return True
    # A snippet without its imports: names that nothing else has.
    bare = call.receiver is None and call.callee.split(".")[0] in (name, sketches.class_of(call))
    return bare and (
        name in _INITS or (name in classes.MODELS and "Chat" in name)
        or sketches.class_of(call) in _BARE
    )  # fmt: skip


def _of_model(runnables: "Runnables", call: Call, name: str) -> Part:
    inner = call.named.get("llm")
    if isinstance(inner, Call) and (found := runnables.part(inner)).chains:
        return found  # ChatHuggingFace(llm=...), structured wrappers
    provider = classes.MODELS[name]
    stated = arguments.stated_in(call)
    if name == "ChatAnthropicBedrock":
        provider = "bedrock"
    if provider == "openai" and _is_azure(stated):
        provider = "azure"
    return runnables.model(provider, call)


def _is_azure(stated: dict[str, Value]) -> bool:
    """LangChain JS's ChatOpenAI and OpenAI speak to Azure where they are told what is there."""
    return any(one and _OF_AZURE.fullmatch(name) for name, one in stated.items())


def _initialised(runnables: "Runnables", call: Call) -> Part:
    """``init_chat_model``: the provider is stated, or stands before the first colon, or is taken
    from how the name begins."""
    line, findings = runnables.line(call), runnables.findings
    spelled = constructed.spellings("openai", call, findings, line)
    if len(spelled) > 1:
        return one_of([_initialised(runnables, one) for one in spelled])
    stated = arguments.stated_in(call)
    known = fields.resolved(stated.get("model"), findings, "model", line)
    if not isinstance(known, str):
        if stated.get("model") is None:
            findings.warn("no-model", "which model it is is said at run time", line)
        return NOTHING
    told = stated.get("model_provider", stated.get("modelProvider"))
    word = fields.resolved(told, findings, "model_provider", line)
    if told is not None and not isinstance(word, str):
        return NOTHING
    return by_name(runnables, call, known, word, stated)


def by_name(
    runnables: "Runnables", call: Call, model: str, word: str | None, stated: dict[str, Value]
) -> Part:
    """A model by ``provider:model``, as LangChain reads it."""
    first, colon, rest = model.partition(":")
    if word is None and colon and first.replace("-", "_") in classes.PROVIDERS:
        word, model = first, rest
    provider: str | None = None
    if word is not None:
        plain = word.replace("-", "_").lower()
        provider = classes.PROVIDERS.get(plain, plain)
    provider = provider or classes.inferred(model)
    if provider is None:
        runnables.findings.warn(
            "unknown-provider", f"nothing says whose {model!r} is", runnables.line(call)
        )
        return NOTHING
    kept = {name: one for name, one in stated.items() if name not in ("model", "model_name")}
    return runnables.model(provider, replace(call, args=(), fields={**kept, "model": model}))


def _container(runnables: "Runnables", call: Call, name: str) -> Part | None:
    """What only holds other runnables."""
    stated = call.named
    if name in _CHAINS:
        first = stated.get("prompt", stated.get("first"))
        last = stated.get("llm", stated.get("last"))
        return runnables.sequence([first, last])
    if call.callee.endswith(_SEQUENCES):
        steps = stated.get("steps") or (call.args[0] if len(call.args) == 1 else None)
        if not isinstance(steps, list):
            middle = stated.get("middle")
            inner = middle if isinstance(middle, list) else []
            steps = [stated.get("first"), *inner, stated.get("last"), *call.args]
        return runnables.sequence(steps)
    if name == "RunnableWithFallbacks":
        on = runnables.part(stated.get("runnable"))
        return runnables.fallbacks(on, stated.get("fallbacks"), call)
    if name in ("RunnableBinding", "RunnableRetry"):
        on = runnables.part(stated.get("bound"))
        if name == "RunnableRetry":
            return runnables.retried(on, stated, replace(call, receiver=None))
        told = stated.get("kwargs")
        return runnables.bound(on, told if isinstance(told, dict) else {}, call)
    if name in ("RunnableConfigurableAlternatives", "RunnableConfigurableFields"):
        on = runnables.part(stated.get("default"))
        others = runnables.part(stated.get("alternatives"))
        runnables.findings.warn(
            "framework-logic", "which model or setting counts is chosen at run time",
            runnables.line(call),
        )  # fmt: skip
        return Part(on.chains + others.chains, on.waiting)
    return None


def _other(runnables: "Runnables", call: Call, name: str) -> Part | None:
    findings, line = runnables.findings, runnables.line(call)
    if name == "_ConfigurableModel":
        default = call.fields.get("default_config", call.fields)
        if isinstance(default, dict) and default.get("model"):
            return _initialised(runnables, replace(call, args=(), fields=default))
        findings.warn("no-model", "which model it is is said at run time", line)
        return NOTHING
    if name in ("pull", "pull_prompt", "pullPrompt"):
        what = call.args[0] if call.args else None
        said = f" ({what})" if isinstance(what, str) else ""
        findings.warn("hub-reference", f"a prompt of LangChain's hub{said}", line)
        return NOTHING
    if name in ("load_prompt", "loadPrompt", "from_file", "load_chain", "load_llm", "loadChain"):
        what = call.args[0] if call.args else None
        is_hub = isinstance(what, str) and what.startswith("lc://")
        said = f"{what!r} is a file of its own" if isinstance(what, str) else "a file of its own"
        findings.warn("hub-reference" if is_hub else "unresolved", f"{said}: scan it too", line)
        return NOTHING
    if _CACHES.fullmatch(name):
        code = "response-cache" if "SQLite" in name or "GPT" in name else "cache-setting"
        findings.warn(code, f"answers are kept by {name}", line)
        return NOTHING
    if _AGENTS.fullmatch(name):
        runnables.logic.append(name)
        return _agent(runnables, call)
    if classes.unknown_model(call.callee):
        findings.warn("unknown-provider", f"llmrr knows no provider for {name}", line)
        return NOTHING
    logic = next((one for one in (name, maker(call)) if classes.LOGIC.fullmatch(one)), None)
    if logic is not None:
        runnables.logic.append(logic)
        if not classes.ASKS.search(logic):  # a retriever is no model, though it may ask one
            runnables.given(call)
            return NOTHING
    return None


def maker(call: Call) -> str:
    """The class whose method a call is, where its name is written as classes are.

    >>> maker(Call("langchain.chains.RetrievalQA.from_chain_type")), maker(Call("a.b"))
    ('RetrievalQA', '')
    """
    parts = call.callee.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2][:1].isupper() else ""


def _agent(runnables: "Runnables", call: Call) -> Part:
    """An agent's model may be a name; its system prompt may be a text."""
    stated = call.named
    given = stated.get("model", stated.get("llm", call.args[0] if call.args else None))
    found = NOTHING
    if isinstance(given, Unresolved) and given.calls:
        found = runnables.part(given)
    elif isinstance(given, str | Env | Unresolved):
        line = runnables.line(call)
        names = [fields.resolved(one, runnables.findings, "model", line)
                 for one in fields.alternatives(
                     given, runnables.findings, "model", line)]  # fmt: skip
        found = one_of([by_name(runnables, call, one, None, {}) for one in names
                        if isinstance(one, str)])  # fmt: skip
    rest = beside(runnables.part(one) for one in (*call.args, *call.fields.values()))
    found = Part(found.chains + rest.chains, rest.waiting)
    said = next(
        (stated[one] for one in ("system_prompt", "systemPrompt", "prompt", "state_modifier",
                                 "stateModifier", "messageModifier", "instructions")
         if isinstance(stated.get(one), str | Prompt)), None,
    )  # fmt: skip
    waiting = list(found.waiting)
    if said:
        text = sketches.literal_text(said, runnables.findings, runnables.line(call))
        if text:
            sketch = sketches.Sketch(sketches.title(call), None, (("system", text),))
            waiting.append(runnables.keep(sketch))
    link(waiting, found)
    return Part(found.chains)


def _embedding(runnables: "Runnables", call: Call, name: str) -> Part:
    embedding(runnables.findings, call, name, runnables.line(call))
    return NOTHING


def embedding(findings: Findings, call: Call, name: str, line: int | None) -> None:
    """A model of embeddings is told, and its key is kept out of every text."""
    stated = arguments.stated_in(call)
    keys = ("model", "model_name", "modelName", "model_id", "repo_id", "deployment", "model_path")
    said = next((stated[one] for one in keys if isinstance(stated.get(one), str)), None)
    whose = f"of {said} " if said else ""
    findings.warn("embedding-model", f"embeddings {whose}({name})", line)
    provider = naming.provider_of(name.partition("Embed")[0]) or ""
    holder = Model(name, f"{provider}:{said}")
    for field, value in stated.items():
        if isinstance(value, str) and secrets.is_secret_field(field):
            fields.api_key(holder, value, findings, at=field, line=line)

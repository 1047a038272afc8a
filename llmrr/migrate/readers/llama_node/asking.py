"""What a model of node-llama-cpp is told in its context, its session and each call."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers.asked import tell_of_lost
from llmrr.migrate.readers.llama_node.places import sized
from llmrr.migrate.readers.llama_node.tracing import Tracing
from llmrr.migrate.terms import fields
from llmrr.migrate.terms.texts import literal
from llmrr.migrate.values import Call, Prompt, Value

_ASKS: Final = frozenset({
    "prompt", "promptWithMeta", "generateCompletion", "generateCompletionWithMeta", "complete",
    "generateInfillCompletion", "completePrompt", "generate", "generateResponse", "generateStream",
})  # fmt: skip
_MADE: Final = frozenset({
    "LlamaChatSession", "LlamaCompletion", "LlamaChat", "LlamaCpp", "createContext", "LlamaContext",
    "getSequence", "loadModel", "LlamaModel", "createCompletion", "createSession",
})  # fmt: skip
_OF_CONTEXT: Final = frozenset({
    "model", "batchSize", "sequences", "batching", "createSignal", "performanceTracking",
    "failedCreationRemedy", "ignoreMemorySafetyChecks", "logitsAll", "embedding", "swaFullCache",
    "prependBos",
})  # fmt: skip
_OF_CALL: Final = frozenset({
    "onTextChunk", "onToken", "onResponseChunk", "signal", "stopOnAbortSignal", "budgets",
    "trimWhitespaceSuffix", "responsePrefix", "evaluationPriority", "maxParallelFunctionCalls",
    "documentFunctionParams", "onFunctionCallParamsChunk", "onFunctionCall", "contextShift",
    "lastEvaluationContextWindow", "completeAsModel", "stream", "tokenBias",
})  # fmt: skip
_TOOLS: Final = ("functions", "grammar")
_PENALTY: Final = {"penalty": "repeat_penalty", "frequencyPenalty": "frequency_penalty",
                   "presencePenalty": "presence_penalty"}  # fmt: skip


class Asking:
    """Fills in models from the calls of a file, in their order."""

    def __init__(self, findings: Findings, tracing: Tracing) -> None:
        self._findings, self._tracing = findings, tracing
        self._told: dict[str, dict[str, Value]] = {}  # by model, what a call has said first

    def see(self, call: Call) -> None:
        """One call of the file."""
        if call.name in ("createContext", "LlamaContext"):
            self._context(call)
        elif call.name in ("LlamaChatSession", "LlamaChat"):
            self._session(call)
        elif call.name in _ASKS and self._is_ours(call):
            self._asked(call)

    def _is_ours(self, call: Call) -> bool:
        if call.receiver is not None:
            return call.receiver.name in _MADE
        return bool(re.fullmatch(r"(?:[\w.]+\.)?\w*(?i:session|completion)\.\w+", call.callee))

    def _context(self, call: Call) -> None:
        model = self._tracing.model_of(call)
        if model is None:
            return
        stated = sized(call.named, self._findings, call.line)
        lora = stated.pop("lora", None)
        if lora is not None:
            self._lora(model, lora, call.line)
        if stated.get("batchSize") is not None:
            said = "batchSize has no equivalent in llmrr.toml"
            self._findings.warn("batch-size", said, call.line, "batchSize")
        self._settle(model, stated, call, _OF_CONTEXT)

    def _lora(self, model: Model, lora: Value, line: int) -> None:
        """``"x.gguf"``, or ``{adapters: [{filePath, scale}]}``."""
        adapters = lora.get("adapters") if isinstance(lora, dict) else [lora]
        paths: list[str | dict[str, object]] = []
        for one in adapters if isinstance(adapters, list) else ():
            path, scale = (
                (one.get("filePath"), one.get("scale")) if isinstance(one, dict) else (one, None)
            )
            known = fields.resolved(path, self._findings, "lora", line)
            if isinstance(known, str):
                is_scaled = isinstance(scale, int | float) and scale != 1
                paths.append({"path": known, "scale": scale} if is_scaled else known)
        if paths:
            model.options["lora"] = paths[0] if len(paths) == 1 else paths

    def _session(self, call: Call) -> None:
        model = self._tracing.model_of(call)
        named = call.named
        if model is None:
            return
        if named.get("chatWrapper") not in (None, "auto"):
            self._findings.warn(
                "chat-template", "the session has a wrapper of its own for chats", call.line
            )
        self._system(model, named.get("systemPrompt"), call)
        for history in ("conversationHistory", "chatHistory"):
            if named.get(history):
                self._findings.warn("few-shot", f"{history} stays in the code", call.line)

    def _system(self, model: Model, system: Value, call: Call) -> None:
        if isinstance(system, Prompt):
            name = f"{_label(call)}-system"
            self._findings.template(name, messages=[("system", system.text)], model=model)
            return
        known = fields.resolved(system, self._findings, "systemPrompt", call.line)
        if not isinstance(known, str) or not known.strip():
            return
        if model.params.setdefault("system", known) != known:
            self._findings.warn(
                "not-applied", "another session of the model has another system prompt, which is"
                " kept as a template", call.line, "systemPrompt",
            )  # fmt: skip
            turns = [("system", literal(known))]
            self._findings.template(_label(call), messages=turns, model=model)

    def _asked(self, call: Call) -> None:
        model = self._tracing.model_of(call)
        if model is None:
            return
        model.call_sites.append(call.line)
        prompt = call.args[0] if call.args else None
        if isinstance(prompt, Prompt):
            self._findings.template(_label(call), prompt.text, model=model)
        tell_of_lost(prompt, self._findings)
        options = call.args[1] if len(call.args) > 1 else None
        if isinstance(options, dict):
            self._told_by(model, _flat(options), call)
        elif options is not None:
            fields.resolved(options, self._findings, "what the call states", call.line)

    def _told_by(self, model: Model, stated: dict[str, Value], call: Call) -> None:
        """The first call decides; what another one says differently is told."""
        if any(stated.get(name) for name in _TOOLS):
            self._findings.warn("tools", "functions or a grammar stay in the code", call.line)
        known = self._told.setdefault(model.name, {})
        for name, value in stated.items():
            if name in known and known[name] != value and name not in (*_OF_CALL, *_TOOLS):
                self._findings.warn(
                    "not-applied", f"another call states another {name}, which was taken",
                    call.line, name,
                )  # fmt: skip
        fresh = {name: value for name, value in stated.items() if name not in known}
        known.update(fresh)
        self._settle(model, fresh, call, {*_OF_CALL, *_TOOLS})

    def _settle(
        self, model: Model, stated: Mapping[str, Value], call: Call, drop: frozenset[str] | set[str]
    ) -> None:
        for spread in call.rest:
            self._findings.warn("unresolved", f"{spread.text[:80]!r} may state more", spread.line)
        fields.settle(model, stated, self._findings, line=call.line, drop=drop)


def _flat(options: dict[str, Value]) -> dict[str, Value]:
    """Options of a call, with the penalties of ``repeatPenalty`` beside the others."""
    found = dict(options)
    penalty = found.get("repeatPenalty")
    if isinstance(penalty, dict):
        del found["repeatPenalty"]
        found |= {ours: penalty[name] for name, ours in _PENALTY.items() if name in penalty}
    return found


def _label(call: Call) -> str:
    """What a prompt may be called: the function around it, or what its answer is called."""
    if call.within and call.within not in ("main", "run", "constructor"):
        return call.within
    return call.targets[0].rpartition(".")[2] if call.targets else "prompt"

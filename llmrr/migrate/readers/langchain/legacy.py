"""``llm.save``, ``chain.save`` and ``prompt.save`` of older LangChains: flat JSON or YAML whose
``_type`` says what it is."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import constructed
from llmrr.migrate.readers.langchain import classes, dumped
from llmrr.migrate.readers.langchain.runnables import Runnables
from llmrr.migrate.terms import naming
from llmrr.migrate.values import Call, Value

KIND = "langchain-legacy"
_PROMPTS: Final = {
    "prompt": "PromptTemplate", "few_shot": "FewShotPromptTemplate", "chat": "ChatPromptTemplate",
    "few_shot_chat": "FewShotChatMessagePromptTemplate",
}  # fmt: skip
_NOISE: Final = frozenset({
    "_type", "memory", "verbose", "tags", "metadata", "callbacks", "callback_manager", "output_key",
    "output_parser", "name", "lc_attributes", "return_final_only", "llm_kwargs", "cache",
    "client", "async_client", "api_resource_base",
})  # fmt: skip
_NAMES: Final = ("model_name", "azure_deployment")
_ADDRESSES: Final = ("base_url", "openai_api_base", "api_base", "endpoint", "azure_endpoint")
# What stands beside the name of a model.
_BESIDE: Final = (*_ADDRESSES, "temperature", "max_tokens", "api_key", "top_p")
_LARGEST: Final = 1_000_000  # bytes of a prompt in a file of its own
_DEEPEST: Final = 30


def read(document: Document) -> Iterable[Artefact]:
    """What a file of ``save`` holds; none where it is not one."""
    data = document.shape
    if not isinstance(data, dict):
        return []
    if _is_saved(data):
        return [_taken(document, data)]
    inside = list(_inside(data, 0)) if "_type" in (document.text or "") else []
    if not any(_is_unknown(one) for one in inside):
        return []
    return [_taken(document, data, inside)]


def forced(document: Document) -> Iterable[Artefact]:
    """The same, where the user says that it is one. Raises ``DamagedFile``."""
    if not isinstance(document.shape, dict):
        raise DamagedFile(
            f"{document.path}: {document.problem or 'it is no JSON or YAML table'}",
            "llmrr migrate scan tells what a file is",
        )
    return [_taken(document, document.shape)]


def _is_saved(data: dict[str, Any]) -> bool:
    kind = data.get("_type")
    if kind is None:
        template = any(isinstance(data.get(one), str) for one in ("template", "template_path"))
        return template and isinstance(data.get("input_variables"), list)
    if not isinstance(kind, str):
        return False
    return (
        kind in classes.TYPES or kind in _PROMPTS or _is_chain(data) or _is_agent(data)
        or _is_unknown(data)
    )  # fmt: skip


def _is_unknown(data: dict[str, Any]) -> bool:
    """Whether a table is laid out as those of LangChain, with a ``_type`` of another program."""
    kind = data.get("_type")
    if not isinstance(kind, str) or kind in classes.TYPES or kind in _PROMPTS:
        return False
    return _is_named(data) and any(one in data for one in _BESIDE)


def _is_named(data: dict[str, Any]) -> bool:
    return any(data.get(one) and isinstance(data[one], str) for one in _NAMES)


def _inside(data: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The tables of models in the settings of another program."""
    if depth > _DEEPEST or not isinstance(data, dict | list):
        return
    for one in data.values() if isinstance(data, dict) else data:
        kind = one.get("_type") if isinstance(one, dict) else None
        if isinstance(kind, str) and (
            _is_unknown(one) or (kind in classes.TYPES and _is_named(one))
        ):
            yield one
        else:
            yield from _inside(one, depth + 1)


def _is_chain(data: dict[str, Any]) -> bool:
    kind = str(data.get("_type"))
    parts = ("llm", "llm_path", "llm_chain", "llm_chain_path", "prompt", "prompt_path", "chains",
             "combine_documents_chain", "question_generator", "retriever")  # fmt: skip
    return ("chain" in kind or kind.endswith("_qa")) and any(one in data for one in parts)


def _is_agent(data: dict[str, Any]) -> bool:
    return any(one in data for one in ("llm_chain", "llm_chain_path")) and (
        "agent" in str(data["_type"]) or "react" in str(data["_type"]) or "allowed_tools" in data
    )


def _taken(
    document: Document, data: dict[str, Any], inside: Sequence[dict[str, Any]] = ()
) -> Artefact:
    """What is saved in a file: one thing, or each of those ``inside``."""
    findings = Findings(document.path, KIND)
    runnables = Runnables(findings, lined=False)
    saved = _Saved(document, findings)
    for one in inside or [data]:
        runnables.part(saved.call(one, 0))
    runnables.finish()
    constructed.keys_in(data, findings)
    kind = str(data.get("_type") or "")
    if findings.models or findings.templates or kind in _PROMPTS or not kind:
        return findings.artefact()
    return findings.artefact("no model name" if kind in classes.TYPES else "it names no model")


class _Saved:
    """Saved tables as the calls that would make them."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self.folder, self.findings = document.real.parent, findings

    def call(self, data: dict[str, Any], depth: int) -> Value:
        kind = data.get("_type", "prompt")
        if depth > _DEEPEST or not isinstance(kind, str):
            return None
        if kind in _PROMPTS:
            return self.prompt(data, _PROMPTS[kind], depth)
        if kind in classes.TYPES:
            told = {str(key): dumped.value_of(one) for key, one in data.items()}
            told.pop("_type")
            for name in _NOISE:
                told.pop(name, None)
            return Call(classes.TYPES[kind], (), told)
        if _is_unknown(data):
            return self.unknown(data, kind)
        if _is_agent(data):
            self.findings.warn("framework-logic", f"an agent ({kind}) stays in the code")
        return self.chain(data, depth)

    def unknown(self, data: dict[str, Any], kind: str) -> Value:
        """A model of another program; one at an address of its own speaks as OpenAI does."""
        self.findings.warn(
            "unknown-provider", f"LangChain has no _type {kind[:40]!r}: read as its own are",
            at="_type",
        )  # fmt: skip
        told = {str(key): dumped.value_of(one) for key, one in data.items() if key not in _NOISE}
        address = next((str(told[one]) for one in _ADDRESSES if told.get(one)), None)
        provider = naming.provider_of(kind) or kind
        if address and provider != "azure" and not naming.is_default(provider, address):
            return Call("VLLMOpenAI", (), told)
        model = next(told.pop(one) for one in _NAMES if told.get(one))
        return Call("init_chat_model", (), {"model": model, "model_provider": provider, **told})

    def chain(self, data: dict[str, Any], depth: int) -> Value:
        """A chain: what it is made of, by value or by file."""
        if "llm_path" in data or "llm_chain_path" in data:
            self.elsewhere(data.get("llm_path", data.get("llm_chain_path")), "llm_path")
        told: dict[str, Value] = {}
        for name, one in data.items():
            if isinstance(one, dict) and ("_type" in one or "template" in one):
                told[str(name)] = self.call(one, depth + 1)
            elif isinstance(one, list):
                told[str(name)] = [
                    self.call(inner, depth + 1) for inner in one if isinstance(inner, dict)
                ]
        if isinstance(data.get("prompt_path"), str):
            self.elsewhere(data["prompt_path"], "prompt_path")
        callee = "LLMChain" if "llm" in told and "prompt" in told else "chain"
        return Call(callee, (), told)

    def prompt(self, data: dict[str, Any], name: str, depth: int) -> Value:
        """A prompt, whose text may lie in a file beside this one."""
        told = {str(key): dumped.value_of(one) for key, one in data.items() if key not in _NOISE}
        if isinstance(data.get("template_path"), str) and not data.get("template"):
            told["template"] = self.elsewhere(data["template_path"], "template_path")
        if isinstance(data.get("messages"), list):
            told["messages"] = [
                self.message(one, depth + 1) for one in data["messages"] if isinstance(one, dict)
            ]
        return Call(name, (), told)

    def message(self, data: dict[str, Any], depth: int) -> Value:
        """A message of a saved chat prompt."""
        inner = data.get("prompt")
        if not isinstance(inner, dict):
            return Call("MessagesPlaceholder", (), {"variable_name": data.get("variable_name")})
        text = inner.get("template")
        kind = str(data.get("_type", inner.get("_type", "human")))
        role = next((one for one in ("system", "ai", "human") if one in kind.lower()), "human")
        template = self.call({**inner, "_type": "prompt"}, depth)
        return [role, template if isinstance(template, Call) else str(text)]

    def elsewhere(self, path: object, field: str) -> str | None:
        """The text of a file beside this one; what lies elsewhere is told and not read."""
        if not isinstance(path, str):
            return None
        if path.startswith("lc://") or "://" in path:
            self.findings.warn(
                "hub-reference", f"{path} is in LangChain's hub and is not fetched", at=field
            )
            return None
        if field != "template_path":
            self.findings.warn(
                "unresolved", f"{path} is a file of its own: scan it too", at=field
            )
            return None
        return _beside(self.folder, path, self.findings)


def _beside(folder: Path, path: str, findings: Findings) -> str | None:
    """The text of a file in a folder, followed to no place out of it."""
    try:
        home, found = folder.resolve(), (folder / PurePosixPath(path)).resolve()
        if found.is_relative_to(home) and found.is_file() and found.stat().st_size <= _LARGEST:
            return found.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError, RuntimeError):
        pass
    findings.warn("unresolved", f"{path} is not read: it is not in this folder", at="template_path")
    return None

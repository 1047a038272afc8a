"""The models that code loads by the names of repositories or folders: each once, and which value
of the code is which of them."""

from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.terms import hubnames, secrets
from llmrr.migrate.terms.fields import resolved, settle
from llmrr.migrate.values import Call, Env, Prompt, Unresolved, Value
from llmrr.paths import exists

# What gives back the model that it gets.
_THROUGH: Final = frozenset({
    "compile", "prepare", "get_peft_model", "prepare_model_for_kbit_training", "DataParallel",
    "HuggingFacePipeline", "from_model_id", "deepspeed", "init_inference", "simplify",
})  # fmt: skip


class CodedModels:
    """Collects them, in the order of the calls."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self.document, self.findings = document, findings
        self.by_call: dict[Call, Model] = {}
        self._by_place: dict[tuple[str, str | None, str | None], Model] = {}
        self._lines: dict[tuple[int, str], int] = {}

    def add(self, call: Call, stated: Value, *, at: str = "model") -> Model | None:
        """The model that a call loads by ``stated``, or None with a warning."""
        if isinstance(stated, Call) and (known := self.owner(stated)):
            self.by_call[call] = known
            return known
        if stated is None:
            self.findings.warn("no-model", f"{_short(call)} names no model", call.line)
            return None
        name = self._text(stated, at, call)
        if name is None:
            return None
        if hubnames.is_hole(name):
            said = f"{name[:60]!r} is to be filled in"
            self.findings.warn("placeholder", said, call.line, at)
            return None
        source, options = self._place(name, call)
        revision = call.fields.get("revision")
        if isinstance(revision, str) and revision not in ("", "main"):
            options["revision"] = revision
        key = (source, options.get("file"), options.get("revision"))
        if key not in self._by_place:
            model = self.findings.model(source, line=call.line)
            model.options |= options
            self._by_place[key] = model
        self.by_call[call] = self._by_place[key]
        return self.by_call[call]

    def owner(self, value: Value, depth: int = 8) -> Model | None:
        """The model that a value is, or was made of."""
        while isinstance(value, Call) and depth:
            if value in self.by_call:
                return self.by_call[value]
            first = value.args[0] if value.args and value.name in _THROUGH else None
            named = value.fields.get("pipeline") or value.fields.get("model")
            value = value.receiver or first or (named if value.name in _THROUGH else None)
            depth -= 1
        return None

    def asked(self, call: Call) -> Model | None:
        """The model that a call of a method asks; the only one there is, where nothing else tells.
        """
        found = self.owner(call.receiver)
        if found is None and (call.receiver is None or call.receiver not in self.by_call):
            models = self.findings.models
            found = models[0] if len(models) == 1 else None
        if found is not None:
            found.call_sites = sorted({*found.call_sites, call.line})
        return found

    def put(self, model: Model, stated: dict[str, Value], line: int, **how: object) -> None:
        """Parameters of one call; those of an earlier one that says otherwise stay."""
        scratch = Model(model.name, model.source)
        settle(scratch, stated, self.findings, line=line, **how)  # type: ignore[arg-type]
        for ours, theirs in ((model.params, scratch.params), (model.options, scratch.options)):
            for name, value in theirs.items():
                if ours.setdefault(name, value) != value:
                    first = self._lines.get((id(model), name))
                    before = f" line {first} says" if first else " it has"
                    said = f"{name} is {str(value)[:60]!r} here;{before} {str(ours[name])[:60]!r}"
                    self.findings.warn("not-applied", said, line, name)
                self._lines.setdefault((id(model), name), line)

    def token(self, value: Value, line: int, at: str) -> None:
        """A token of the hub: never kept, but for the name of its variable in a warning."""
        if isinstance(value, Env):
            value = value.default
        if isinstance(value, str) and not secrets.is_placeholder(value):
            if secrets.reference(value) is not None:
                return
            self.findings.secrets.add(value)
            said = (f"{at} holds a key in clear: it stays in that file; set HF_TOKEN to it, and"
                    " replace a key that others could have read")  # fmt: skip
            self.findings.warn("secret-in-clear", said, line, at)

    def _text(self, stated: Value, at: str, call: Call) -> str | None:
        if isinstance(stated, Env | Unresolved | Call | Prompt):
            stated = resolved(stated, self.findings, at, call.line)
        if not isinstance(stated, str) or not stated.strip() or len(stated) > 500:
            if stated is not None:
                self.findings.warn("unresolved", f"{at} is no text", call.line, at)
            return None
        return stated.strip()

    def _place(self, name: str, call: Call) -> tuple[str, dict[str, str]]:
        """A folder where there is one, else a repository."""
        if cached := hubnames.cached(name):
            return cached.source, cached.options
        if not _is_here(self.document.real.parent, name):
            hub = hubnames.repository(name)
            if hub is not None and hub.repository.count("/") == 1:
                return hub.source, hub.options
            if "/" not in name and "\\" not in name and not name.startswith("."):
                return f"huggingface:{name}", {}  # as gpt2: one of those without an owner
            said = f"{name[:120]} is not on this machine"
            self.findings.warn("foreign-path", said, call.line, "model")
        return f"file:{name}", {}


def _is_here(folder: Path, name: str) -> bool:
    plain = not name.startswith((".", "/", "~")) and name.count("/") < 1
    return len(name) < 1000 and "\0" not in name and not plain and exists(folder / name)


def _short(call: Call) -> str:
    return call.text.partition("\n")[0][:60] or call.name

"""Files of variables (``.env``), by what they name: keys by reference, addresses and models by
value."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from llmrr.engines.remote.providers import PROVIDERS as REMOTE
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.launching import containers
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.variable_lines import is_of_variables, lines_of, variables_of
from llmrr.migrate.terms import fields, naming, secrets
from llmrr.migrate.terms.withheld import literals, withhold

_LARGEST: Final = 200_000  # bytes
_LONGEST: Final = 100  # characters of a name
_NOT: Final = frozenset({
    ".py", ".js", ".ts", ".tsx", ".jsx", ".mjs", ".cjs", ".toml", ".json", ".yaml", ".yml", ".ini",
    ".md", ".ipynb", ".cfg", ".conf", ".rs", ".go", ".java", ".c", ".h", ".cpp", ".rb", ".php",
    ".txt", ".rst", ".html",
})  # fmt: skip
_SHELLS: Final = ("", ".sh", ".bash", ".zsh", ".profile")
_EXPORT: Final = re.compile(
    r"\s*export\s+([A-Za-z_]\w{0,99})=(?:'([^'\n]*)'|\"([^\"\n]*)\"|([^\s'\"#;]+))"
)
# Before the names that frameworks show to the browser.
_SHOWN: Final = re.compile(r"^(?:VITE_|NEXT_PUBLIC_|REACT_APP_|NUXT_PUBLIC_|NUXT_|EXPO_PUBLIC_)")
_GENERIC: Final = ("LLM", "AI", "CHAT", "DEFAULT", "CHAT_LLM", "MODEL", "LITELLM", "")
_MODEL: Final = re.compile(
    r"(?:(?P<owner>.+?)_)?(?:MODEL(?:_NAME|_ID)?|(?:MODEL_)?DEPLOYMENT(?:_NAME|_ID)?|ENGINE)"
)
# Between the name of the owner and that of the field.
_BETWEEN: Final = frozenset({
    "CHAT", "COMPLETION", "COMPLETIONS", "DEFAULT", "API", "LLM", "TEXT", "GPT", "MAIN",
})  # fmt: skip
_PATH: Final = re.compile(r"(?:.*_)?(?:MODEL|LLM|LLAMA|GGUF)(?:_.*)?")
_EMBEDDING: Final = re.compile(r"(?:.*_)?EMBED(?:DING|DINGS|S)?(?:_.*)?")
_OTHER: Final = re.compile(
    r"(?:.*_)?(?:IMAGE|DALLE|TTS|STT|WHISPER|SPEECH|AUDIO|VOICE|RERANK(?:ER)?|MODERATION)(?:_.*)?"
)
_ADDRESSES: Final = ("BASE_URL", "API_BASE", "API_BASE_URL", "ENDPOINT", "API_ENDPOINT", "API_URL",
                     "HOST", "URL", "PROXY_URL")  # fmt: skip
# What else stands beside a model, after its owner's name, and what it is of ours.
_BESIDE: Final = {
    "TEMPERATURE": "temperature", "MAX_TOKENS": "max_tokens", "TOP_P": "top_p",
    "API_VERSION": "api_version", "ORG_ID": "organization", "ORGANIZATION": "organization",
    "TIMEOUT": "timeout", "MAX_RETRIES": "max_retries", "N_CTX": "context_size",
    "CONTEXT_SIZE": "context_size", "NUM_CTX": "context_size", "N_GPU_LAYERS": "gpu_layers",
}  # fmt: skip
_KEYS: Final = frozenset(
    key for provider in REMOTE.values() for key in provider.keys
) | {"HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_API_KEY"}


def of_data(document: Document) -> Iterator[Artefact]:
    """A file of variables that names a provider's key, address or model."""
    if document.suffix in _NOT or len(document.data) > _LARGEST or document.text is None:
        return
    if not is_of_variables(document.text):
        yield from _exported(document)
        return
    findings = Findings(document.path, "dotenv")
    variables = variables_of(document, findings)
    if not any(_is_known(name) for name in variables if len(name) <= _LONGEST):
        return
    yield _found(variables, document, findings)


def _exported(document: Document) -> Iterator[Artefact]:
    """The keys that a shell's own file exports; llmrr reads no such file, so each is told."""
    if document.suffix not in _SHELLS:
        return
    findings = Findings(document.path, "dotenv")
    for number, line in enumerate((document.text or "").splitlines(), 1):
        match = _EXPORT.match(line)
        if match is None or not (_is_key(match[1]) and _is_known(match[1])):
            continue
        value = next(one for one in match.groups()[1:] if one is not None)
        if not secrets.is_placeholder(value) and not value.startswith("$"):
            findings.secrets.add(value)
            said = f"{match[1]} holds a key in clear: it stays in that file"
            findings.warn("secret-in-clear", said, number, match[1])
    if findings.warnings:
        yield findings.artefact()


def of_containers(document: Document) -> list[Artefact]:
    """What compose files and objects of Kubernetes tell a program by its variables."""
    findings, lines = Findings(document.path, "dotenv"), Lines(document.text or "")
    for line, given in containers.environments(document.shape, document.text or ""):
        variables: dict[str, str] = {}
        for name, value in given.items():
            found = secrets.reference(value)
            stated = value if found is None else found.default
            if len(name) <= _LONGEST and isinstance(stated, str):
                variables[name] = stated
        plain = {_SHOWN.sub("", name).upper(): name for name in variables}
        if withhold(variables, findings) and any(map(_is_known, variables)):
            for name, _ in literals(variables):
                said = f"{name} holds a key in clear: it stays in that file"
                findings.warn("secret-in-clear", said, lines.next(name), name)
        for short, name in plain.items():
            if variables[name] and _is_known(name):
                _once(short, name, variables, plain, findings, line)
    return [findings.artefact()] if findings.models or findings.warnings else []


def _once(
    short: str, name: str, variables: Mapping[str, str], plain: Mapping[str, str],
    findings: Findings, line: int,
) -> None:  # fmt: skip
    """The model that a variable names; several services may ask the same one."""
    trial = Findings(findings.path, findings.kind)
    _model(short, name, variables, plain, trial, line)
    for model in trial.models:
        same = (model.source, model.params, model.options)
        if all((one.source, one.params, one.options) != same for one in findings.models):
            added = findings.model(model.source, line=line)
            added.params, added.options, added.key = model.params, model.options, model.key
    findings.warnings += [one for one in trial.warnings if one not in findings.warnings]


def forced(document: Document) -> Iterator[Artefact]:
    """The same of a file that is said to be one."""
    findings = Findings(document.path, "dotenv")
    yield _found(variables_of(document, findings), document, findings)


def _found(
    variables: Mapping[str, str], document: Document, findings: Findings
) -> Artefact:
    lines = lines_of(document.text or "")
    variables = {name: value for name, value in variables.items() if len(name) <= _LONGEST}
    for name, value in variables.items():
        is_secret = secrets.is_secret_field(name) or secrets.looks_secret(value)
        if is_secret and not secrets.is_placeholder(value):
            findings.secrets.add(value)
    if any(_is_key(name) and not secrets.is_placeholder(value) and not secrets.reference(value)
           for name, value in variables.items()):  # fmt: skip
        findings.env_file = str(document.path)
    plain = {_SHOWN.sub("", name).upper(): name for name in variables}
    for short, name in plain.items():
        if variables[name]:
            _model(short, name, variables, plain, findings, lines.get(name))
    if not findings.models:
        _addresses(variables, plain, findings, lines)
    return findings.artefact()


def _model(
    short: str, name: str, variables: Mapping[str, str], plain: Mapping[str, str],
    findings: Findings, line: int | None,
) -> None:  # fmt: skip
    """The model that a variable names, if it does."""
    value = variables[name].strip()
    if value.lower().endswith((".gguf", ".bin")) and _PATH.fullmatch(short):
        model = findings.model(f"file:{value}", line=line)
        fields.settle(model, _beside("MODEL", variables, plain), findings, line=line)
        return
    owner = _owner(short)
    if owner is None:
        return
    if _EMBEDDING.fullmatch(short) or _OTHER.fullmatch(short):
        code = "embedding-model" if _EMBEDDING.fullmatch(short) else "other-role"
        findings.warn(code, f"{name} names a model with another task", line, name)
        return
    if secrets.is_placeholder(value) or secrets.reference(value) or "," in value:
        findings.warn("placeholder", f"{name} names no model yet", line, name)
        return
    provider = _provider(owner, variables, plain)
    if provider is None and owner not in _GENERIC:
        return
    beside = _beside(owner, variables, plain)
    address = beside.pop("base_url", None)
    if owner in _GENERIC and "openrouter" not in (address or ""):
        provider, value = _prefixed(provider, value)
    if address is None and (ours := _asked(provider, value)):
        stated = (_value(one, variables, plain) for one in naming.ADDRESSES.get(ours, ()))
        address = next((one for one in stated if re.match(r"https?://", one)), None)
        provider = ours if address else provider
    placed = naming.place(provider, value, _plain_address(address))
    if placed.source is None:
        findings.warn("unknown-provider", f"{name}: {placed.why}", line, name)
        return
    model = findings.model(placed.source, line=line)
    if placed.base_url:
        beside["base_url"] = address or placed.base_url
    fields.settle(model, beside, findings, line=line)
    key = _key(owner, model.source.partition(":")[0], plain)
    if key is not None:
        model.options["api_key_env"] = key


def _prefixed(provider: str | None, value: str) -> tuple[str | None, str]:
    """A model as LiteLLM has it: ``ollama/qwen3:8b``, also where the provider is stated besides.

    >>> _prefixed("ollama", "ollama/qwen3:8b"), _prefixed("openrouter", "openai/gpt-4o")
    (('ollama', 'qwen3:8b'), ('openrouter', 'openai/gpt-4o'))
    """
    first, slash, rest = value.partition("/")
    ours = naming.provider_of(first) if slash and rest else None
    stated = naming.provider_of(provider) if provider else None
    if ours is None or not (provider in (None, "litellm", "local") or stated == ours):
        return provider, value
    return first, rest


def _provider(owner: str, variables: Mapping[str, str], plain: Mapping[str, str]) -> str | None:
    if owner == "AZURE_OPENAI" or owner == "AZURE":
        return "azure"
    if owner == "OPENAI" and "azure" in _value("OPENAI_API_TYPE", variables, plain).lower():
        return "azure"
    if owner in _GENERIC:
        for name in ("LLM_PROVIDER", "MODEL_PROVIDER", "AI_PROVIDER", "PROVIDER"):
            if stated := _value(name, variables, plain):
                return stated
        return None
    return naming.provider_of(owner) or naming.provider_of(owner.replace("_", "-"))


def _beside(
    owner: str, variables: Mapping[str, str], plain: Mapping[str, str]
) -> dict[str, str]:
    """What is stated of the same owner."""
    before = f"{owner}_" if owner else ""
    found = {
        ours: value for last, ours in _BESIDE.items()
        if (value := _value(f"{before}{last}", variables, plain))
    }  # fmt: skip
    version = _value("OPENAI_API_VERSION", variables, plain)
    if owner.startswith("AZURE") and version:
        found.setdefault("api_version", version)
    for last in _ADDRESSES:
        value = _value(f"{before}{last}", variables, plain)
        if re.match(r"https?://", value):
            found["base_url"] = value
            break
    return found


def _asked(provider: str | None, model: str) -> str | None:
    """Whose protocol a model is asked in; where nothing says it, OpenAI's."""
    source = naming.place(provider, model).source
    return source.partition(":")[0] if source else naming.provider_of(provider or "openai")


def _plain_address(address: str | None) -> str | None:
    return re.sub(r"(?<=://)[^/@]*@", "", address).partition("?")[0] if address else None


def _key(owner: str, provider: str, plain: Mapping[str, str]) -> str | None:
    """The variable of this file that holds the key."""
    usual = REMOTE[provider].keys if provider in REMOTE else ()
    wanted = (f"{owner}_API_KEY", f"{owner}_KEY", *usual, "API_KEY")
    return next((plain[one] for one in wanted if one in plain), None)


def _addresses(
    variables: Mapping[str, str], plain: Mapping[str, str], findings: Findings,
    lines: Mapping[str, int],
) -> None:  # fmt: skip
    for provider, names in naming.ADDRESSES.items():
        for short in names:
            value = _plain_address(_value(short, variables, plain))
            if value and re.match(r"https?://", value) and not naming.is_default(provider, value):
                findings.warn(
                    "base-url-default",
                    f"{plain[short]} is {value}: models whose code states no address are asked"
                    " there", lines.get(plain[short]), plain[short],
                )  # fmt: skip


def _value(short: str, variables: Mapping[str, str], plain: Mapping[str, str]) -> str:
    return variables[plain[short]].strip() if short in plain else ""


def _is_key(name: str) -> bool:
    short = _SHOWN.sub("", name).upper()
    owner = re.sub(r"_(?:API_)?(?:KEY|TOKEN)$", "", short)
    known = owner != short and (owner in _GENERIC or naming.provider_of(owner.lower()) is not None)
    return short in _KEYS or known or owner == "AZURE_OPENAI"


def _is_known(name: str) -> bool:
    short = _SHOWN.sub("", name).upper()
    if short in _KEYS or _is_key(name):
        return short not in ("API_KEY", "KEY", "TOKEN", "DEFAULT_KEY", "AI_KEY")
    first, owner = short.partition("_")[0], _owner(short)
    if first in ("LLM", "LITELLM", "OPENAI") or short.startswith("AZURE_OPENAI_"):
        return True
    return bool(owner and naming.provider_of(first.lower()))


def _owner(short: str) -> str | None:
    """Whose model a name speaks of, "" where it is not said; None where it is no name of one."""
    match = _MODEL.fullmatch(short)
    if match is None:
        return None
    parts = (match["owner"] or "").split("_")
    while len(parts) > 1 and parts[-1] in _BETWEEN:
        parts.pop()
    return "_".join(parts)


READER: Final = Reader(("dotenv",), of_data=of_data, forced=forced)

"""What a command line says of a model, as a model of ours."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.launching.commands import Launch, Program
from llmrr.migrate.terms import fields, hubnames, naming
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.secrets import reference
from llmrr.migrate.terms.withheld import withhold
from llmrr.migrate.values import Value

_MODEL: Final[Mapping[Program, tuple[str, ...]]] = {
    "llama.cpp": ("model",), "llama-cpp-python": ("model",), "mlx": ("model", "model-path"),
    "vllm": ("model",), "sglang": ("model-path", "model"), "tgi": ("model-id",),
    "koboldcpp": ("model",), "ollama": (), "litellm": ("model", "m"), "localai": (), "other": (),
}  # fmt: skip
# Of a server, not of a model: where it listens, what it logs, how it looks.
_NOISE: Final = frozenset({
    "host", "port", "metrics", "slots", "props", "path", "webui", "no-webui", "log-file", "verbose",
    "verbosity", "log-verbosity", "log-colors", "log-prefix", "log-timestamps", "log-disable", "lv",
    "threads-http", "cont-batching", "no-cont-batching", "jinja", "warmup", "no-warmup", "alias",
    "served-model-name", "offline", "slot-save-path", "static-path", "log-level", "prompt", "color",
    "interactive", "interactive-first", "conversation", "cnv", "no-display-prompt", "model-name",
    "simple-io", "escape", "multiline-input", "single-turn", "st", "no-cnv", "no-conversation",
    "api-prefix", "timeout", "reuse-port", "slot-prompt-similarity", "sps", "cache-prompt",
    "cache-reuse", "no-perf", "perf", "uvicorn-log-level", "disable-log-requests", "quiet",
    "download-dir", "trust-remote-code", "enable-prefix-caching", "dtype", "chat-format", "prio",
    "poll", "version", "load-on-startup", "stop-timeout", "models-dir", "models-max", "d", "usage",
    "usecublas", "usevulkan", "launch", "skiplauncher", "multiuser", "tokenizer", "name", "cpu",
    "enable-auto-tool-choice", "tool-call-parser", "reasoning-parser", "enable-reasoning",
    "enable-lora", "max-loras", "max-lora-rank", "max-cpu-loras", "enable-chunked-prefill",
    "block-size", "load-format", "distributed-executor-backend", "enforce-eager", "swap-space",
    "allowed-origins", "allowed-methods", "allowed-headers", "allow-credentials", "root-path",
    "reasoning-format", "reasoning", "cache-ram", "cache-idle-slots", "no-cache-idle-slots",
    "ctx-checkpoints", "swa-checkpoints", "verbose-prompt", "no-verbose-prompt",
    "disable-log-stats", "no-enable-prefix-caching", "enable-log-requests",
    "no-enable-log-requests",
    "hf-token", "no-slots", "ui", "no-ui", "sleep-idle-seconds", "log-config", "model-url",
}) | {f"{one}-batch" for one in ("threads",)}  # fmt: skip
_SPREAD: Final = frozenset({
    "tensor-split", "split-mode", "main-gpu", "device", "override-tensor", "n-cpu-moe", "cpu-moe",
    "tensor-parallel-size", "tp", "tp-size", "pipeline-parallel-size", "gpu-memory-utilization",
    "num-shard", "numa", "no-kv-offload", "kv-offload", "data-parallel-size", "fit", "rpc",
    "mem-fraction-static", "gpuid", "fit-target", "fit-ctx", "main-gpu-layers", "dp-size", "no-fit",
})  # fmt: skip
_BATCHES: Final = frozenset({
    "batch-size", "ubatch-size", "parallel", "max-num-seqs", "max-num-batched-tokens", "n-batch",
    "max-batch-prefill-tokens", "blasbatchsize", "decode-concurrency", "prompt-concurrency",
})  # fmt: skip
_TEMPLATES: Final = frozenset({"chat-template", "chat-template-file", "chat-template-kwargs"})
_NAMES: Final = {
    "reverse-prompt": "stop", "max-total-tokens": "context_size",
}  # fmt: skip
_ON: Final = ("true", "1", "on")
_HUB: Final = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/(?:resolve|blob|raw)/([\w.-]+)/"
    r"([^?#\s]+)"
)
_UNKNOWN: Final = re.compile(r"\$[\w{(@*]|\{\{|%~?\w+%|%~?\d|<[^>]+>")


def served(
    launch: Launch, findings: Findings, name: str | None = None, line: int | None = None
) -> Model | None:
    """The model that a command line starts; None, with a warning, where it names none."""
    launch = _defaulted(launch, findings, line)
    if launch.program == "other":
        findings.warn("other-role", _said(name, "is a server of speech or images"), line)
        return None
    if _has_other_role(launch, findings, name, line):
        return None
    found = _source(launch, findings, name, line)
    if found is None:
        return None
    source, file, revision = found
    model = findings.model(source, name or launch.flag("alias", "served-model-name"), line)
    if file:
        model.options["file"] = file
    if revision:
        model.options["revision"] = revision
    told(model, launch, findings, line)
    return model


def _defaulted(launch: Launch, findings: Findings, line: int | None) -> Launch:
    """The same; what names the model is the default of its variable, where it has one."""
    changed: dict[str, str | list[str]] = {}
    for flag in (*_MODEL[launch.program], "hf-repo", "hf-file", "model-url"):
        value = launch.flag(flag)
        found = reference(value) if value else None
        if found is not None and found.default:
            changed[flag] = str(fields.resolved(found, findings, flag, line))
    for flag in ("alias", "served-model-name"):  # a name that is not known is none
        found = reference(value) if (value := launch.flag(flag)) else None
        if found is not None:
            changed[flag] = str(found.default or "")
    return launch._replace(flags={**launch.flags, **changed}) if changed else launch


def told(model: Model, launch: Launch, findings: Findings, line: int | None = None) -> None:
    """What the flags say of a model that is known."""
    stated: dict[str, Value] = {}
    used = {*_MODEL[launch.program], "hf-repo", "hf-file", "hf_model_repo_id", "revision",
            "tokenizer-path"}  # fmt: skip
    for flag, value in launch.flags.items():
        is_random = flag == "seed" and value == "-1"
        if flag in used or is_random or _is_apart(flag, value, findings, line):
            continue
        if flag.startswith("no-") and flag[3:] in ("mmap", "mlock", "flash-attn"):
            is_off = value in ("false", "0", "off", "no")
            flag, value = flag[3:], "true" if is_off else "false"
        stated[flag] = list(value) if isinstance(value, list) else value
    _one_cache_type(stated, findings, line)
    for flag, one in list(stated.items()):
        if isinstance(one, list) and flag not in ("reverse-prompt", "stop"):
            findings.warn("duplicate-key", f"--{flag} stands twice; the last one counts", line)
            stated[flag] = one[-1]
    fields.settle(model, stated, findings, line=line, names=_NAMES)


def _is_apart(flag: str, value: str | list[str], findings: Findings, line: int | None) -> bool:
    """Whether a flag is about something else than the model; what counts is told."""
    plain = flag.replace("_", "-")
    if plain in ("api-key", "api-key-file", "hf-token", "ssl-key-file", "ssl-cert-file"):
        if withhold(value, findings, line, at=plain) or plain == "api-key":
            findings.warn("guard", f"{flag} is about the other server alone", line)
        return True
    if plain in _SPREAD:
        findings.warn("gpu-split", f"--{flag} is chosen when the model is loaded", line)
    elif plain in _BATCHES:
        findings.warn("batch-size", f"--{flag} is chosen by the engine", line)
    elif plain in _TEMPLATES:
        findings.warn("chat-template", f"--{flag}: the model's own template is used", line)
    else:
        return plain in _NOISE
    return True


def _one_cache_type(stated: dict[str, Value], findings: Findings, line: int | None) -> None:
    """llmrr has one type for keys and values."""
    values = stated.pop("cache-type-v", None)
    if values is not None and values != stated.get("cache-type-k"):
        findings.warn("unmapped-parameter", f"cache-type-v is {values}, apart from that of keys",
                      line, "cache-type-v")  # fmt: skip


def _source(
    launch: Launch, findings: Findings, name: str | None, line: int | None
) -> tuple[str, str | None, str | None] | None:
    """The source that is named, its file and revision; None with a warning."""
    path = launch.flag(*_MODEL[launch.program])
    repository = launch.flag("hf-repo", "hf_model_repo_id")
    url = launch.flag("model-url")
    if launch.program == "ollama":
        words = [one for one in launch.words if one not in ("run", "pull", "serve", "create")]
        path = words[0] if launch.words[:1] in (("run",), ("pull",)) and words else None
        return None if path is None else _checked(f"ollama:{path}", findings, line)
    if launch.program in ("vllm", "koboldcpp", "mlx") and path is None:
        words = [one for one in launch.words if one not in ("serve", "server", "generate", "chat")]
        path = words[0] if words else None
    if path is None and launch.program == "llama.cpp" and launch.words:
        path = next((one for one in launch.words if one.lower().endswith(".gguf")), None)
    if repository:
        return _of_repository(launch, repository, path, findings, line)
    if path:
        return _of_path(launch, path, findings, line)
    if url:
        return of_address(url, findings, line)
    if docker := launch.flag("docker-repo"):
        said = f"{docker[:120]} is an image of Docker's registry, which llmrr does not fetch"
        findings.warn("unsupported-source", said, line)
        return None
    findings.warn("no-model", _said(name, "names no model"), line)
    return None


def _of_repository(
    launch: Launch, repository: str, path: str | None, findings: Findings, line: int | None
) -> tuple[str, str | None, str | None] | None:
    file = launch.flag("hf-file")
    if launch.program == "llama-cpp-python":
        file = path
    if file:
        repository = repository.partition(":")[0]
    found = _checked(f"huggingface:{repository}", findings, line)
    return found and (found[0], file, None)


def _of_path(
    launch: Launch, path: str, findings: Findings, line: int | None
) -> tuple[str, str | None, str | None] | None:
    """A path, or for the programs that take them the name of a repository."""
    is_hub = launch.program in ("vllm", "sglang", "tgi", "mlx") or is_repository(path)
    if path.startswith(("http://", "https://")):
        return of_address(path, findings, line)
    if is_hub and re.fullmatch(r"\w[\w.-]*(/[\w.-]+(:[\w.-]+)?)?", path):
        if launch.program in ("llama.cpp", "llama-cpp-python", "koboldcpp"):
            findings.warn(
                "not-used-by-original", f"model is {path}, a repository where a path is meant", line
            )
        if "/" not in path and launch.program != "mlx":
            return _checked(f"huggingface:{path}", findings, line)
        if "/" in path:
            found = _checked(f"huggingface:{path}", findings, line)
            return found and (found[0], None, launch.flag("revision"))
    for inside, outside in launch.mounts.items():
        if path.startswith(inside.rstrip("/") + "/"):
            there = outside.rstrip("/") + path[len(inside.rstrip("/")) :]
            findings.warn(
                "foreign-path", f"{path} is a path inside a container, outside it {there}", line
            )
    return _checked(f"file:{path}", findings, line)


def of_address(
    url: str, findings: Findings, line: int | None = None
) -> tuple[str, str | None, str | None] | None:
    """The source of a model at an address: one of the hub's, or none."""
    if match := _HUB.fullmatch(url):
        repository, revision, file = match.groups()
        return f"huggingface:{repository}", file, None if revision == "main" else revision
    findings.warn("unsupported-source", "a model at an address that is not the hub's", line)
    return None


def is_repository(text: str) -> bool:
    """Whether a text is the name of a repository rather than a path.

    >>> is_repository("unsloth/X-GGUF:Q6_K_XL"), is_repository("models/a.gguf")
    (True, False)
    """
    return bool(
        re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+(?::[\w.-]+)?", text)
        and not re.search(r"(?i)\.(gguf|bin|safetensors|llamafile)$", text)
    )


def _checked(
    source: str, findings: Findings, line: int | None
) -> tuple[str, str | None, str | None] | None:
    """A source that holds nothing which only running would tell."""
    for variable in ("${env.HOME}/", "${HOME}/", "$HOME/"):
        source = source.replace(f"file:{variable}", "file:~/")
    named = source.partition(":")[2]
    if _UNKNOWN.search(source):
        findings.warn("unresolved", f"the model is {named!r}", line, "model")
        return None
    if hubnames.is_hole(named):
        findings.warn("placeholder", f"{named[:120]} is to be filled in", line, "model")
        return None
    return source, None, None


def _has_other_role(
    launch: Launch, findings: Findings, name: str | None, line: int | None
) -> bool:
    """Whether the flags or the names say that it does not write answers; that is told."""
    asked = launch.words[-1:] if launch.program in ("ollama", "vllm") else ()
    said = " ".join(filter(None, (
        name, *asked, launch.flag(*_MODEL[launch.program], "hf-repo", "docker-repo"),
        launch.flag("pooling"),
    )))  # fmt: skip
    role = next((role for one in said.split() if (role := role_of(one))), None)
    if launch.flag("embeddings") in _ON or launch.flag("task") in ("embed", "embedding"):
        role = "embedding"
    if launch.flag("reranking") in _ON:
        role = "other"
    if role is None:
        return False
    shown = naming.model_name(name or said or "a model")
    findings.warn(*left_out(shown, role), line)
    return True


def _said(name: str | None, what: str) -> str:
    return f"{name} {what}" if name else f"the command {what}"

"""Parameters under other tools' names, as ``params`` and ``options`` of ``[[models]]``.

``settle`` takes whatever fields a file or a call states and fills in a model: what is known is
converted and checked, a key becomes the name of its variable, a provider's default is dropped, and
the rest is a warning, never a guess.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from llmrr.kinds import split_source
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms import naming, secrets
from llmrr.migrate.terms.conversion import converted
from llmrr.migrate.terms.withheld import withhold
from llmrr.migrate.values import Call, Env, OneOf, Prompt, Unresolved, Value
from llmrr.parameters import fields_of

# Our names by those of the others, compared without "-", "_" and case.
NAMES: Final[Mapping[str, str]] = {
    **{name: "temperature" for name in ("temperature", "temp")},
    **{name: "max_tokens" for name in (
        "maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxtokenstosample", "numpredict",
        "npredict", "maxnewtokens", "predict", "maxgenerationtokens", "maxgenlen", "maxtokenscount",
    )},
    **{name: "context_size" for name in (
        "contextsize", "numctx", "nctx", "ctxsize", "contextlength", "contextwindow",
        "maxmodellen", "maxcontextlength", "maxseqlen", "maxcontextwindow",
    )},
    "topp": "top_p", "topk": "top_k", "minp": "min_p", "typicalp": "typical_p",
    "typical": "typical_p",
    **{name: "repeat_penalty" for name in ("repeatpenalty", "repetitionpenalty")},
    "frequencypenalty": "frequency_penalty", "presencepenalty": "presence_penalty",
    **{name: "stop" for name in (
        "stop", "stopsequences", "stopwords", "stoptokens", "customstoptriggers", "stopstrings",
        "stopsequence", "antiprompt",
    )},
    **{name: "seed" for name in ("seed", "randomseed")},
    **{name: "system" for name in (
        "systemprompt", "system", "systemmessage", "systeminstruction", "basesystemmessage",
    )},
    **{name: "gpu_layers" for name in ("gpulayers", "ngpulayers", "numgpu", "ngl", "numgpulayers")},
    **{name: "threads" for name in ("threads", "nthreads", "numthread", "numthreads")},
    **{name: "kv_type" for name in ("cachetypek", "kvtype", "typek", "ctk")},
    **{name: "flash_attention" for name in (
        "flashattention", "flashattn", "fa", "defaultcontextflashattention",
    )},
    **{name: "mmap" for name in ("usemmap", "mmap")},
    **{name: "mlock" for name in ("usemlock", "mlock", "mmlock")},
    **{name: "lora" for name in ("lorapath", "adapterpath", "loraadapter", "lora")},
    **{name: "mmproj" for name in ("mmproj", "clipmodelpath")},
    **{name: "base_url" for name in (
        "baseurl", "apibase", "openaiapibase", "basepath", "anthropicapiurl", "apiurl",
        "azureendpoint", "endpoint", "openaibaseurl", "apibaseurl", "serverurl",
    )},
    **{name: "api_version" for name in ("apiversion", "openaiapiversion")},
    **{name: "organization" for name in (
        "organization", "openaiorganization", "organizationid", "orgid", "openaiorgid",
    )},
    **{name: "timeout" for name in (
        "timeout", "requesttimeout", "defaultrequesttimeout", "timeoutseconds",
    )},
    **{name: "max_retries" for name in ("maxretries", "numretries", "retries")},
    "revision": "revision",
}  # fmt: skip
# Said by their tools wherever they stand, and of no use here.
_NOISE: Final = frozenset({
    "streamusage", "disallowedspecial", "validatebaseurl", "openaiapitype", "apitype",
    "defaultmetadata", "metadata", "batchsize", "nbatch", "verbose", "cache", "tags", "name",
    "callbacks", "callbackmanager", "stream", "streaming", "modelkwargs", "clientconfig",
    "lcattributes", "lcnamespace", "outputversion", "profile", "numbatch", "maxconcurrency",
    "reuseclient", "ischatmodel", "isfunctioncallingmodel", "classname", "pydanticprogrammode",
    "type", "httpclient", "httpasyncclient", "tiktokenmodelname", "disablestreaming",
})  # fmt: skip
# A value that changes nothing at any provider: not worth a word.
_DEFAULTS: Final[Mapping[str, tuple[object, ...]]] = {
    "n": (1,), "bestof": (1,), "presencepenalty": (0,), "frequencypenalty": (0,), "logprobs": (
        False, None, 0), "toplogprobs": (0, None), "echo": (False,), "strict": (False,),
    "logitbias": (None,), "repeatlastn": (64,), "mirostat": (0,), "tfsz": (1, 1.0),
}  # fmt: skip
_PARAMS: Final = frozenset(fields_of("params"))


def settle(
    model: Model,
    stated: Mapping[str, Value],
    findings: Findings,
    *,
    line: int | None = None,
    names: Mapping[str, str] | None = None,
    drop: Collection[str] = (),
    milliseconds: Collection[str] = (),
) -> None:
    """Fill in ``params`` and ``options`` of a model from what is stated of it.

    ``names`` are further ones of this tool (theirs to ours, spelled as in the file), which count
    before ``NAMES``; ``drop`` are those that were read already or say nothing; ``milliseconds``
    are times in these. What stands in ``model`` already is replaced.
    """
    ordered = sorted(stated.items(), key=lambda one: secrets.is_secret_field(one[0]))
    for name, value in ordered:  # keys last: what their variables are called depends on the rest
        if name in drop or value is None or value == "":
            if isinstance(value, dict) and _plain(name).endswith("headers"):
                withhold(value, findings, line, at=name)
            continue
        if isinstance(value, OneOf) and value.values[:1] == (None,):
            continue  # a parameter that is left out unless somebody states it
        if name == "...":  # what was spread into a table of code, and is not known
            resolved(value, findings, "what is spread into it", line)
            continue
        if secrets.is_secret_field(name):
            _key(model, name, value, findings, line)
            continue
        ours = (names or {}).get(name) or NAMES.get(_plain(name))
        if ours is None:
            _unknown(name, value, findings, line)
            continue
        known = resolved(value, findings, name, line)
        if known is None:
            if ours == "base_url":
                model.adrift = decider(value)
            continue
        if name in milliseconds and isinstance(known, int | float):
            known = known / 1000
        _put(model, ours, name, known, findings, line)


def resolved(value: Value, findings: Findings, name: str, line: int | None = None) -> Any:
    """A value as a plain one, or None with a warning that says why it is not known.

    An environment variable stands for its default, with the warning ``env-default``; without one it
    is ``unresolved``.
    """
    if isinstance(value, str) and (found := secrets.reference(value)) is not None:
        value = found
    if isinstance(value, Env):
        return _of_variable(value, findings, name, line)
    if isinstance(value, OneOf) and value.stated and (value.assumed or len(value.stated) == 1):
        return _of_one(value, findings, name, line)
    if isinstance(value, Unresolved | Call | Prompt):
        text = value.text[:80]
        origin = value.origin if isinstance(value, Unresolved) else None
        said = f"{name} is {text!r}{f' ({origin})' if origin else ''}"
        findings.warn("unresolved", said, value_line(value) or line, name)
        return None
    if isinstance(value, list):
        found_list = [resolved(one, findings, name, line) for one in value]
        return None if None in found_list else found_list
    return value


def _of_variable(value: Env, findings: Findings, name: str, line: int | None) -> Any:
    said = f"{name} is what the variable {value.name} holds"
    if value.default is None:
        findings.warn("unresolved", said, line, name)
        return None
    default = resolved(value.default, findings, name, line)
    if default is not None:
        findings.warn("env-default", f"{said}, else {default!r}, taken here", line, name)
    return default


def _of_one(value: OneOf, findings: Findings, name: str, line: int | None) -> Any:
    """The only value, or the one that is assumed."""
    first, *rest = value.stated
    found = resolved(first, findings, name, line)
    if found is not None and value.assumed and not isinstance(first, Env):
        others = "".join(f", or {one!r}" for one in rest)[:100]
        said = f"{name} is {value.text[:60]!r}, by default {found!r}{others}"
        findings.warn("default-argument", said, value.line or line, name)
    return found


def alternatives(
    value: Value, findings: Findings, name: str, line: int | None = None
) -> list[Value]:
    """The values that a thing may have, each as it is to be ``resolved``: one, or several, with a
    warning where a condition decides which."""
    if not isinstance(value, OneOf) or len(value.stated) < 2:
        return [value]
    first, *rest = value.stated
    if not (value.assumed or value.is_each):
        every = " or ".join(repr(getattr(one, "name", one)) for one in value.stated)[:100]
        findings.warn(
            "unresolved", f"{name} is {value.text[:60]!r}, {every} by a condition: each is taken",
            value.line or line, name,
        )  # fmt: skip
    return [replace(value, values=(first,)), *rest]


def decider(value: Value) -> str:
    """What decides on a value that is not known: the name of a variable, or what the code says."""
    if isinstance(value, str):
        value = secrets.reference(value) or value
    if isinstance(value, Env):
        return value.name
    return value.text[:60] if isinstance(value, Unresolved | Call | Prompt) else "a file"


def value_line(value: Value) -> int | None:
    """Where a value stands, if it says so."""
    return value.line if isinstance(value, Unresolved | Call) else None


def api_key(
    model: Model, value: Value, findings: Findings, *, at: str = "api_key", line: int | None = None
) -> None:
    """What a key is: the name of its variable in ``options["api_key_env"]``; a literal one is never
    kept, but for its digest in ``model.key``."""
    _key(model, at, value, findings, line)


def _key(model: Model, name: str, value: Value, findings: Findings, line: int | None) -> None:
    if isinstance(value, str):
        value = secrets.reference(value) or value
    if isinstance(value, OneOf) and value.stated:
        value = value.stated[0]
    if isinstance(value, Env):
        model.options["api_key_env"] = value.name
        if isinstance(value.default, str) and not secrets.is_placeholder(value.default):
            findings.secrets.add(value.default)
            _tell(findings, name, findings.line_of(value.default, line), value.name)
        return
    if isinstance(value, Unresolved | Call | Prompt):
        if not (isinstance(value, Call) and value.callee.endswith("SecretStr")):
            # its text may hold the key itself
            findings.warn("unresolved", f"what {name} is, only the code tells", line, name)
        elif value.args:
            _key(model, name, value.args[0], findings, line)
        return
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str) or secrets.is_placeholder(text):
            continue
        variable = naming.key_variable(_provider(model)) or variable_for(model.name)
        findings.secrets.add(text)
        model.options.setdefault("api_key_env", variable)
        model.key = secrets.digest(text)
        _tell(findings, name, findings.line_of(text, line), variable)


def _tell(findings: Findings, name: str, line: int | None, variable: str) -> None:
    findings.warn(
        "secret-in-clear",
        f"{name} holds a key in clear: it stays in that file; set {variable} to it"
        f" (llmrr keys set {variable}), and replace a key that others could have read",
        line, name,
    )  # fmt: skip


def variable_for(name: str) -> str:
    """A variable for the key of a model whose provider has no usual one."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").upper() or "MODEL"
    return f"{'_' if plain[0].isdigit() else ''}{plain}_API_KEY"


def _provider(model: Model) -> str:
    try:
        return split_source(model.source)[0]
    except ValueError:
        return ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.\s]", "", name).lower()


def _unknown(name: str, value: Value, findings: Findings, line: int | None) -> None:
    plain = _plain(name)
    withhold(value, findings, line, at=name)
    if plain in _NOISE or (plain in _DEFAULTS and value in _DEFAULTS[plain]):
        return
    if isinstance(value, list | dict) and not value:
        return
    findings.warn("unmapped-parameter", f"{name} has no equivalent in llmrr.toml", line, name)


def _put(
    model: Model, ours: str, name: str, value: Any, findings: Findings, line: int | None
) -> None:
    """One value under our name, in the type that it has to have."""
    try:
        value = converted(ours, value)
    except ValueError as exc:
        said = secrets.masked(repr(value))[:80]
        findings.warn("wrong-type", f"{name} is {said}, {exc}", line, name)
        return
    if value is None:
        return
    if ours in ("frequency_penalty", "presence_penalty") and value == 0:
        return
    if ours == "base_url":
        if "@" in value or "?" in value:
            findings.warn("secret-in-clear", f"{name} holds a key in its address", line, name)
            value = re.sub(r"(?<=://)[^/@]*@", "", value).partition("?")[0]
        if naming.is_default(_provider(model), value):
            return
    (model.params if ours in _PARAMS else model.options)[ours] = value

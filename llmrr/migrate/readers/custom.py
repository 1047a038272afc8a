"""Settings of programs that have no reader of their own: by the names of their fields.

Found only where nothing else takes the file, and only where it is rather sure; ``--from custom``
takes what is less so.
"""

from collections.abc import Iterable
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.kinds import guessed_provider
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.guessing.foreign import is_about_files, is_foreign, is_manifest
from llmrr.migrate.guessing.lists import Guess
from llmrr.migrate.guessing.shapes import guesses
from llmrr.migrate.parsing import Ini
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.guide.tables import in_milliseconds
from llmrr.migrate.terms import fields, litellm_names, naming
from llmrr.migrate.terms.roles import left_out, role_of
from llmrr.migrate.terms.withheld import withhold
from llmrr.migrate.values import Env

KIND: Final = "custom"
ENOUGH: Final = 0.7  # what is worth a mention
PLAIN: Final = 0.8  # the same in code, where much looks like settings
FORCED: Final = 0.3  # where the user says that there is something
_MOST: Final = 60  # models; a file with more is a catalogue


def of_data(document: Document) -> Iterable[Artefact]:
    """The artefact of a data file whose fields name models."""
    shape = _shape(document)
    if not isinstance(shape, dict | list) or is_foreign(shape) or is_manifest(shape):
        return []
    if is_about_files(shape):
        return []
    if isinstance(shape, list) and any(is_foreign(one) for one in shape[:5]):
        return []
    found = [one for one in guesses(shape) if one.confidence >= ENOUGH]
    if not found or len(found) > _MOST:
        return []
    artefact = _read(document, shape, found)
    return [artefact] if artefact.models else []


def of_code(document: Document) -> Iterable[Artefact]:
    """The artefact of JavaScript that exports settings, and that no other reader takes."""
    code = document.code
    if code is None or code.language != "javascript" or not code.exports:
        return []
    found = [one for one in guesses(dict(code.exports)) if one.confidence >= PLAIN]
    if not found or len(found) > _MOST or _is_taken(document):
        return []
    return [_read(document, dict(code.exports), found)]


def _is_taken(document: Document) -> bool:
    """Whether another reader takes a file of code, as data too."""
    from llmrr.migrate.readers import READERS

    return any(
        way is not None and any(True for _ in way(document))
        for one in READERS if one is not READER for way in (one.of_code, one.of_data)
    )  # fmt: skip


def _shape(document: Document) -> Any:
    """A parsed file; of an INI file its sections with what stands before them."""
    shape = document.shape
    return {**shape.head, **shape} if isinstance(shape, Ini) else shape


def _read(document: Document, shape: Any, found: list[Guess]) -> Artefact:
    findings, lines = Findings(document.path, KIND, document.text), Lines(document.text or "")
    withhold(shape, findings)
    taken: dict[tuple[str, str], Model] = {}
    known: dict[str, Model] = {}
    sure: list[float] = []
    for one in found:
        line = lines.next(one.model, of=one.field)
        if (model := _model(one, findings, line, taken)) is not None:
            sure.append(one.confidence)
            known.setdefault(one.model, model)
            if one.after in known:
                findings.chain(known[one.after], model)
    if sure:
        findings.confidence = round(min(sure), 2)
    return findings.artefact()


def _model(
    guess: Guess, findings: Findings, line: int | None, taken: dict[tuple[str, str], Model]
) -> Model | None:
    """A model of what fields seem to say, None where it is none; the same one twice is one."""
    if (role := role_of(guess.model)) is not None:
        findings.warn(*left_out(guess.model, role), line)
        return None
    base = guess.base_url
    address = fields.resolved(base, findings, "base_url", line) if base is not None else None
    if isinstance(base, Env) and address is None:
        address = litellm_names.UNSTATED
    if guess.provider == "file":
        place = naming.Place(f"file:{guess.model}")
    else:
        place = naming.place(
            guess.provider, guess.model, address if isinstance(address, str) else None
        )
    if place.source is None:
        code = "unsupported-source" if "no address" in place.why else "unknown-provider"
        findings.warn(code, f"{guess.model}: {place.why}", line)
        return None
    whose = guessed_provider(guess.model)
    if guess.provider == "openai-compatible" and whose not in (None, "openai"):
        said = (f"nothing says how {guess.model} is asked: taken for OpenAI's protocol; if it is"
                f" {whose}'s, its source is {whose}:{guess.model}")  # fmt: skip
        findings.warn("key-guess", said, line, guess.field or "model")
    key = (place.source, repr(sorted(guess.stated)))
    if key in taken:
        return taken[key]
    model = taken[key] = findings.model(place.source, guess.name, line)
    if guess.variable is not None:
        fields.resolved(Env(guess.variable, guess.model), findings, guess.field or "model", line)
    stated = {name: one for name, one in guess.stated.items() if name != "base_url"}
    if isinstance(address, str) and address != litellm_names.UNSTATED:
        stated["base_url"] = place.base_url
    ms = in_milliseconds(stated)
    fields.settle(model, stated, findings, line=line, milliseconds=ms)
    return model


def _forced(document: Document) -> Iterable[Artefact]:
    shape = _shape(document)
    if shape is None and document.code is not None:
        shape = {**document.code.names, **document.code.exports}
    if not isinstance(shape, dict | list):
        raise DamagedFile(
            f"{document.path} is no JSON, YAML, TOML or INI file", "llmrr migrate scan --help"
        )
    found = [one for one in guesses(shape) if one.confidence >= FORCED][:_MOST]
    return [_read(document, shape, found)]


READER: Final = Reader((KIND,), of_data=of_data, of_code=of_code, forced=_forced)

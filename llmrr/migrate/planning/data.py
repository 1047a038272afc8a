"""A plan as data, and as the JSON that ``-O`` keeps: the same input gives the same bytes."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from llmrr.errors import DamagedFile, NotFound, Unsupported
from llmrr.migrate.artefact import Notice

_LARGEST: Final = 50_000_000  # bytes of a kept plan
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Action:
    """One step of ``apply``.

    ``write-config``: the file ``path`` gets the text ``toml`` of the plan; ``detail`` has
    ``called`` (``naming.recorded``) and, for a file that takes the place of one, ``overwrite``.
    ``register-model``: the
    model ``source`` (of another tool, in place, in its folder ``path``) is entered in the store;
    ``detail`` is ``{"holder": …}``. ``import-cache``: the answers in ``path`` go to the cache or
    the history (``detail``: ``{"kind": …}``). Idempotent, each of them.
    """

    do: Literal["write-config", "register-model", "import-cache"]
    path: Path | None = None
    name: str | None = None
    source: str | None = None
    detail: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """What it does, without what does not apply."""
        found = asdict(self) | {"path": None if self.path is None else str(self.path)}
        return {name: one for name, one in found.items() if one is not None}


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the check-list. ``done`` is True or False where the tool can tell, None where only
    a person can, until it is ticked; ``how`` says what was found, or what to do."""

    id: str
    phase: str
    text: str
    done: bool | None
    how: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``id`` is a digest of the rest. ``target`` is the file that is written, ``base`` the SHA-256
    of what it held when the plan was made (None: there was none); ``toml`` its whole new text;
    ``sources`` are the files that it came from with their SHA-256."""

    id: str
    target: Path
    base: str | None
    toml: str
    actions: tuple[Action, ...]
    warnings: tuple[Notice, ...]
    checklist: tuple[Item, ...]
    sources: tuple[tuple[Path, str | None], ...]

    def as_json(self) -> dict[str, Any]:
        """As ``migrate plan --json`` prints it, and ``-O`` keeps it."""
        return {
            "id": self.id, "target": str(self.target), "base": self.base, "toml": self.toml,
            "actions": [one.as_json() for one in self.actions],
            "warnings": [asdict(one) for one in self.warnings],
            "checklist": [asdict(one) for one in self.checklist],
            "sources": [{"path": str(path), "sha256": digest} for path, digest in self.sources],
            "format": _FORMAT,
        }  # fmt: skip


def identified(plan: Plan) -> Plan:
    """The plan with its id: a digest of all that it says."""
    import hashlib

    said = json.dumps(replace(plan, id="").as_json(), sort_keys=True).encode()
    return replace(plan, id=hashlib.sha256(said).hexdigest()[:16])


def text_of(plan: Plan) -> str:
    """The plan as text that ``read`` takes."""
    return json.dumps(plan.as_json(), indent=2, ensure_ascii=True) + "\n"


def read(path: Path) -> Plan:
    """A plan that was kept. Raises ``NotFound``, and ``DamagedFile`` for what is none, or was
    changed."""
    hint = "llmrr migrate plan PATH -O FILE"
    try:
        if path.stat().st_size > _LARGEST:
            raise DamagedFile(f"{path} is no plan: it is too large", hint)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f'there is no plan "{path}"', hint) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise DamagedFile(f"{path} cannot be read as a plan: {exc}", hint) from exc
    return parsed(text, str(path))


def parsed(text: str, where: str) -> Plan:
    """The plan that ``text_of`` wrote. Raises ``DamagedFile``, and ``Unsupported`` for one of a
    newer version."""
    hint = "llmrr migrate plan PATH -O FILE"
    try:
        value = json.loads(text)
        if value["format"] != _FORMAT:
            raise Unsupported(f"{where} was made by another version of llmrr", hint)
        plan = Plan(
            str(value["id"]), Path(value["target"]), value["base"], str(value["toml"]),
            tuple(_action(one) for one in value["actions"]),
            tuple(Notice(**one) for one in value["warnings"]),
            tuple(Item(**one) for one in value["checklist"]),
            tuple((Path(one["path"]), one["sha256"]) for one in value["sources"]),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise DamagedFile(f"{where} is no plan of llmrr migrate", hint) from exc
    if identified(plan).id != plan.id:
        raise DamagedFile(f"{where} was changed since it was made", hint)
    return plan


def _action(value: dict[str, Any]) -> Action:
    path = value.get("path")
    return Action(**value | {"path": None if path is None else Path(path)})

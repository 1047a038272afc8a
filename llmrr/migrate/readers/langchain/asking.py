"""Where code asks a model: the line is noted, and what it is asked is a prompt."""

import re
from typing import TYPE_CHECKING, Final

from llmrr.migrate.readers.asked import tell_of_lost
from llmrr.migrate.readers.langchain import classes, prompts, sketches
from llmrr.migrate.readers.langchain.parts import NOTHING, Part, link, within
from llmrr.migrate.readers.langchain.sketches import Sketch
from llmrr.migrate.terms import code_keys
from llmrr.migrate.values import Call, Prompt, Unresolved

if TYPE_CHECKING:
    from llmrr.migrate.readers.langchain.runnables import Runnables

_MOST: Final = 200  # messages that a model is asked with


def asked(runnables: "Runnables", on: Part, call: Call) -> Part:
    """A runnable is asked: the models note it, and what they are asked is kept as a prompt."""
    if not on.chains:
        return on  # a prompt that is filled
    for chain in on.chains:
        site = (chain[0].name, call.line)
        if runnables.lined and site not in runnables.asked:
            runnables.asked.add(site)
            chain[0].call_sites.append(call.line)
    said = call.args[0] if call.args else call.named.get("input", call.named.get("messages"))
    if isinstance(said, dict):
        said = said.get("messages", said.get("input"))
    handed = runnables.part(said)
    link(handed.waiting, on)
    if isinstance(said, Prompt):
        link([runnables.keep(Sketch(sketches.title(call), said.text))], on)
    elif isinstance(said, Unresolved) and re.search(r"(?i)system", said.text):
        text = code_keys.shown(said.text)[:80]
        runnables.findings.warn("unresolved", f"messages are {text!r}", call.line)
    elif isinstance(said, Unresolved):
        tell_of_lost(said, runnables.findings)
    elif isinstance(said, list) and not handed.chains and len(said) <= _MOST:
        found = prompts.conversation(call, said, runnables.findings)
        runnables.messages_used |= {id(one) for one in within(said)}
        if found:
            link([runnables.keep(found)], on)
    return NOTHING


def loose_messages(runnables: "Runnables") -> None:
    """System prompts that stand in no list that is known."""
    for call in runnables.calls:
        if call.name not in ("SystemMessage", "SystemMessagePromptTemplate"):
            continue
        if id(call) in runnables.messages_used or not classes.is_ours(call.callee):
            continue
        content = call.named.get("content", call.args[0] if call.args else None)
        if isinstance(content, str | Prompt):
            text = sketches.literal_text(content, runnables.findings, call.line)
            if text:
                runnables.keep(Sketch(sketches.title(call, "system"), None, (("system", text),)))

"""A model's chat template: messages in, the prompt as the model was trained to see it out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines import jinja, rendering, seating
from llmrr.engines.markers import TAG, Markers, markers_for, tag
from llmrr.engines.thinking import can_switch_off, command, switches, thought
from llmrr.errors import ContextOverflow, FeatureMissing, Unsupported
from llmrr.types import Message, Think, Tool

if TYPE_CHECKING:
    from llmrr.engines.calls.base import Syntax
    from llmrr.engines.calls.offer import Offer
    from llmrr.engines.calls.shaping import Shape

CHATML = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
"""

LONGEST = 100_000  # characters

# Templates whose answers name a recipient, also where there are no tools.
_ALWAYS: Final = (">>>${recipient}", "<|recipient|>", "<|channel|>analysis")

# What a model without a template of its own is asked with, by name.
DEFAULT_NAME = "chatml"

EXPLAINED = "the model's chat template has no place for tools: its system message tells of them"
ALWAYS_THINKS = "the model's chat template has no switch that turns reasoning off"
NO_SWITCH = "the model's chat template has no switch for reasoning"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a template made. ``markers`` set the reasoning of the answer apart; ``opened`` says that
    the text ends inside a reasoning block; ``notes`` are sentences for the user. ``offer`` are the
    tools that the answer may call, or what else its family writes around an answer."""

    text: str
    markers: Markers
    opened: bool = False
    notes: tuple[str, ...] = ()
    offer: "Offer | None" = None


class Template:
    """One chat template. Rendering is safe from several threads.

    ``bos`` and ``eos`` are the texts of the model's special tokens. Many templates write ``bos``
    themselves: then the tokenizer must not add it once more.
    """

    def __init__(
        self,
        text: str,
        *,
        bos: str = "",
        eos: str = "",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        if len(text) > LONGEST:
            raise Unsupported(
                f"the chat template has {len(text):,} characters, more than"
                f" {LONGEST:,}",
                "give another one with --chat-template",
            )
        self.text = text
        self.bos = bos
        self.eos = eos
        self.markers = markers_for(text)
        self._now = now

    def render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = True, **extra: Any
    ) -> str:
        """The prompt of these messages. Raises ``FeatureMissing`` with the template's own words, or
        ``Unsupported`` for a template that cannot be rendered."""
        return self._folding(messages, add_generation_prompt, extra)[0]

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        think: Think | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: str | None = None,
        add_generation_prompt: bool = True,
        **extra: Any,
    ) -> Prompt:
        """The prompt with what an answer to it needs to be understood; ``think`` switches
        reasoning as far as the template can."""
        notes: list[str] = []
        messages, extra = self._with_tools(messages, tools, extra)
        if tools and "tools" not in extra:
            notes.append(EXPLAINED)
        chosen: dict[str, Any] = {}
        if think is not None:
            chosen = switches(self.text, rendering.names(self.text), think)
            word = None if chosen else command(self.text, think)
            if word:
                messages = seating.told(messages, word)
            if not chosen and not word and think != "off":
                notes.append(NO_SWITCH)
        text, moved = self._folding(messages, add_generation_prompt, {**chosen, **extra})
        if moved:
            notes.append(moved)
        markers = self._markers_of(text)
        opened = _ends_open(text, markers)
        if think == "off" and add_generation_prompt:
            if opened or not (chosen or word or _ends_closed(text, markers)):
                text, opened = self._closed(text, markers, opened)
            elif chosen and not can_switch_off(chosen):
                notes.append(ALWAYS_THINKS)
        offer = self._offer(text, tuple(tools), tool_choice)
        return Prompt(text, markers, opened, tuple(notes), offer)

    # -- tools -----------------------------------------------------------------------------------

    @cached_property
    def shape(self) -> "Shape":
        """What the template takes of tools, calls and results."""
        from llmrr.engines.calls.shaping import shape_of

        return shape_of(self._tried)

    def _tried(self, turns: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str | None:
        try:
            return self._written(turns, True, {"tools": tools})
        except (jinja.Refused, Unsupported):
            return None

    @cached_property
    def family(self) -> "Syntax | None":
        """The family whose calls the template writes, or whose sign it has where it writes none."""
        from llmrr.engines.calls.families import family_of

        signed = family_of(self.text)
        if not self.shape.calls:
            return signed
        from llmrr.engines.calls.recognizing import recognized
        from llmrr.engines.calls.shaping import tried_turns

        return recognized(tried_turns(self.shape, self._tried), signed)

    @cached_property
    def syntax(self) -> "Syntax":
        """How the model writes calls: as its family does, else as it is told to."""
        from llmrr.engines.calls.families import USUAL

        return self.family or USUAL

    def _with_tools(
        self, messages: Sequence[Message], tools: Sequence[Tool], extra: dict[str, Any]
    ) -> tuple[Sequence[Message], dict[str, Any]]:
        """The messages and values to render with, with what the template has no place for in
        words."""
        called = any(one.tool_calls or one.role == "tool" for one in messages)
        if not (tools or called):
            return messages, extra
        from llmrr.engines.calls import shaping

        messages = shaping.in_order(messages)
        known = self.family is not None
        if called and not (known and self.shape.calls):
            messages = shaping.spelled(messages, self.syntax)
        if tools and known and self.shape.tools:
            extra = {**extra, "tools": [shaping.function(one) for one in tools]}
        elif tools:
            messages = shaping.explained(messages, tools, self.syntax)
        return messages, extra

    def _offer(
        self, text: str, tools: tuple[Tool, ...], choice: str | None
    ) -> "Offer | None":
        """What is to be read out of the answer to this prompt beside words."""
        if not tools and not any(mark in self.text for mark in _ALWAYS):
            return None
        from llmrr.engines.calls.offer import Offer

        opening = self.syntax.opened
        opened = opening if opening and text.endswith(opening) else ""
        if not tools and not (self.syntax.always and opened == (opening or "")):
            return None
        return Offer(self.syntax, tools, choice, opened)

    def _folding(
        self, messages: Sequence[Message], add_generation_prompt: bool, extra: dict[str, Any]
    ) -> tuple[str, str | None]:
        """The text, and a note where a system message had to move: for a template that refuses one,
        or drops it without a word."""
        told = [one.content.strip() for one in messages if one.role == "system"]
        refusal: jinja.Refused | None = None
        plain: str | None = None
        for turns, note in seating.ways(messages):
            try:
                text = self._rendered(turns, add_generation_prompt, extra)
            except jinja.Refused as exc:
                refusal = refusal or exc
                continue
            if all(one in text for one in told):
                return text, note
            plain = text if note is None else plain
        if plain is None:
            raise FeatureMissing(
                f"the model's chat template refuses this conversation: {refusal}",
                "change the messages, or skip the template with --raw",
            ) from refusal
        return plain, None

    def _rendered(
        self, messages: Sequence[Message], add_generation_prompt: bool, extra: dict[str, Any]
    ) -> str:
        turns: list[dict[str, Any]]
        if any(one.tool_calls or one.role == "tool" for one in messages):
            from llmrr.engines.calls.shaping import as_turns

            turns = as_turns(messages, self.shape)
        else:
            turns = [{"role": one.role, "content": one.content, **thought(one)} for one in messages]
        return self._written(turns, add_generation_prompt, extra)

    def _written(
        self, turns: list[dict[str, Any]], add_generation_prompt: bool, extra: dict[str, Any]
    ) -> str:
        values = {
            "messages": turns,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self.bos,
            "eos_token": self.eos,
            "tools": None,
            "documents": None,
            **extra,
        }
        try:
            return self._made(values)
        except jinja.Unrenderable as exc:
            size = sum(len(one.get("content") or "") for one in turns)
            if size > jinja.MOST_CHARACTERS // 2:  # what was too much is not the template
                raise ContextOverflow(
                    f"the prompt has {size:,} characters, more than a template can render",
                    "shorten it",
                ) from exc
            raise Unsupported(
                f"the model's chat template cannot be rendered: {exc}",
                "give another one with --chat-template, or skip it with --raw",
            ) from exc

    def _made(self, values: dict[str, Any]) -> str:
        """What is None is left out for a template that takes it for what it is."""
        try:
            return rendering.render(self.text, values, self._now)
        except jinja.Unrenderable as exc:
            if "NoneType" not in str(exc):
                raise
            given = {name: value for name, value in values.items() if value is not None}
            return rendering.render(self.text, given, self._now)

    def _markers_of(self, text: str) -> Markers:
        """The template's markers; a tag whose name it only puts together as it renders counts."""
        found = list(TAG.finditer(text[-64:]))
        if found and not any(found[-1].group() in one for one in self.markers.open):
            return tag(found[-1].group()[1:-1])
        return self.markers

    def _closed(self, text: str, markers: Markers, opened: bool) -> tuple[str, bool]:
        """The prompt with an empty reasoning block, for a template that cannot leave it out.

        Only of the formats that are a pair of marks: after a channel comes another channel."""
        if markers.skip or not (opened or any(one in self.text for one in markers.open)):
            return text, opened
        if not opened:
            text += markers.open[0]
        space = "" if text.endswith("\n") else "\n"
        return f"{text}{space}\n{markers.close[0]}\n\n", False


def _ends_open(text: str, markers: Markers) -> bool:
    return text.rstrip().endswith(tuple(one.strip() for one in markers.open))


def _ends_closed(text: str, markers: Markers) -> bool:
    return text.rstrip().endswith(markers.close)


DEFAULT = CHATML

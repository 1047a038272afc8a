"""How models set their reasoning apart from what they answer, by their chat templates."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Markers:
    """How a model sets its reasoning apart.

    ``open`` begins reasoning where an answer could begin, with ``again`` also later, ``close`` ends
    it, and ``skip`` is what stands between blocks and belongs to neither (a channel's name, say).
    ``around`` is what stands around an answer, or in it, and is no word of it.
    """

    open: tuple[str, ...]
    close: tuple[str, ...]
    skip: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    again: bool = False

    def needs(self, token: str) -> bool:
        """May this control token be a part of a marker? Then its text must reach the assembler.

        >>> tag("think").needs("<think>"), tag("think").needs("<|im_end|>")
        (True, False)
        """
        return bool(token) and any(token in text for text in self.all)

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return self.open + self.close + self.skip + self.around


def tag(*names: str) -> Markers:
    """The markers of the XML-like tags of these names."""
    return Markers(tuple(f"<{name}>" for name in names), tuple(f"</{name}>" for name in names))


# For a template that mentions no reasoning. Distilled models often carry the template of the model
# they came from, and no answer that anyone asked for begins with one of these words.
COMMON = tag("think", "thinking")

# The formats that are more than a pair of tags: what a template of this format contains, and its
# markers. Harmony (gpt-oss) and its likes name a channel per message; the answer is the last one.
FORMATS: tuple[tuple[str | tuple[str, ...], Markers], ...] = (
    (
        "<|channel|>analysis<|message|>",
        Markers(
            ("<|channel|>analysis<|message|>",),
            ("<|end|>",),
            (
                "<|start|>assistant",
                "<|channel|>final<|message|>",
                "<|channel|>commentary<|message|>",
            ),
        ),
    ),
    (
        "<|channel>thought",
        Markers(
            ("<|channel>thought\n", "<|channel>thought", "<|channel>"), ("<channel|>",),
            around=("<channel|>",), again=True,
        ),
    ),
    (
        "assistant<|think|>",
        Markers(("<|think|>",), ("<|end|>",), ("<|begin|>assistant", "<|content|>")),
    ),
    (
        " to=self<|message|>",
        Markers((" to=self<|message|>",), ("<|eom|>",), ("<|start|>assistant", "<|message|>")),
    ),
    (
        "<|START_THINKING|>",
        Markers(
            ("<|START_THINKING|>",), ("<|END_THINKING|>",),
            around=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
            again=True,
        ),
    ),
    ("<|inner_prefix|>", Markers(("<|inner_prefix|>",), ("<|inner_suffix|>",), again=True)),
    ("\u25c1think\u25b7", Markers(("\u25c1think\u25b7",), ("\u25c1/think\u25b7",))),
    (
        "Here is my thought process:",
        Markers(
            ("Here is my thought process:", "Here's my thought process:"),
            ("Here is my response:", "Here's my response:"),
        ),
    ),
    (
        "<response></response>",
        Markers(("<think>",), ("</think>",), around=("<response>", "</response>")),
    ),
    (
        ("</think>", "</answer>"),
        Markers(("<think>",), ("</think>",), around=("<answer>", "</answer>")),
    ),
    (
        "'<|open|>' + tag",
        Markers(
            ("<|open|>think<|sep|>",),
            ("<|close|>think<|sep|>",),
            ("<|open|>response<|sep|>",),
        ),
    ),
    ("[THINK]", Markers(("[THINK]",), ("[/THINK]",))),
    ("<unused94>", Markers(("<unused94>thought\n", "<unused94>"), ("<unused95>",))),
    (
        "[BEGIN FINAL RESPONSE]",
        Markers(("Here are my reasoning steps:\n",), ("[BEGIN FINAL RESPONSE]",)),
    ),
)

TAG = re.compile(r"<([a-z]+:)?(think|thinking|thought|reasoning)(:\w+)?>")


def markers_for(template: str) -> Markers:
    """The markers of a model with this chat template; ``COMMON`` where it mentions none.

    >>> markers_for("… <seed:think> …").close
    ('</seed:think>',)
    """
    for signs, markers in FORMATS:
        if all(one in template for one in ((signs,) if isinstance(signs, str) else signs)):
            return markers
    names = dict.fromkeys(found.group()[1:-1] for found in TAG.finditer(template))
    return tag(*names) if names else COMMON

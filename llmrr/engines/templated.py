"""Which chat template a model answers with."""

from functools import cached_property

from llmrr.engines import prompting
from llmrr.engines.base import Options
from llmrr.engines.templates import DEFAULT, Template
from llmrr.types import ModelInfo, Request


class Templated:
    """A model on this machine, as far as its chat template goes."""

    info: ModelInfo
    _options: Options

    def _ends(self) -> tuple[str, str]:
        """The tokens that begin and end a text, as the vocabulary spells them."""
        raise NotImplementedError

    @cached_property
    def template(self) -> Template:
        """The chat template that is used: the stated one, the model's own, or the default."""
        bos, eos = self._ends()
        return Template(self._template_text, bos=bos, eos=eos)

    def template_for(self, request: Request) -> Template:
        """The one for this request: some models have another one where there are tools."""
        with_tools = prompting.has_tools(request) and not self._options.chat_template
        return self._tool_template if with_tools else self.template

    @cached_property
    def _tool_template(self) -> Template:
        named = self.info.templates.get(prompting.TOOL_TEMPLATE)
        own = self.template
        return Template(named, bos=own.bos, eos=own.eos) if named else own

    @property
    def _template_text(self) -> str:
        return self._options.chat_template or self.info.chat_template or DEFAULT

    @property
    def templated(self) -> bool:
        """Does the model come with a chat template, or was one stated?"""
        return bool(self._options.chat_template or self.info.chat_template)

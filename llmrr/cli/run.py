"""``llmrr run`` and the beginning of a conversation when it is given no prompt."""

from typing import Annotated

import typer

from llmrr.cli import answers, asking, options, output
from llmrr.router import Router

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [PROMPT]...",
        help="The prompt, quoted or not; a model may stand before it.",
        show_default=False,
        autocompletion=options.model_names,
    ),
]


def run(
    words: Words = None,
    model: options.Model = None,
    system: options.System = None,
    file: options.Files = None,
    template: options.Template = None,
    param: options.TemplateValues = None,
    option: options.Settings = None,
    output_file: options.Output = None,
    continue_: options.Continue = False,
    cid: options.Conversation = None,
    extract: options.Extract = False,
    no_log: options.NoLog = False,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    ctx_size: options.ContextSize = None,
    schema: options.Schema = None,
    grammar: options.Grammar = None,
    raw: options.Raw = False,
    think: options.ThinkLevel = None,
    hide_thinking: options.HideThinking = False,
    json: options.Json = False,
    no_stream: options.NoStream = False,
    verbose: options.Verbose = False,
) -> None:
    """Answer one prompt.

    The first argument is the model when it holds no space and names one; -m always wins. Text on
    stdin is joined to the prompt, or is the prompt. A prompt that begins with - follows --.
    Without any prompt, on a terminal, a conversation begins.
    """
    asked = asking.Asked(
        words=words or (), model=model, system=system, files=file or (), template=template,
        values=param or (), options=option or (), context_size=ctx_size, schema=schema,
        grammar=grammar, raw=raw, latest=continue_, conversation=cid, log=not no_log,
        stated=dict(
            max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, think=think
        ),
    )  # fmt: skip
    how = answers.Shown(
        json=json, buffered=no_stream, extract=extract, file=output_file, verbose=verbose,
        hide_thinking=hide_thinking, limited=max_tokens is not None,
    )  # fmt: skip
    progress = answers.Progress()
    with Router(warn=output.note) as router:
        answer = asking.ask(asked, router, progress, conversing=how.live)
        if isinstance(answer, asking.Question):
            from llmrr.cli import repl

            repl.converse(router, answer, how, log=asked.log)
        else:
            answers.show(answer, how, progress)

"""``llmrr run`` and the beginning of a conversation when it is given no prompt."""

import sys
from typing import Annotated

import typer

from llmrr.cli import answers, asking, names, options, output, readiness, saving
from llmrr.cli.beginning import Begin
from llmrr.router import Router

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [PROMPT]...",
        help="The prompt, quoted or not; a model may stand before it.",
        show_default=False,
        autocompletion=names.model_names,
    ),
]


def run(
    words: Words = None,
    model: options.Model = None,
    system: options.System = None,
    file: options.Files = None,
    attach: options.Attachments = None,
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
    engine: options.Engine = None,
    keepalive: options.Keepalive = None,
    strategy: options.Strategy = None,
    fallback: options.Fallback = None,
    need: options.Need = None,
    no_cache: options.NoCache = False,
    explain: options.Explain = False,
    schema: options.Schema = None,
    grammar: options.Grammar = None,
    raw: options.Raw = False,
    think: options.ThinkLevel = None,
    hide_thinking: options.HideThinking = False,
    json: options.Json = False,
    no_stream: options.NoStream = False,
    verbose: options.Verbose = False,
    tool: options.Tools = None,
    yes: options.Yes = False,
) -> None:
    """Answer one prompt.

    The first argument is the model when it holds no space and names one; -m always wins. Text on
    stdin is joined to the prompt, or is the prompt. A prompt that begins with - follows --.
    Without any prompt, on a terminal, a conversation begins.
    """
    asked = asking.Asked(
        words=words or (), model=model, system=system, files=file or (),
        attached=attach or (), template=template, values=param or (), options=option or (),
        context_size=ctx_size, engine=engine,
        schema=schema, grammar=grammar, raw=raw, latest=continue_, conversation=cid, log=not no_log,
        cache=not no_cache,
        strategy=strategy, fallback=fallback or (), need=need or (), tools=tool or (), yes=yes,
        stated=dict(
            max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, think=think
        ),
    )  # fmt: skip
    how = answers.Shown(
        json=json, buffered=no_stream, extract=extract, verbose=verbose,
        file=None if output_file == "-" else output_file,
        hide_thinking=hide_thinking, explain=explain,
    )  # fmt: skip
    with Router(
        warn=output.note, leave_model=True, warm=True, **options.kept(keepalive)
    ) as router:
        if verbose or output.is_terminal(sys.stderr):
            router.watch.tell = output.note
        question = asking.question(asked, router, asking.read_piped(asked, sys.stdin))
        readiness.require(router, question.model)
        if question.request is None and how.live and output.is_terminal(sys.stdin):
            from llmrr.cli import repl

            return repl.converse(router, question, how, log=asked.log)
        return _answer(router, question, how, log=asked.log)


def _answer(
    router: Router, question: asking.Question, how: answers.Shown, *, log: bool
) -> None:
    if how.file:
        saving.check_place(how.file)
    progress, heard = answers.Progress(), answers.Heard()
    begin = Begin(question, router, how, progress, log=log)
    if question.box is None:
        answer = begin()
        answers.listen(answer, how, progress, heard)
    else:
        from llmrr.cli import calling

        how = calling.quiet(how)
        answer = calling.answer(begin, begin.messages, question.box, how, progress, heard)
    answers.conclude(answer, how, question.sampling, heard)

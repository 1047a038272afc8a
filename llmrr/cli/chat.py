"""``llmrr chat``: a conversation, read line by line."""

from llmrr.cli import answers, asking, options, output, readiness, repl, session
from llmrr.cli.run import Words
from llmrr.router import Router


def chat(
    words: Words = None,
    model: options.Model = None,
    system: options.System = None,
    option: options.Settings = None,
    continue_: options.Continue = False,
    cid: options.Conversation = None,
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
    think: options.ThinkLevel = None,
    hide_thinking: options.HideThinking = False,
    verbose: options.Verbose = False,
    tool: options.Tools = None,
    yes: options.Yes = False,
) -> None:
    """Hold a conversation.

    A message ends with its line; several lines stand between two lines of three double quotes.
    /? lists the commands. Ctrl-C stops an answer, Ctrl-D ends. Without a terminal each line of
    stdin is a message.
    """
    asked = asking.Asked(
        words=words or (), model=model, system=system, options=option or (), log=not no_log,
        cache=not no_cache,
        context_size=ctx_size, engine=engine, latest=continue_, conversation=cid,
        strategy=strategy, fallback=fallback or (), need=need or (), tools=tool or (), yes=yes,
        stated=dict(
            max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, think=think
        ),
    )  # fmt: skip
    how = answers.Shown(verbose=verbose, hide_thinking=hide_thinking, explain=explain)
    with Router(warn=output.note, warm=True, **options.kept(keepalive)) as router:
        router.watch.tell = output.note
        question = asking.question(asked, router, None)
        readiness.require(router, question.model)
        router.initialize(session.loaded_as(question.loading))
        repl.converse(router, question, how, log=not no_log)

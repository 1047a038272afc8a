"""``llmrr stats`` and ``llmrr logs``: what past runs cost, and what was said."""

from contextlib import closing
from typing import Annotated

import typer

from llmrr import alerts, pairs, summaries
from llmrr import stats as records
from llmrr.cli import options, output, stats_views, times, tree, views
from llmrr.database import open_database
from llmrr.errors import LlmrrError
from llmrr.router import Router

logs = tree.group()


def stats(
    since: options.Since = None,
    diagnose: Annotated[
        bool,
        typer.Option("--diagnose", help="What runs took, what keeps models back, the cache."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Summarise what past runs cost.

    Per model: runs, failures, answers that the cache had, tokens, the median and the 95th
    percentile of the time to the first token and of the whole, tokens per second, dollars; the runs
    of each day with what they cost, and the alerts that were raised. Where the two sides of a
    migration run beside each other, one against the other.
    """
    moment = times.parse(since)
    if diagnose:
        with Router(warn=output.note) as router:
            found = router.diagnose(since=moment)
        return output.show(found, stats_views.diagnosis, as_json=json)
    with closing(open_database()) as connection:
        summary = summaries.summary(connection, since=moment)
        raised = alerts.recent(connection, since=moment, last=100)
        compared = pairs.summary(connection, since=moment)
    sides = compared if compared.samples else None
    _require(summary.runs or raised or sides or json, since)
    history = stats_views.History(summary.models, summary.days, raised, sides)
    return output.show(history, stats_views.history, as_json=json)


@logs.callback(invoke_without_command=True)
def show_logs(
    context: typer.Context,
    last: options.Last = None,
    query: options.Query = None,
    since: options.Since = None,
    json: options.Json = False,
) -> None:
    """Search and print past runs.

    Newest last; three of them when nothing else is asked for. The words of a run are kept unless
    `llmrr logs off` or -n said otherwise.
    """
    if context.invoked_subcommand is None:
        find(query, last if last or query or since else 3, since, json)


@logs.command("list")
def list_logs(
    last: options.Last = None, since: options.Since = None, json: options.Json = False
) -> None:
    """List the conversations, newest last."""
    with closing(open_database()) as connection:
        found = times.since(records.conversations(connection, last=last), times.parse(since))
    _require(found or json, since)
    output.show(found, views.conversations, as_json=json)


@logs.command("search")
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for, in any case.")],
    last: options.Last = None,
    since: options.Since = None,
    json: options.Json = False,
) -> None:
    """Print the runs whose prompt, answer or system prompt contains TEXT."""
    find(text, last, since, json)


@logs.command("off")
def off() -> None:
    """Keep no prompts and answers from now on; figures are still recorded."""
    _keep_words(False)


@logs.command("on")
def on() -> None:
    """Keep prompts and answers from now on."""
    _keep_words(True)


def find(query: str | None, last: int | None, since: str | None, json: bool) -> None:
    """Print the runs that match."""
    with closing(open_database()) as connection:
        runs = records.runs(connection, last=last, query=query, since=times.parse(since))
    _require(runs or json, since, query)
    output.show(runs, views.runs, as_json=json)


def _require(found: object, since: str | None, query: str | None = None) -> None:
    if not found:
        which = f" since {since}" if since else ""
        which += f' that contains "{query}"' if query else ""
        hint = "llmrr logs list" if which else 'llmrr run "…"'
        raise LlmrrError(f"no run is recorded{which}", hint)


def _keep_words(wanted: bool) -> None:
    from llmrr import config

    path = config.set_value("log_prompts", wanted)
    output.note(f"prompts and answers are {'' if wanted else 'not '}kept from now on ({path})")
    setting = config.load().settings["log_prompts"]
    if setting.value != wanted:
        output.note(f"but not here: {setting.where} says otherwise")

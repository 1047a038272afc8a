"""The page at ``/``: its files, and the facts that it shows.

``files`` serves what lies in ``static/``, modules that the browser reads without a build. ``live``
says what is going on now, ``history`` what was, ``answers`` why a model answered and what it took,
``models`` what can be asked; nothing of them is computed unless a page asks. ``sight`` is what of
it is for whom: the files are for everybody, facts take a key where the server has some.
"""

from starlette.routing import Route

from llmrr.server.page import answers, files, history, live, models
from llmrr.server.page.files import respond

__all__ = ["ROUTES", "respond"]

ROUTES = [
    *(Route(path, respond) for path in files.TABLE if path != "/"),
    Route("/page/live", live.respond),
    Route("/page/models", models.respond),
    Route("/page/history", history.respond),
    Route("/page/runs", history.respond_runs),
    Route("/page/runs/{number}", history.respond_run),
    Route("/page/answers/{id}", answers.respond),
]

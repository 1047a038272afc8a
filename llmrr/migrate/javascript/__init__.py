"""JavaScript and TypeScript, evaluated as far as that is possible without running anything.

Names of what is imported are the module as it is written, a dot, and the export:
``@langchain/openai.ChatOpenAI``; a default import is ``openai.default``, and what ``require`` or
``import * as`` gives is the module itself, so that ``new OpenAI()`` after
``const OpenAI = require("openai")`` calls ``openai``, and after ``const { OpenAI } = …`` it calls
``openai.OpenAI``. The members of a class are ``this.client``. ``__dirname`` and all that gives the
file's folder is ``.``: a path of it begins with ``./`` or ``../``. What is spread into an object
and not known stands under the key ``...``; in the argument of a call it is in ``rest``.
"""

from pathlib import Path

from llmrr.migrate.values import Code


def evaluate(
    text: str, path: Path, dialect: str, near: tuple[Path, Path] | None = None
) -> Code:
    """The calls, names and exports of a file; ``dialect`` is ``javascript``, ``typescript`` or
    ``tsx``. ``near`` is where it lies, and the folder below which the files that it imports are
    looked into. Raises ``DamagedFile`` for what is too large to have been written by hand."""
    from llmrr.migrate.javascript.declarations import Declarations
    from llmrr.migrate.javascript.evaluator import Evaluator
    from llmrr.migrate.javascript.grammar import parse
    from llmrr.migrate.javascript.siblings import Siblings

    tree = parse(text, dialect)
    siblings = Siblings(*near) if near else None
    return Evaluator(Declarations(tree.root_node), path.name, siblings).code()

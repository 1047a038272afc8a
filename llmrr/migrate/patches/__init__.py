"""Changes of the user's code, as differences for ``git apply`` or ``patch -p1``: it asks ``llmrr
serve``, or the library, in place of OpenAI. No source is written, and nothing is guessed: what
cannot be changed plainly is told.

``sheet``            a file of code, and the edits of its bytes
``python_code``      where things stand in Python, and how arguments are set
``javascript_code``  the same of JavaScript and TypeScript
``serving``          clients and models that are pointed at a server
``library``          calls that become calls of ``llmrr.Router``
``difference``       the lines that differ, without any key
``making``           which files are looked at, and what comes of it
"""

from llmrr.migrate.patches.making import HOW, Patch, make, server_url

__all__ = ["HOW", "Patch", "make", "server_url"]

"""Files and folders to artefacts: what is walked (``walking``), what is read of it (``reading``),
what a file that nothing recognises seems to be (``seeming``), and all of it together
(``searching``)."""

from llmrr.migrate.scanning.searching import Scan, scan

__all__ = ["Scan", "scan"]

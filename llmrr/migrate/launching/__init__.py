"""Commands that start a server of models: in scripts (``shellscripts``), containers
(``containers``, ``docker``, with what is mounted: ``mounts``) and llama-swap's macros (``macros``),
taken apart (``commands``), and what each program's arguments say (``launches``)."""

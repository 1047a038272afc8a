"""Bringing over what people run today: found, planned, applied, proved, and undone.

``values``, ``alternatives``, ``artefact``, ``codes``   the vocabulary: what a reader works with and
                                         what it finds
``documents``, ``parsing/``, ``python/``, ``javascript/``   files as trees; nothing is executed
``terms/``                               from other tools' words to ours, without any key
``launching/``, ``guessing/``            commands that start servers; settings of unknown programs
``readers/``                             one source each, all found by content
``scanning/``, ``assessing/``            files and folders to artefacts; the system around them
``merging/``, ``planning/``, ``patches/``   many artefacts to one ``llmrr.toml``, and to differences
``applying/``                            through the journal, with records, and what is left to do
``validating/``                          the old side against the new one
``caches/``                              kept answers and model folders of other tools
"""

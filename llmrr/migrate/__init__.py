"""Bringing over what people run today: found, planned, applied, proved, and undone.

``values``, ``artefact``, ``codes``     the vocabulary: what a reader works with and what it finds
``documents``, ``python``, ``javascript``   files as parsed trees; nothing is ever executed
``secrets``, ``naming``, ``fields``     from other tools' words to ours, without any key
``readers/``                            one source per file, all found by content
``scanning``, ``assessing/``            files and folders to artefacts; the system around them
``setup``, ``planning``, ``patches``    many artefacts to one ``llmrr.toml``, shown as a difference
``applying``, ``records``, ``checklist``    through the journal, and what is left to do
``validating/``, ``promoting``, ``proof``   the old side against the new one, and what rests on it
``caches/``                             kept answers and model folders of other tools
"""

"""Bringing over what people run today: found, planned, applied, proved, and undone.

``values``, ``artefact``, ``codes``     the vocabulary: what a reader works with and what it finds
``documents``, ``python``, ``javascript``   files as parsed trees; nothing is ever executed
``secrets``, ``naming``, ``fields``     from other tools' words to ours, without any key
``readers/``                            one source per file, all found by content
``scanning``, ``assessing/``            files and folders to artefacts; the system around them
``setup``                               many artefacts as one
``placing``, ``fitting``, ``chains``, ``variables``   its paths, values, fallbacks and keys
``planning/``                           one ``llmrr.toml``, shown as a difference
``applying``, ``registering``           a plan through the journal and the store, and back
``records``, ``checklist``, ``reporting``   what was done and noted, and what is left to do
``validating/``, ``promoting``, ``proof``   the old side against the new one, and what rests on it
``caches/``                             kept answers and model folders of other tools
"""

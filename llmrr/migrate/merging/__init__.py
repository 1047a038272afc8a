"""Many artefacts as one ``Setup`` (``setup``): what is the same (``alike``), what stores hold
(``stored``), fallbacks (``chains``, ``ordering``), paths (``placing``), keys (``variables``), and
what ``llmrr.toml`` would refuse (``fitting``)."""

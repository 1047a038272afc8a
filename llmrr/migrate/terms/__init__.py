"""Other tools' words as ours: providers and models (``naming``, ``provider_words``, ``hubnames``,
``litellm_names``), parameters (``fields``, ``conversion``), tasks (``roles``), texts with holes
(``texts``); and keys, which are told by their fields and never kept (``secrets``, ``withheld``)."""

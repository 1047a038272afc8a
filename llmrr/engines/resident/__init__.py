"""Models in another process of the same user: the one that a run has left behind, or a server.

``places`` says where such processes listen, ``loads`` what is asked of them, ``talking`` how
messages go over their sockets; ``asking`` finds one and asks it, and ``model`` is a model there, as
any other that is loaded. What listens is ``llmrr.warm``. Nothing is imported here: a run where
nobody listens does without most of it.
"""

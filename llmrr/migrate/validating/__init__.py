"""The old side against the new one: the same requests to both, and what came of them.

``cases``      what is asked: a set, the history, or the built-in one
``systems``    what a side is, and the one that our engines run; ``commands`` and ``addresses`` are
               the old ones of other programs, ``received`` reads what came from an address
``own``        whether one of them is llmrr itself
``likeness``   whether both sides are the same engine over the same weights
``asking``     the order, and one request after the other
``judging``    which answers are right, and how alike they are, by ``vectors`` of them
``figures``    what was measured, as numbers; ``bars`` what it has to be
``shadow``     the pairs that hybrid mode recorded, in place of asking
``report``     all of it as Markdown
``kept``       what came of it, and the configuration that it was about
"""

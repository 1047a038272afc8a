"""Offline batches: a file of requests, answered into another one, line by line and in order.

``lines`` reads, ``items`` understands, ``ordering`` has several answered at once, by a ``router``
here, an ``endpoint`` or a cluster (``rays``); ``ledger`` writes, and takes up what was begun;
``job`` is the whole.
"""

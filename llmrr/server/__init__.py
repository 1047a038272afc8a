"""The HTTP front: ``llmrr serve``. Everything async is in this folder; the core below it is not.

``service`` joins the router with what a server adds: the names that clients may use, and limits.
``running`` is an answer under way, computed on a thread and heard on the event loop. ``answering``
turns one into a response, ``streaming`` sends it as it comes; ``reading`` reads bodies, ``faults``
writes errors down in the protocol of the path, ``telling`` what the router knows into headers.
``app`` is the table of routes, one module per protocol, each with what it tells of its paths for
the document (``openapi``); ``hosting`` listens.
"""

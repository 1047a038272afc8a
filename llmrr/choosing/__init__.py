"""Several models: which one a request goes to, what happens when it fails, and how they are doing.

``selection`` makes the decision of ``routing`` out of what ``profiles`` knows of each model and
``health`` of how it has been doing. ``dispatch`` carries one request through the models that were
chosen, in ``attempts``; ``answering`` is the answer under way, ``ensemble`` one of several;
``embedding`` does the same for vectors. ``setup`` is a configuration with what follows from it.

What programs call: ``stating`` has the names of arguments, ``values`` and ``turns`` what they may
be, ``calls`` makes a request of them, ``results`` is what comes back.
"""

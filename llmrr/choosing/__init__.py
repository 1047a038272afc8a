"""Several models: which one a request goes to, what happens when it fails, and how they are doing.

``selection`` makes the decision of ``routing`` out of what ``profiles`` knows of each model and
``health`` of how it has been doing. ``cached`` knows which answers may be given again; they are
``kept`` under the ``identity`` of what gave them, and ``meaning`` compares requests in other words.
Requests that are under way are ``flights``, which others that are the same are ``listening`` to.
``starting`` makes an answer of a call: ``wishes`` is what that states of the choice, ``opening``
how a model is loaded or reached. ``dispatch`` carries one request through the models that were
chosen, in ``attempts``, and ``ending`` is what is written of each; ``answering`` is the answer
under way, ``ensemble`` one of several; ``embedding`` does the same for vectors. ``setup`` is a
configuration with what follows from it, which a request keeps; ``host`` is what all requests of a
router share, and ``recording`` the database as they use it.

Beside the way of a request: ``behind`` is what figures of a model belong to, ``infos`` what its
file says, ``room`` which models memory has no room for, ``pictures`` which take images,
``refusals`` whose fault a refusal is; ``lookup`` is what the cache is asked for. Two sides of a
migration are decided by ``sides``, each is a ``side``, ``parallel`` is the answer of both, and
``background`` what outlives it. ``budgeting`` and ``purse`` are what is spent, ``watching`` and
``delivery`` the alerts, ``diagnosis`` how it all is doing.

What programs call: ``stating`` has the names of arguments, ``values`` and ``turns`` what they may
be, ``calls`` makes a request of them, ``results`` is what comes back.
"""

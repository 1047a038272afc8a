"""What is around the models that were found: ``dependencies`` and what replaces them, ``system``
(framework, deployment, scaling, monitoring), ``usage`` of each model, ``needs`` held against what
is known, and ``report``."""

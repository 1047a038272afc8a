<<<<<<< HEAD
"""Checks of what was converted against what it was made from."""
=======
"""Checks that a conversion's result is what its source was: one per file, each gives a ``Check``."""
>>>>>>> part3

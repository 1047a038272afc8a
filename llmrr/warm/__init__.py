"""Models that stay loaded between runs: the process that the first run leaves behind, and what any
process with a pool offers to the runs of its user.

``service`` answers on a socket, with the models that ``lending`` takes out of a pool; ``keeping``
is the process that ``leaving`` starts (``python -m llmrr.warm``). The other side is
``llmrr.engines.resident``. Nothing is imported here: a run that has answered waits for it.
"""

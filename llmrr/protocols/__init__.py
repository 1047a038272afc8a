"""The protocols that clients speak, as pure functions: from the JSON of a request to what is asked
of the router, and from the chunks of an answer to the JSON that goes back. The server and batches
share them; nothing here knows of HTTP.

``base`` has what they share, ``fields`` reads the values of a body; each protocol has a module of
its own.
"""

"""Calls of the providers' own libraries, in both languages: the client says where and with which
key, the call which model, with what.

``clients``     which provider a client asks, and what it is told
``speaking``    calls of OpenAI's library, of every generation, and of those built like it
``vendors``     calls of other providers' libraries
``vercel``      calls of Vercel's AI SDK
``web``         requests that are sent without a library
``asks``        what all of these have in common, as models
``prompts``     messages as system prompts and templates
"""

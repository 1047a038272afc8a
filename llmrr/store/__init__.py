"""Installed models: what is here, what comes from the hub, what other tools already hold."""

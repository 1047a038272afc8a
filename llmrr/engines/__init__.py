"""The engines, and which of them runs a format."""

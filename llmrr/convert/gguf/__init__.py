"""Hugging Face folders to GGUF."""

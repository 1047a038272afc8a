"""The process that keeps models loaded."""

from llmrr.warm import keeping

if __name__ == "__main__":
    keeping.main()

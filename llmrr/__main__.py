"""``llmrr``, and ``python -m llmrr``. Ctrl-C also ends with 130 while everything is imported."""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        from llmrr.cli import app

        return app.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""``python -m llmrr`` is the same as ``llmrr``."""

import sys

from llmrr.cli.app import main

sys.exit(main())

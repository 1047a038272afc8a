"""Requests made from the document that the server publishes, by schemathesis:

    python tests/bench/serve_schema.py [--examples 50] [--checks all]

It has to be installed beside llmrr (``pip install schemathesis``); its exit code is this one's.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOML = """\
[[models]]
name = "small"
source = "builtin:mini"

[serve]
max_tokens = 16
"""
# Not: whatever the schema allows is accepted. It allows what no model here can do.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance," \
    "response_schema_conformance,unsupported_method"  # fmt: skip


def main() -> int:
    """Start a server, and ask it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--checks", default=CHECKS)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "llmrr.toml").write_text(TOML)
        environment = {**os.environ, "LLMRR_HOME": f"{folder}/home", "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(
            [sys.executable, "-m", "llmrr", "serve", "--port", "0"], cwd=folder, env=environment,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stderr is not None
            for line in server.stderr:
                if found := re.search(r"listening on (\S+)", line):
                    return asked(found[1], args)
                print(line, end="")
            return 1
        finally:
            server.terminate()
            server.wait(60)


def asked(url: str, args: argparse.Namespace) -> int:
    """The exit code of schemathesis."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
               "--max-examples", str(args.examples), "--checks", args.checks,
               "--seed", str(args.seed), "--request-timeout", "60", "--generation-database", "none",
               "--no-color"]  # fmt: skip
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

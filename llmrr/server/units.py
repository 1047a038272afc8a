"""Units that keep the server running: of systemd and launchd. No secret is written into one."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from llmrr import paths
from llmrr.config import files
from llmrr.errors import UsageError

KINDS: Final = ("systemd", "launchd")
LABEL: Final = "org.llmrr.serve"
_FLAGS: Final = {
    "host": "--host", "port": "--port", "max_queue": "--max-queue", "timeout": "--timeout",
    "max_batch_size": "--parallel", "speculate": "--speculate", "ollama": "--ollama",
    "log_requests": "--log-requests",
}  # fmt: skip
_SYSTEMD: Final = """\
# {head}
[Unit]
Description=llmrr serve
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={folder}
{environment}# Keys: a file of NAME=value lines that only you can read (chmod 600).
EnvironmentFile=-%h/.config/llmrr/serve.env
Restart=on-failure
RestartSec=5
TimeoutStopSec=60
LimitNOFILE=65536
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={writable}
# Where llmrr run finds the models that this keeps loaded.
RuntimeDirectory=llmrr
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes

[Install]
WantedBy=default.target
"""
_LAUNCHD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" \
"http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- {head} -->
<plist version="1.0">
<dict>
  <key>Label</key><string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}  </array>
  <key>WorkingDirectory</key><string>{folder}</string>
{environment}  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ExitTimeOut</key><integer>60</integer>
  <key>Umask</key><integer>63</integer>
  <key>SoftResourceLimits</key><dict><key>NumberOfFiles</key><integer>8192</integer></dict>
  <key>StandardErrorPath</key><string>{log}</string>
</dict>
</plist>
"""


def text(
    kind: str, tables: Mapping[str, Mapping[str, Any]], variables: Sequence[str],
    flags: Sequence[str] = (),
) -> str:  # fmt: skip
    """A unit of this kind that runs ``llmrr serve`` with these settings, and these flags besides.
    Raises ``UsageError``."""
    if kind not in KINDS:
        raise UsageError(f"there is no unit of {kind}", f"--unit {' or '.join(KINDS)}")
    words = [*_program(), "serve", *_flags(tables, variables), *flags]
    folder = str(Path.cwd())
    home = os.environ.get("LLMRR_HOME")
    if kind == "systemd":
        return _SYSTEMD.format(
            head="~/.config/systemd/user/llmrr.service; systemctl --user enable --now llmrr",
            command=" ".join(_quoted(word).replace("$", "$$") for word in words),
            folder=_escaped(folder),
            environment=f"Environment={_quoted(f'LLMRR_HOME={home}')}\n" if home else "",
            writable=" ".join(_quoted(f"-{one}") for one in _written()),
        )  # fmt: skip
    entry = f"<key>LLMRR_HOME</key><string>{escape(home or '')}</string>"
    return _LAUNCHD.format(
        head=f"~/Library/LaunchAgents/{LABEL}.plist; launchctl load -w it; keys: llmrr keys set",
        label=LABEL, folder=escape(folder), log=escape(str(paths.data_dir() / "serve.log")),
        arguments="".join(f"    <string>{escape(word)}</string>\n" for word in words),
        environment=f"  <key>EnvironmentVariables</key><dict>{entry}</dict>\n" if home else "",
    )  # fmt: skip


def _written() -> list[Path]:
    """The folders that a server writes to: llmrr's own, the hub's, and those of the files of
    settings, which ``[optimize] auto`` changes. Its own are made here: in what systemd keeps it
    from writing to, it could not make them."""
    own = (paths.config_dir(), paths.data_dir(), paths.cache_dir(), paths.hub_cache_dir())
    for one in own:
        with suppress(OSError):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = (one for one in (files.user_file(), files.project_file()) if one is not None)
    return sorted({*own, *(paths.real(one).parent for one in settings)})


def _program() -> list[str]:
    """How this llmrr is run, by whole paths."""
    found = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "llmrr" else None
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "llmrr"]


def _flags(tables: Mapping[str, Mapping[str, Any]], variables: Sequence[str]) -> list[str]:
    found = [word for table in tables.values() for word in _words(table)]
    return found + [word for name in variables for word in ("--api-key-env", name)]


def _words(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key == "aliases":
            for alias in value.items():
                yield from ("--alias", "=".join(alias))
        elif isinstance(value, Mapping):
            yield from _words(value)
        else:
            yield _FLAGS[key]
            if value is not True:
                yield f"{value:g}" if isinstance(value, float) else str(value)


def _escaped(word: str) -> str:
    """A word in which systemd finds nothing to expand; in a command a $ is to be doubled, too."""
    return word.replace("%", "%%")


def _quoted(word: str) -> str:
    plain = _escaped(word)
    if shlex.quote(plain) == plain:
        return plain
    inside = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'

"""A headless Chromium that tests drive by its DevTools protocol, over a pipe.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The browser wants to be spoken to at these descriptors.
_START = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); " \
         "os.execv(sys.argv[3], sys.argv[3:])"  # fmt: skip
_KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, ""),
         "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowRight": ("ArrowRight", 39, ""),
         "ArrowDown": ("ArrowDown", 40, ""), " ": ("Space", 32, " ")}  # fmt: skip


def found() -> str | None:
    """Where the browser is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A running browser."""

    def __init__(self, program: str, folder: Path) -> None:
        reads, writes = os.pipe(), os.pipe()
        options = [
            "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder}",
            "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--lang=en-US",
            *(["--no-sandbox"] if os.getuid() == 0 else []), "about:blank",
        ]  # fmt: skip
        wrapper = [sys.executable, "-I", "-c", _START, str(reads[0]), str(writes[1])]
        self._process = subprocess.Popen(
            [*wrapper, program, *options], pass_fds=(reads[0], writes[1]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        os.close(reads[0])
        os.close(writes[1])
        self._to, self._from = os.fdopen(reads[1], "wb"), os.fdopen(writes[0], "rb")
        self._answers: dict[int, Future[dict[str, Any]]] = {}
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Have something done; what it gives."""
        number, answer = len(self._answers), Future[dict[str, Any]]()
        self._answers[number] = answer
        said = {"id": number, "method": method, "params": params}
        said.update({"sessionId": session} if session else {})
        self._to.write(json.dumps(said).encode() + b"\0")
        self._to.flush()
        result = answer.result(PATIENCE_S)
        assert "error" not in result, (method, result["error"])
        return result["result"]

    def page(self) -> "Page":
        """A new page, in a context of its own: it shares no storage with others."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.call("Target.attachToTarget", flatten=True, **target)
        return Page(self, attached["sessionId"])

    def close(self) -> None:
        """End it."""
        try:
            self.call("Browser.close")
        finally:
            self._process.wait(PATIENCE_S)
            self._to.close()
            self._reader.join(PATIENCE_S)
            self._from.close()

    def _read(self) -> None:
        rest = bytearray()
        while piece := os.read(self._from.fileno(), 1 << 16):
            rest += piece
            *whole, last = rest.split(b"\0")
            rest = bytearray(last)
            for one in map(json.loads, whole):
                if "id" in one:
                    self._answers[one["id"]].set_result(one)
                else:
                    self.events.put(one)
        gone = {"error": "the browser has ended"}
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(gone)


class Page:
    """A page of the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self._seen: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Have something done in it."""
        return self._browser.call(method, self._session, **params)

    def open(self, url: str) -> None:
        """Go somewhere, until the page says that it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) "
                  "&& document.readyState === 'complete'")  # fmt: skip

    def see(self, expression: str) -> Any:
        """The value of an expression, of a promise what it comes to."""
        for _ in range(20):
            found = self._browser_evaluate(expression)
            if found is not None:
                break
        assert found is not None, f"the page was left: {expression}"
        details = found.get("exceptionDetails", {})
        assert not details, (expression, details.get("exception", details))
        return found["result"].get("value")

    def _browser_evaluate(self, expression: str) -> dict[str, Any] | None:
        try:
            return self.call(
                "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True,
                userGesture=True,
            )  # fmt: skip
        except AssertionError as error:  # it goes elsewhere while it is asked
            if "Context was destroyed" in str(error) or "navigated" in str(error):
                return None
            raise

    def wait(self, expression: str) -> Any:
        """Wait until an expression is true; its value."""
        return self.see(f"""new Promise((done, fail) => {{
            const late = setTimeout(() => fail(new Error("in vain")), {PATIENCE_S * 900});
            const look = () => {{
                const found = {expression};
                if (found) {{ clearTimeout(late); done(found); }} else setTimeout(look, 20);
            }};
            look();
        }})""")

    def type(self, text: str) -> None:
        """Put text in where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, shift: bool = False) -> None:
        """A key, down and up."""
        code, number, text = _KEYS.get(key) or (f"Key{key.upper()}", ord(key.upper()), key)
        named = dict(key=key, code=code, windowsVirtualKeyCode=number, modifiers=8 if shift else 0)
        kind = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=kind, text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def size(self, width: int, height: int) -> None:
        """How large the window is."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip

    def prefers(self, scheme: str) -> None:
        """Which colours the system has: light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, path: Path) -> None:
        """What is seen, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _events(self) -> list[dict[str, Any]]:
        self.see("1")  # what came before this has been said
        while not self._browser.events.empty():
            self._seen.append(self._browser.events.get())
        return [one for one in self._seen if one.get("sessionId") == self._session]

    def complaints(self) -> list[Any]:
        """What the console has of errors and warnings."""
        found: list[Any] = []
        for one in self._events():
            params = one["params"]
            if one["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"])
            elif one["method"] == "Runtime.consoleAPICalled":
                found += [params] if params["type"] in ("error", "warning", "assert") else []
            elif one["method"] == "Log.entryAdded" and params["entry"]["level"] != "verbose":
                found.append(params["entry"])
        return found

    def asked(self) -> list[str]:
        """The addresses that were asked for."""
        return [one["params"]["request"]["url"] for one in self._events()
                if one["method"] == "Network.requestWillBeSent"]  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """A browser as long as this lasts; ``found`` must have found one."""
    program = found()
    assert program is not None
    browser = Browser(program, folder)
    try:
        yield browser
    finally:
        browser.close()

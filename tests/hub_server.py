"""A model hub on loopback that speaks the real one's protocol, so that the real client talks to it.

Repositories with revisions, listings in pages, files with ETag, commit header, ranges; large files
behind a redirect to another host, gated and private ones, search; and faults: rate limits, answers
that break off, wrong bytes, ranges ignored, slowness. Endpoints and headers:
https://huggingface.co/docs/hub/api and the client's ``file_download.py``.

    python tests/hub_server.py FOLDER      # FOLDER/owner/repo/… are served until Ctrl-C
"""

import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

Content = bytes | Path
PAGE = 50  # entries of a listing
BLOCK = 1 << 16
LARGE = (".gguf", ".safetensors", ".onnx", ".onnx_data", ".bin", ".pt", ".pkl", ".model")
TOKEN = "hf_right"


@dataclass
class Served:
    """One file. Large ones are stored as Git LFS does: known by the SHA-256 of their content."""

    content: Content
    large: bool
    size: int = 0
    etag: str = ""

    def __post_init__(self) -> None:
        self.size = len(self.content) if isinstance(self.content, bytes) else size_of(self.content)
        kind = hashlib.sha256() if self.large else hashlib.sha1(b"blob %d\0" % self.size)
        for block in self.blocks(0, self.size):
            kind.update(block)
        self.etag = kind.hexdigest()

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        if isinstance(self.content, bytes):
            for at in range(start, end, BLOCK):
                yield self.content[at : min(at + BLOCK, end)]
            return
        with self.content.open("rb") as file:
            file.seek(start)
            while start < end and (block := file.read(min(BLOCK, end - start))):
                start += len(block)
                yield block


@dataclass
class Repo:
    """A repository: files by revision, and what its page says."""

    revisions: dict[str, dict[str, Served]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with requests whose path ends with ``path``, ``times`` times."""

    path: str
    times: int = 1
    status: int | None = None
    after: int | None = None  # break off after so many bytes
    garble: bool = False
    ignore_range: bool = False
    pause: float = 0.0  # seconds between blocks


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    host: str


class Hub:
    """``with Hub() as hub: hub.add("owner/repo", {"model.gguf": b"…"})``; ``hub.url`` is the
    HF_ENDPOINT."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.sent = 0  # bytes of files
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self.elsewhere = f"http://localhost:{port}"  # another host: no token may be sent to it

    def __enter__(self) -> "Hub":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(
        self,
        name: str,
        files: Mapping[str, Content | str],
        *,
        revision: str = "main",
        gated: bool = False,
        private: bool = False,
        **facts: Any,
    ) -> str:
        """Commit ``files`` as all that ``revision`` holds, and return the commit."""
        repo = self.repos.setdefault(name, Repo())
        tags = {path.rpartition(".")[2] for path in files} & {"gguf", "safetensors", "onnx"}
        repo.facts.setdefault("tags", sorted(tags))
        repo.gated, repo.private = gated, private
        repo.facts |= facts
        served = {
            path: Served(
                content.encode() if isinstance(content, str) else content, path.endswith(LARGE)
            )
            for path, content in files.items()
        }
        text = "".join(f"{path} {file.etag}\n" for path, file in sorted(served.items()))
        commit = hashlib.sha1(f"{name} {text}".encode()).hexdigest()
        repo.revisions[revision] = repo.revisions[commit] = served
        repo.commits[revision] = repo.commits[commit] = commit
        return commit

    def fault(self, path: str, **what: Any) -> Fault:
        """Let something go wrong."""
        self.faults.append(fault := Fault(path, **what))
        return fault

    def take_fault(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and path.endswith(fault.path):
                    fault.times -= 1
                    return fault
        return None

    def requests(self, method: str, ending: str) -> list[Seen]:
        """Those that came, by method and the end of their path."""
        return [one for one in self.seen if one.method == method and one.path.endswith(ending)]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that was killed
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        address = urlsplit(self.path)
        path, query = unquote(address.path), parse_qs(address.query)
        with self.hub.lock:
            self.hub.seen.append(
                Seen(
                    self.command, path, self.headers.get("Range"),
                    self.headers.get("Authorization"), self.headers.get("Host", ""),
                )
            )  # fmt: skip
        with suppress(ConnectionError, socket.timeout):
            self.route(path, query)

    def route(self, path: str, query: dict[str, list[str]]) -> None:
        fault = None if "/resolve/" in path or path.startswith("/cdn/") else self.fault(path)
        if fault and fault.status:
            return self.fail(fault.status, "", "try later")
        if path == "/api/models":
            return self.search(query)
        if match := re.fullmatch(r"/api/models/(.+?)/refs", path):
            return self.refs(match[1])
        if match := re.fullmatch(r"/api/models/(.+?)/tree/([^/]+(?:/pr/\d+)?)(?:/.*)?", path):
            return self.tree(match[1], match[2], query)
        if match := re.fullmatch(r"/api/models/(.+?)(?:/revision/(.+))?", path):
            return self.model(match[1], match[2] or "main", query)
        if match := re.fullmatch(r"/cdn/(.+)/([0-9a-f]{64})/(.+)", path):
            return self.cdn(match[1], match[2], match[3])
        if match := re.fullmatch(r"/(.+?)/resolve/(refs/pr/\d+|[^/]+)/(.+)", path):
            return self.resolve(match[1], match[2], match[3])
        return self.fail(404, "", "no such page")

    # -- pages ---------------------------------------------------------------------------------

    def search(self, query: dict[str, list[str]]) -> None:
        words = query.get("search", [""])[0].lower().split()
        author = query.get("author", [""])[0].lower()
        wanted = set(query.get("filter", []))
        found = []
        for name, repo in self.hub.repos.items():
            tags = set(repo.facts.get("tags", ()))
            by_author = not author or name.lower().startswith(f"{author}/")
            if repo.private or not by_author or not wanted <= tags:
                continue
            if all(word in name.lower() for word in words):
                found.append(self.facts(name, "main", with_files=True))
        found.sort(key=lambda one: -one["downloads"])
        self.json(found[: int(query.get("limit", ["1000"])[0])])

    def refs(self, name: str) -> None:
        if repo := self.allowed(name):
            branches = [
                {"name": one, "ref": f"refs/heads/{one}", "targetCommit": commit}
                for one, commit in repo.commits.items()
                if one != commit
            ]
            self.json({"branches": branches, "tags": [], "converts": []})

    def model(self, name: str, revision: str, query: dict[str, list[str]]) -> None:
        if self.files(name, revision) is not None:
            self.json(self.facts(name, revision, with_files=True, blobs="blobs" in query))

    def tree(self, name: str, revision: str, query: dict[str, list[str]]) -> None:
        files = self.files(name, revision)
        if files is None:
            return
        entries = [self.entry(path, file) for path, file in sorted(files.items())]
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + PAGE < len(entries):
            base = f"{self.hub.url}/api/models/{name}/tree/{quote(revision, safe='')}"
            headers["Link"] = f'<{base}?recursive=true&cursor={start + PAGE}>; rel="next"'
        self.json(entries[start : start + PAGE], headers)

    def entry(self, path: str, file: Served) -> dict[str, Any]:
        if not file.large:
            return {"type": "file", "oid": file.etag, "size": file.size, "path": path}
        pointer = {"oid": file.etag, "size": file.size, "pointerSize": 134}
        oid = hashlib.sha1(f"pointer {file.etag}".encode()).hexdigest()
        return {"type": "file", "oid": oid, "size": file.size, "path": path, "lfs": pointer}

    def facts(
        self, name: str, revision: str, *, with_files: bool, blobs: bool = False
    ) -> dict[str, Any]:
        repo = self.hub.repos[name]
        facts = {
            "_id": name, "id": name, "modelId": name, "sha": repo.commits.get(revision),
            "private": repo.private, "gated": "manual" if repo.gated else False, "disabled": False,
            "downloads": 0, "likes": 0, "tags": [], "lastModified": "2026-01-31T12:00:00.000Z",
            **repo.facts,
        }  # fmt: skip
        files = repo.revisions.get(revision, {})
        if with_files:
            facts["siblings"] = [
                {"rfilename": path, **(self.blob(file) if blobs else {})}
                for path, file in sorted(files.items())
            ]
        return facts

    def blob(self, file: Served) -> dict[str, Any]:
        lfs = {"sha256": file.etag, "size": file.size, "pointerSize": 134}
        return {"size": file.size, "blobId": file.etag, **({"lfs": lfs} if file.large else {})}

    # -- files ---------------------------------------------------------------------------------

    def resolve(self, name: str, revision: str, path: str) -> None:
        repo, files = self.hub.repos.get(name), self.files(name, revision, download=True)
        if repo is None or files is None:
            return
        commit = {"X-Repo-Commit": repo.commits[revision]}
        if path not in files:
            return self.fail(404, "EntryNotFound", f"{path} does not exist", commit)
        file = files[path]
        common = {**commit, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if not file.large:
            return self.content(path, file, common)
        linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)}
        place = f"{self.hub.elsewhere}/cdn/{name}/{file.etag}/{quote(path)}"
        return self.send(302, b"", {**common, **linked, "Location": place})

    def cdn(self, name: str, digest: str, path: str) -> None:
        """Where large files lie: a signed address, where a token would be leaked."""
        if self.headers.get("Authorization"):
            return self.fail(400, "", "only one auth mechanism is allowed")
        repo = self.hub.repos.get(name)
        for files in repo.revisions.values() if repo else ():
            for one, file in files.items():
                if one == path and file.etag == digest:
                    return self.content(path, file, {"ETag": f'"{digest}"'})
        return self.fail(404, "", "no such object")

    def content(self, path: str, file: Served, headers: dict[str, str]) -> None:
        fault = self.fault(path) if self.command == "GET" else None
        if fault and fault.status:
            return self.fail(fault.status, "", "try later", {"Retry-After": "0"})
        start, end, status = 0, file.size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and not (fault and fault.ignore_range):
            start = int(asked[1])
            end = min(end, int(asked[2]) + 1) if asked[2] else end
            status = 206
            headers = {**headers, "Content-Range": f"bytes {start}-{end - 1}/{file.size}"}
            if start >= file.size:
                return self.fail(416, "", "beyond the end")
        self.start(status, {**headers, "Content-Length": str(end - start)})
        if self.command == "GET":
            self.stream(file, start, end, fault)
        return None

    def stream(self, file: Served, start: int, end: int, fault: Fault | None) -> None:
        left = fault.after if fault and fault.after is not None else end - start
        for block in file.blocks(start, end):
            if fault and fault.garble:
                block = bytes(byte ^ 255 for byte in block)
            self.wfile.write(block[:left])
            with self.hub.lock:
                self.hub.sent += len(block[:left])
            left -= len(block)
            if fault and fault.pause:
                time.sleep(fault.pause)
            if left < 0:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return

    # -- answers -------------------------------------------------------------------------------

    def fault(self, path: str) -> Fault | None:
        return self.hub.take_fault(path)

    def allowed(self, name: str, *, download: bool = False) -> Repo | None:
        """The repository, if it exists and the token in the request may see it."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token != TOKEN:
            self.fail(401, "", "Invalid credentials in Authorization header")
            return None
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not token):
            # The real hub tells nobody without a token whether a repository exists.
            self.fail(404 if token else 401, "RepoNotFound", "Repository not found")
            return None
        if repo.gated and download and not token:
            self.fail(401, "GatedRepo", f"Access to model {name} is restricted.")
            return None
        return repo

    def files(
        self, name: str, revision: str, *, download: bool = False
    ) -> dict[str, Served] | None:
        repo = self.allowed(name, download=download)
        if repo is None:
            return None
        if revision not in repo.revisions:
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repo.revisions[revision]

    def json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send(200, body, {"Content-Type": "application/json", **(headers or {})})

    def fail(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        said = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.send(status, json.dumps({"error": message}).encode(), {**said, **(headers or {})})

    def send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.start(status, {**headers, "Content-Length": str(len(body))})
        if self.command == "GET":
            self.wfile.write(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def size_of(path: Path) -> int:
    return path.stat().st_size


def serve(folder: Path) -> None:
    """Serve what lies in FOLDER/owner/repo until Ctrl-C."""
    with Hub() as hub:
        for repo in sorted(folder.glob("*/*")):
            files = {
                str(path.relative_to(repo)): path for path in repo.rglob("*") if path.is_file()
            }
            hub.add(f"{repo.parent.name}/{repo.name}", files)
        print(hub.url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))

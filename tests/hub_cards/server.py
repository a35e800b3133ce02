"""A loopback server that stands in for the Hugging Face Hub and speaks its HTTP interface to the real clients.

    with LoopbackHub() as hub:
        environment = os.environ | hub.environment(tmp_path)   # HF_ENDPOINT, HF_TOKEN, a fresh HF_HOME, no xet
        hub.fail("POST", "/commit/", 500, times=2)             # the next two commits get a 500
        hub.repo("model", "user/name").files()                 # {path: bytes} on main

Everything is kept in memory. Set the environment before `huggingface_hub` is imported: run clients in a process of
their own, or give them `HfApi(endpoint=hub.url, token=hub.token)`.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub_cards.repository import Blob, Commit, HubError, Repository

LFS_SUFFIXES = (".safetensors", ".parquet", ".model", ".bin", ".pt", ".png", ".gz")
REPO = r"/(?P<kind>model|dataset|space)s/(?P<repo_id>[\w.-]+/[\w.-]+)"
REVISION = r"/(?P<revision>[^/]+)"


@dataclass
class Fault:
    """What happens to the next `times` requests that match.

    `outcome` is a status code, "cut" (the connection ends before anything is done) or "cut after" (the request is
    carried out, and the answer to it is lost).
    """

    method: str
    pattern: str
    outcome: int | str
    times: int


@dataclass
class Request:
    """One request as the server saw it; `body` only of small ones."""

    method: str
    path: str
    status: int | str
    authorization: str | None


@dataclass
class Answer:
    """A response: JSON where `body` is no bytes."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class LoopbackHub:
    """The server; a context manager that listens on a free loopback port.

    Attributes:
        url: the endpoint, for HF_ENDPOINT.
        user, token: who publishes; the token of role `role` ("write" or "read").
        requests: everything that was asked, in order.
    """

    def __init__(self, user: str = "user", token: str = "hf_loopbackSecretTokenOfTheTests", role: str = "write"):
        self.user, self.token, self.role = user, token, role
        self.requests: list[Request] = []
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._lfs: dict[str, bytes] = {}
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        # Large files come from another host name, as from the Hub's CDN: clients must not send their token there.
        self.cdn_url = f"http://localhost:{self._server.server_port}"

    def __enter__(self) -> "LoopbackHub":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, hf_home: Path) -> dict[str, str]:
        """Variables that point a process at this server and at an empty cache, logged in."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(hf_home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }

    def repo(self, kind: str, repo_id: str) -> Repository:
        """The repository, or a HubError."""
        if (kind, repo_id) not in self._repositories:
            raise HubError(404, "RepoNotFound", f"Repository {kind} {repo_id} not found")
        return self._repositories[kind, repo_id]

    def has(self, kind: str, repo_id: str) -> bool:
        return (kind, repo_id) in self._repositories

    def fail(self, method: str, pattern: str, outcome: int | str, times: int = 1) -> None:
        """Let the next `times` requests whose path matches the regular expression go wrong (see `Fault`)."""
        self._faults.append(Fault(method, pattern, outcome, times))

    def unused_faults(self) -> list[Fault]:
        """Faults that no request has met so often as was asked."""
        return [fault for fault in self._faults if fault.times]

    def recover(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()

    def uploaded(self) -> list[str]:
        """Paths of the PUT requests that were answered with 200: what was really sent as large files."""
        return [request.path for request in self.requests if request.method == "PUT" and request.status == 200]

    # What follows is called by the handler.

    def take_fault(self, method: str, path: str) -> int | str | None:
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.method == method and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault.outcome
        return None

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Answer:
        """Find the endpoint and let it answer; everything runs under one lock, like a very small Hub."""
        authorized = headers.get("Authorization") == f"Bearer {self.token}"
        for pattern, methods, needs_write, endpoint in _ENDPOINTS:
            match = re.fullmatch(pattern, path)
            if not match or method not in methods:
                continue
            arguments = {key: unquote(value) for key, value in match.groupdict().items() if value is not None}
            try:
                with self._lock:
                    if needs_write and not authorized:
                        raise HubError(401, "", "Invalid username or password.")
                    if needs_write and self.role != "write":
                        raise HubError(403, "", "Forbidden: you must use a write token")
                    if "repo_id" in arguments:
                        repository = self.repo(arguments.get("kind", "model"), arguments["repo_id"])
                        if repository.private and not authorized:
                            raise HubError(401, "RepoNotFound", "Repository not found")
                    return endpoint(self, _Call(arguments, query, body, authorized, headers))
            except HubError as error:
                return Answer(
                    {"error": error.message},
                    error.status,
                    {"X-Error-Code": error.code, "X-Error-Message": error.message, **error.headers},
                )
        return Answer({"error": f"no such endpoint: {method} {path}"}, 404)


@dataclass
class _Call:
    """The parts of one request that endpoints read."""

    arguments: dict[str, str]
    query: dict[str, list[str]]
    body: bytes
    authorized: bool
    headers: Any

    def json(self) -> Any:
        return json.loads(self.body)

    def repo(self, hub: LoopbackHub) -> Repository:
        return hub.repo(self.arguments.get("kind", "model"), self.arguments["repo_id"])

    def commit(self, hub: LoopbackHub) -> Commit:
        return self.repo(hub).resolve(self.arguments.get("revision", "main"))


def _whoami(hub: LoopbackHub, call: _Call) -> Answer:
    if not call.authorized:
        raise HubError(401, "", "Invalid username or password.")
    return Answer({"type": "user", "name": hub.user, "orgs": [], "auth": {"accessToken": {"role": hub.role}}})


def _validate_yaml(hub: LoopbackHub, call: _Call) -> Answer:
    content = call.json()["content"]
    if not content.startswith("---\n"):
        return Answer({"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]})
    problem = _yaml_problem(content.split("---", 2)[1])
    return Answer({"errors": [{"message": problem}] if problem else [], "warnings": []}, 400 if problem else 200)


def _yaml_problem(text: str) -> str | None:
    import yaml

    try:
        metadata = yaml.safe_load(text)
    except yaml.YAMLError:
        return "YAML is invalid"
    if not isinstance(metadata.get("license", ""), str | list):
        return '"license" must be a string'
    if metadata.get("license") == "other" and "license_name" not in metadata:
        return '"license_name" is required'
    return None


def _create(hub: LoopbackHub, call: _Call) -> Answer:
    asked = call.json()
    repo_id = f"{asked.get('organization') or hub.user}/{asked['name']}"
    kind = asked.get("type") or "model"
    if repo_id.split("/")[0] != hub.user:
        raise HubError(403, "", f'You don\'t have the rights to create a {kind} under the namespace "{repo_id}"')
    url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
    if hub.has(kind, repo_id):
        return Answer({"error": "You already created this repo", "url": url}, 409)
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    hub._repositories[kind, repo_id] = Repository(kind, repo_id, private)
    return Answer({"url": url, "name": repo_id, "id": repo_id})


def _delete(hub: LoopbackHub, call: _Call) -> Answer:
    asked = call.json()
    repo_id = f"{asked.get('organization') or hub.user}/{asked['name']}"
    hub.repo(asked.get("type") or "model", repo_id)
    del hub._repositories[asked.get("type") or "model", repo_id]
    return Answer({})


def _settings(hub: LoopbackHub, call: _Call) -> Answer:
    asked, repository = call.json(), call.repo(hub)
    repository.gated = asked.get("gated", repository.gated)
    if "visibility" in asked:
        repository.private = asked["visibility"] == "private"
    return Answer({})


def _info(hub: LoopbackHub, call: _Call) -> Answer:
    return Answer(call.repo(hub).info(call.commit(hub)))


def _preupload(hub: LoopbackHub, call: _Call) -> Answer:
    files = call.commit(hub).files
    answers = []
    for asked in call.json()["files"]:
        blob = files.get(asked["path"])
        mode = "lfs" if asked["path"].endswith(LFS_SUFFIXES) or asked["size"] > 5_000_000 else "regular"
        answers.append(
            {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": blob.known_oid if blob else None}
        )
    return Answer({"files": answers})


def _lfs_batch(hub: LoopbackHub, call: _Call) -> Answer:
    objects = []
    for asked in call.json()["objects"]:
        actions = {
            "upload": {"href": f"{hub.url}/lfs/{asked['oid']}", "header": {}},
            "verify": {"href": f"{hub.url}/lfs-verify/{asked['oid']}", "header": {}},
        }
        objects.append(dict(asked) if asked["oid"] in hub._lfs else {**asked, "actions": actions})
    return Answer({"transfer": "basic", "objects": objects})


def _lfs_put(hub: LoopbackHub, call: _Call) -> Answer:
    oid = hashlib.sha256(call.body).hexdigest()
    if oid != call.arguments["oid"]:
        raise HubError(400, "", f"content has sha256 {oid}")
    hub._lfs[oid] = call.body
    return Answer()


def _lfs_verify(hub: LoopbackHub, call: _Call) -> Answer:
    asked = call.json()
    if asked["oid"] not in hub._lfs or len(hub._lfs[asked["oid"]]) != asked["size"]:
        raise HubError(404, "", "object is not there")
    return Answer({"message": "ok"})


def _commit(hub: LoopbackHub, call: _Call) -> Answer:
    repository, revision = call.repo(hub), call.arguments["revision"]
    operations = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    create_pr = "create_pr" in call.query
    commit = repository.commit(revision, operations, hub._lfs, create_pr=create_pr)
    page = f"{hub.url}/{repository.prefix}{repository.repo_id}"
    answer = {"success": True, "commitOid": commit.oid, "commitUrl": f"{page}/commit/{commit.oid}"}
    if create_pr:
        answer["pullRequestUrl"] = f"{page}/discussions/{repository.num_prs}"
    return Answer(answer)


def _tree(hub: LoopbackHub, call: _Call) -> Answer:
    recursive = call.query.get("recursive", ["false"])[0].lower() in {"1", "true"}
    return Answer(call.repo(hub).tree(call.commit(hub), call.arguments.get("path", ""), recursive))


def _paths_info(hub: LoopbackHub, call: _Call) -> Answer:
    form = parse_qs(call.body.decode())
    commit = call.commit(hub)
    tree = {entry["path"]: entry for entry in call.repo(hub).tree(commit, "", recursive=True)}
    return Answer([tree[path] for path in form.get("paths", []) if path in tree])


def _refs(hub: LoopbackHub, call: _Call) -> Answer:
    return Answer(call.repo(hub).refs_listing())


def _commits(hub: LoopbackHub, call: _Call) -> Answer:
    return Answer([commit.listing(hub.user) for commit in call.repo(hub).history(call.commit(hub))])


def _branch(hub: LoopbackHub, call: _Call) -> Answer:
    start = (call.json() if call.body else {}).get("startingPoint", "main")
    call.repo(hub).add_ref(f"refs/heads/{call.arguments['name']}", start)
    return Answer({})


def _tag(hub: LoopbackHub, call: _Call) -> Answer:
    call.repo(hub).add_ref(f"refs/tags/{call.json()['tag']}", call.arguments["revision"])
    return Answer({})


def _resolve(hub: LoopbackHub, call: _Call) -> Answer:
    repository, commit = call.repo(hub), call.commit(hub)
    if repository.gated and not call.authorized:
        raise HubError(403, "GatedRepo", "Access to this repository is restricted")
    blob = commit.files.get(call.arguments["path"])
    headers = {"X-Repo-Commit": commit.oid}
    if blob is None:
        raise HubError(404, "EntryNotFound", "Entry not found", headers)
    if blob.is_lfs:
        headers |= {"X-Linked-Etag": f'"{blob.known_oid}"', "X-Linked-Size": str(len(blob.content))}
        return Answer(b"", 302, headers | {"Location": f"{hub.cdn_url}/cdn/{blob.known_oid}"})
    return _with_range(blob, call, headers | {"ETag": f'"{blob.git_oid}"'})


def _cdn(hub: LoopbackHub, call: _Call) -> Answer:
    blob = Blob(hub._lfs[call.arguments["oid"]], is_lfs=True)
    return _with_range(blob, call, {"ETag": f'"{blob.known_oid}"'})


def _with_range(blob: Blob, call: _Call, headers: dict[str, str]) -> Answer:
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", call.headers.get("Range", ""))
    headers |= {"Accept-Ranges": "bytes"}
    if not asked:
        return Answer(blob.content, 200, headers)
    size = len(blob.content)
    first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    if first >= size:
        return Answer(b"", 416, headers | {"Content-Range": f"bytes */{size}"})
    return Answer(blob.content[first : last + 1], 206, headers | {"Content-Range": f"bytes {first}-{last}/{size}"})


Endpoint = Callable[[LoopbackHub, _Call], Answer]
_PAGE = r"/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[\w.-]+/[\w.-]+)"
# Path, methods, whether a token that may write is needed, and who answers.
_ENDPOINTS: list[tuple[str, str, bool, Endpoint]] = [
    (r"/api/whoami-v2", "GET", False, _whoami),
    (r"/api/validate-yaml", "POST", False, _validate_yaml),
    (r"/api/repos/create", "POST", True, _create),
    (r"/api/repos/delete", "DELETE", True, _delete),
    (rf"/api{REPO}", "GET", False, _info),
    (rf"/api{REPO}/revision{REVISION}", "GET", False, _info),
    (rf"/api{REPO}/settings", "PUT", True, _settings),
    (rf"/api{REPO}/preupload{REVISION}", "POST", True, _preupload),
    (rf"/api{REPO}/commit{REVISION}", "POST", True, _commit),
    (rf"/api{REPO}/tree{REVISION}(?:/(?P<path>.*))?", "GET", False, _tree),
    (rf"/api{REPO}/paths-info{REVISION}", "POST", False, _paths_info),
    (rf"/api{REPO}/refs", "GET", False, _refs),
    (rf"/api{REPO}/commits{REVISION}", "GET", False, _commits),
    (rf"/api{REPO}/branch/(?P<name>[^/]+)", "POST", True, _branch),
    (rf"/api{REPO}/tag{REVISION}", "POST", True, _tag),
    (rf"{_PAGE}\.git/info/lfs/objects/batch", "POST", True, _lfs_batch),
    (r"/lfs/(?P<oid>[0-9a-f]{64})", "PUT", False, _lfs_put),
    (r"/lfs-verify/(?P<oid>[0-9a-f]{64})", "POST", False, _lfs_verify),
    (rf"{_PAGE}/resolve{REVISION}/(?P<path>.+)", "GET HEAD", False, _resolve),
    (r"/cdn/(?P<oid>[0-9a-f]{64})", "GET HEAD", False, _cdn),
]


def _handler_of(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment an answer: headers and body apart wait for the client's delayed acknowledgement

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            fault = hub.take_fault(self.command, self.path)
            if fault == "cut":
                self._record("cut")
                self.close_connection = True
                return
            body = self._read_body()
            if isinstance(fault, int):
                answer = Answer({"error": f"injected {fault}"}, fault)
            else:
                answer = hub.answer(self.command, url.path, parse_qs(url.query), body, self.headers)
            if fault == "cut after":
                self._record("cut after")
                self.close_connection = True
                return
            self._record(answer.status)
            self._send(answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

        def _record(self, status: int | str) -> None:
            hub.requests.append(Request(self.command, self.path, status, self.headers.get("Authorization")))

        def _read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _send(self, answer: Answer) -> None:
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not isinstance(answer.body, bytes):
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Requests are kept in `hub.requests` instead."""

    return Handler

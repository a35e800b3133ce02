"""One repository of the loopback Hub: blobs, commits, references, listings."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


class HubError(Exception):
    """An error answer of the Hub: status, X-Error-Code, message."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


@dataclass(frozen=True)
class Blob:
    """A file's content; large ones are known by their sha256, the others by git's blob id."""

    content: bytes
    is_lfs: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git_oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def known_oid(self) -> str:
        return self.sha256 if self.is_lfs else self.git_oid

    def listing(self, path: str) -> dict[str, Any]:
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.git_oid}
        if self.is_lfs:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": 134}
        return entry


@dataclass
class Commit:
    """A state of the repository."""

    oid: str
    parent: str | None
    title: str
    message: str
    files: dict[str, Blob]
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))

    def listing(self, user: str) -> dict[str, Any]:
        return {
            "id": self.oid,
            "title": self.title,
            "message": self.message,
            "authors": [{"user": user}],
            "date": self.date,
        }


class Repository:
    """Commits by id and references by name, beginning with the empty first commit that the Hub makes."""

    def __init__(self, kind: str, repo_id: str, private: bool):
        self.kind, self.repo_id, self.private = kind, repo_id, private
        self.gated: str | bool = False
        self.num_prs = 0
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {"refs/heads/main": self._add("initial commit", "", None, {}).oid}

    @property
    def prefix(self) -> str:
        return "" if self.kind == "model" else f"{self.kind}s/"

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return {path: blob.content for path, blob in self.resolve(revision).files.items()}

    def titles(self, revision: str = "main") -> list[str]:
        """Titles of the commits, oldest first, without the Hub's own first one."""
        return [commit.title for commit in self.history(self.resolve(revision))][::-1][1:]

    def resolve(self, revision: str) -> Commit:
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in self.refs:
                return self.commits[self.refs[name]]
        if revision in self.commits:
            return self.commits[revision]
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def history(self, commit: Commit) -> list[Commit]:
        chain = [commit]
        while chain[-1].parent:
            chain.append(self.commits[chain[-1].parent])
        return chain

    def add_ref(self, name: str, start: str) -> None:
        if name in self.refs:
            raise HubError(409, "", "Reference already exists")
        self.refs[name] = self.resolve(start).oid

    def commit(
        self, revision: str, operations: list[dict[str, Any]], lfs: dict[str, bytes], create_pr: bool = False
    ) -> Commit:
        """Apply an ndjson commit whole, or not at all."""
        head = self.resolve(revision)
        header, files = operations[0]["value"], dict(head.files)
        if header.get("parentCommit") not in (None, head.oid):
            raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
        for operation in operations[1:]:
            key, value = operation["key"], operation["value"]
            if key == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                if value["oid"] not in lfs:
                    raise HubError(400, "", f"LFS object {value['oid']} was never uploaded")
                files[value["path"]] = Blob(lfs[value["oid"]], is_lfs=True)
            elif key == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise HubError(404, "EntryNotFound", "A file with this name doesn't exist")
            elif key == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {path: blob for path, blob in files.items() if not path.startswith(folder)}
        commit = self._add(header["summary"], header.get("description", ""), head.oid, files)
        if create_pr:
            self.num_prs += 1
            self.refs[f"refs/pr/{self.num_prs}"] = commit.oid
        else:
            name = f"refs/heads/{revision}"
            self.refs[name if name in self.refs else revision] = commit.oid
        return commit

    def info(self, commit: Commit) -> dict[str, Any]:
        siblings = [
            {"rfilename": path, "size": len(blob.content), "blobId": blob.git_oid}
            for path, blob in commit.files.items()
        ]
        return {
            "_id": hashlib.md5(self.repo_id.encode()).hexdigest()[:24],
            "id": self.repo_id,
            "modelId": self.repo_id,
            "sha": commit.oid,
            "private": self.private,
            "gated": self.gated,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": commit.date,
            "createdAt": commit.date,
            "siblings": siblings,
        }

    def tree(self, commit: Commit, folder: str, recursive: bool) -> list[dict[str, Any]]:
        start = folder.strip("/") + "/" if folder.strip("/") else ""
        inside = {path: blob for path, blob in commit.files.items() if path.startswith(start)}
        if start and not inside:
            raise HubError(404, "EntryNotFound", f"{folder} does not exist on {self.repo_id}")
        folders, entries = set(), []
        for path, blob in inside.items():
            parts = path.removeprefix(start).split("/")
            depth = len(parts) - 1 if recursive else min(1, len(parts) - 1)
            folders |= {start + "/".join(parts[:end]) for end in range(1, depth + 1)}
            if recursive or len(parts) == 1:
                entries.append(blob.listing(path))
        listed = [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(folders)]
        return listed + entries

    def refs_listing(self) -> dict[str, list[dict[str, str]]]:
        def of(start: str) -> list[dict[str, str]]:
            return [
                {"name": name.removeprefix(start), "ref": name, "targetCommit": oid}
                for name, oid in self.refs.items()
                if name.startswith(start)
            ]

        return {
            "branches": of("refs/heads/"),
            "converts": [],
            "tags": of("refs/tags/"),
            "pullRequests": of("refs/pr/"),
        }

    def _add(self, title: str, message: str, parent: str | None, files: dict[str, Blob]) -> Commit:
        # Never the same id twice: clients keep what they loaded by commit id.
        commit = Commit(secrets.token_hex(20), parent, title, message, files)
        self.commits[commit.oid] = commit
        return commit

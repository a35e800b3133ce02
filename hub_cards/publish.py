"""Putting a folder on the Hub: a plan that can be shown, then everything that changed in one commit.

Nothing but the final commit moves a branch, so a run that is cut off leaves the branch as it was; large files that
were already sent are not sent again.
"""

import difflib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoCard,
    RepoFile,
    get_token,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session, hf_raise_for_status, validate_repo_id

from .check import check_folder

Result = TypeVar("Result")
RepoType = Literal["model", "dataset", "space"]
CARD = "README.md"
NUM_TRIES = 6
FIRST_WAIT_SECONDS = 1.0
TRANSIENT_STATUSES = {408, 429, 500, 502, 503, 504}


class PublishError(OSError):
    """Publishing is not possible; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a folder goes.

    Attributes:
        repo_id: "user/name".
        repo_type: "model", "dataset" or "space".
        revision: branch; it is made where it does not exist.
        private: a new repository is private; an existing public one is refused.
        create_pr: ask by a pull request instead of writing to the branch.
        gated: readers have to accept the card's terms ("auto") or to be let in one by one ("manual").
        ours: patterns of the files that publishing again removes where the folder no longer has them.
    """

    repo_id: str
    repo_type: RepoType
    revision: str = "main"
    private: bool = False
    create_pr: bool = False
    gated: Literal["auto", "manual"] | None = None
    ours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one file: "new", "changed", "unchanged" or "removed"; `size` in bytes."""

    path: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What publishing would do.

    Attributes:
        changes: every file of the folder and every remote file that would be removed.
        card_diff: unified diff of README.md against the published one.
        head: commit that the plan starts from; None where there is no such repository or branch yet.
        is_compared: False where the Hub could not be reached: every file counts as new, and the card is shown whole.
    """

    changes: list[Change]
    card_diff: str
    head: str | None
    is_compared: bool = True

    @property
    def todo(self) -> list[Change]:
        return [change for change in self.changes if change.kind != "unchanged"]


def publish_folder(
    folder: Path,
    target: Target,
    *,
    dry_run: bool = False,
    is_rendered: bool = False,
    confirm: Callable[[Plan], bool] = lambda plan: True,
) -> str | None:
    """Publish all files of `folder` in one commit; its URL (of the pull request, if one was asked for) comes back.

    None comes back where nothing was done: a dry run, or `confirm` said no. It is called with the plan in any case.
    `is_rendered` as in `check_folder`.

    Raises:
        ValueError: the repository id or the card is not valid.
        PublishError: no token, no write access, the name is taken, or the Hub keeps failing.
    """
    check_repo_id(target.repo_id)
    findings = check_folder(folder, is_rendered)
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise ValueError(f"the card is not ready: {findings[0]}{more}")
    api = HfApi()
    try:
        if dry_run:
            confirm(_plan_for_show(api, folder, target))
            return None
        _check_access(api, target)
        _retried(lambda: _validate_card(api, folder, target))
        if not confirm(_retried(lambda: make_plan(api, folder, target))):
            return None
        _retried(lambda: _prepare_repository(api, folder, target))
        return _Upload(api, folder, target).run()
    except (HTTPError, RuntimeError) as error:
        raise PublishError(_in_one_line(_hub_error(error), target)) from error


def check_repo_id(repo_id: str) -> None:
    """Refuse, with one line, what is no "user/name" of the Hub."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if repo_id.count("/") != 1:
        raise ValueError(f"repository id is {repo_id!r}; allowed: USER/NAME")


def find_revision(repo_id: str, repo_type: RepoType) -> str:
    """The commit id of what is published at `repo_id`."""
    check_repo_id(repo_id)
    target = Target(repo_id, repo_type)
    try:
        head = _retried(lambda: _remote_files(HfApi(), target))[0]
    except (HTTPError, RuntimeError) as error:
        raise PublishError(_in_one_line(_hub_error(error), target)) from error
    if head is None:
        raise PublishError(f"{repo_id}: there is no such {repo_type} on the Hub, or this token may not see it")
    return head


def make_plan(api: HfApi, folder: Path, target: Target) -> Plan:
    """Compare the folder with what is published; nothing is sent."""
    head, remote = _remote_files(api, target)
    changes = []
    for path in local_files(folder):
        size = (folder / path).stat().st_size
        is_same = path in remote and _has_content(folder / path, remote[path])
        changes.append(Change(path, "unchanged" if is_same else "changed" if path in remote else "new", size))
    local = {change.path for change in changes}
    stale = [path for path in remote if path not in local and any(fnmatch(path, ours) for ours in target.ours)]
    changes += [Change(path, "removed", remote[path].size) for path in stale]
    published = _read_remote_card(api, target, head) if CARD in remote else ""
    return Plan(changes, _diff(published, (folder / CARD).read_text(encoding="utf-8")), head)


def _plan_for_show(api: HfApi, folder: Path, target: Target) -> Plan:
    """The plan, or without the Hub what there is to send; nobody waits for a network that is not there."""
    try:
        return _retried(lambda: make_plan(api, folder, target), is_patient=False)
    except (HTTPError, OfflineModeIsEnabled) as error:
        if isinstance(error, HfHubHTTPError):
            raise
        changes = [Change(path, "new", (folder / path).stat().st_size) for path in local_files(folder)]
        return Plan(changes, (folder / CARD).read_text(encoding="utf-8"), None, is_compared=False)


def local_files(folder: Path) -> list[str]:
    """Paths of all files in the folder, relative, with forward slashes, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class _Upload:
    """One publication, tried again until it is complete: each try compares anew and sends what is still missing."""

    def __init__(self, api: HfApi, folder: Path, target: Target):
        self.api, self.folder, self.target = api, folder, target
        self.old_pull_requests = self._pull_requests() if target.create_pr else set()

    def run(self) -> str:
        return _retried(self._try)

    def _try(self) -> str:
        for ref in self._pull_requests() - self.old_pull_requests if self.target.create_pr else ():
            # The answer to an earlier try was lost, but not what it did.
            if not self._plan(ref).todo:
                return self._url() + f"/discussions/{ref.rpartition('/')[2]}"
        plan = self._plan(self.target.revision)
        if not plan.todo:
            return f"{self._url()}/tree/{self.target.revision}"
        operations = [
            CommitOperationDelete(change.path)
            if change.kind == "removed"
            else CommitOperationAdd(change.path, str(self.folder / change.path))
            for change in plan.todo
        ]
        info = self.api.create_commit(
            self.target.repo_id,
            operations,
            commit_message=f"Publish {self.target.repo_type}",
            repo_type=self.target.repo_type,
            revision=self.target.revision,
            create_pr=self.target.create_pr,
            parent_commit=plan.head,
        )
        return info.pr_url or info.commit_url

    def _plan(self, revision: str) -> Plan:
        target = self.target
        return make_plan(self.api, self.folder, Target(target.repo_id, target.repo_type, revision, ours=target.ours))

    def _pull_requests(self) -> set[str]:
        refs = self.api.list_repo_refs(
            self.target.repo_id, repo_type=self.target.repo_type, include_pull_requests=True
        )
        return {ref.ref for ref in refs.pull_requests or []}

    def _url(self) -> str:
        prefix = "" if self.target.repo_type == "model" else f"{self.target.repo_type}s/"
        return f"{self.api.endpoint}/{prefix}{self.target.repo_id}"


def _check_access(api: HfApi, target: Target) -> None:
    """Token, its right to write there, and that no repository of another type has this name."""
    if get_token() is None:
        raise PublishError("no token: log in with `hf auth login`, or set HF_TOKEN to a token that may write")
    me = _retried(api.whoami)
    role = me.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise PublishError(f"no write access: the token of {me['name']} has role 'read'; allowed: one that may write")
    namespace = target.repo_id.split("/")[0]
    allowed = [me["name"]] + [org["name"] for org in me.get("orgs", [])]
    if namespace not in allowed:
        raise PublishError(f"no write access to {namespace}: this token writes to {', '.join(allowed)}")
    for other in {"model", "dataset", "space"} - {target.repo_type}:
        if _retried(partial(api.repo_exists, target.repo_id, repo_type=other)):
            raise PublishError(
                f"{target.repo_id} is a {other} already; allowed: another name for the {target.repo_type}"
            )


def _validate_card(api: HfApi, folder: Path, target: Target) -> None:
    """Let the Hub judge the card before anything is sent."""
    # RepoCard.validate of huggingface_hub 1 sends the card to huggingface.co, whatever the endpoint.
    body = {"repoType": target.repo_type, "content": str(RepoCard((folder / CARD).read_text(encoding="utf-8")))}
    answer = get_session().post(f"{api.endpoint}/api/validate-yaml", json=body, headers={"Accept": "text/plain"})
    if answer.status_code == 400:
        raise ValueError(f"the Hub refuses the card: {' '.join(answer.text.split())}")
    hf_raise_for_status(answer)


def _prepare_repository(api: HfApi, folder: Path, target: Target) -> None:
    """Make the repository and branch where they are missing; set who may read before anything is there to read."""
    sdk = RepoCard((folder / CARD).read_text(encoding="utf-8")).data.get("sdk")
    api.create_repo(target.repo_id, repo_type=target.repo_type, private=target.private, exist_ok=True, space_sdk=sdk)
    if target.private and not api.repo_info(target.repo_id, repo_type=target.repo_type).private:
        raise PublishError(
            f"{target.repo_id} is public; allowed with `private`: another name, or this one made private first"
        )
    if target.gated:
        api.update_repo_settings(target.repo_id, gated=target.gated, repo_type=target.repo_type)
    if target.revision != "main":
        api.create_branch(target.repo_id, branch=target.revision, repo_type=target.repo_type, exist_ok=True)


def _remote_files(api: HfApi, target: Target) -> tuple[str | None, dict[str, RepoFile]]:
    """The head commit of the target's revision and its files by path; (None, {}) where there is none."""
    try:
        head = api.repo_info(target.repo_id, repo_type=target.repo_type, revision=target.revision).sha
        tree = api.list_repo_tree(target.repo_id, recursive=True, repo_type=target.repo_type, revision=head)
        return head, {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return None, {}
    except EntryNotFoundError:  # the tree of a repository without a file
        return head, {}


def _has_content(path: Path, remote: RepoFile) -> bool:
    """Whether the local file is what the Hub has, told by its sha256 (large files) or git's blob id."""
    size = path.stat().st_size
    if size != remote.size:
        return False
    digest = hashlib.sha256() if remote.lfs else hashlib.sha1(b"blob %d\0" % size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == (remote.lfs.sha256 if remote.lfs else remote.blob_id)


def _read_remote_card(api: HfApi, target: Target, head: str | None) -> str:
    path = api.hf_hub_download(target.repo_id, CARD, repo_type=target.repo_type, revision=head)
    return Path(path).read_text(encoding="utf-8")


def _diff(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "published", "new", lineterm="")
    return "\n".join(lines)


def _retried(action: Callable[[], Result], is_patient: bool = True) -> Result:
    """The result of `action`, tried again, with growing pauses, while the Hub is busy or failing.

    Also while it is out of reach, where `is_patient`.
    """
    for attempt in range(1, NUM_TRIES + 1):
        try:
            return action()
        except (HTTPError, RuntimeError) as error:
            is_there = isinstance(_hub_error(error), HfHubHTTPError)
            if attempt == NUM_TRIES or not _is_transient(_hub_error(error)) or not (is_there or is_patient):
                raise
            time.sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
    raise AssertionError("unreachable")


def _hub_error(error: Exception) -> HTTPError:
    """The Hub's part in an error: `huggingface_hub` wraps what goes wrong in an upload thread in a RuntimeError."""
    if isinstance(error, HTTPError):
        return error
    if isinstance(error.__cause__, HTTPError):
        return error.__cause__
    raise error


def _is_transient(error: HTTPError) -> bool:
    """Whether waiting can help: the Hub's status says so, or there was no answer at all."""
    return not isinstance(error, HfHubHTTPError) or error.response.status_code in TRANSIENT_STATUSES


def _in_one_line(error: HTTPError, target: Target) -> str:
    """What went wrong with the Hub, for the user."""
    if not isinstance(error, HfHubHTTPError):
        return f"the Hub cannot be reached ({type(error).__name__}: {error}); run the command again to go on"
    status = error.response.status_code
    said = (error.server_message or "").splitlines()
    answer = f"the Hub answered {status}{f' ({said[0]})' if said else ''}"
    if status == 401:
        return f"{answer}: it does not accept this token for {target.repo_id}; log in again with `hf auth login`"
    if status == 403:
        return f"{answer}: no write access to {target.repo_id}"
    if status == 412:
        return f"{answer}: {target.repo_id} has changed meanwhile; look at it and run the command again"
    if status in TRANSIENT_STATUSES:
        return f"{answer} {NUM_TRIES} times; {target.revision} is as it was; run the command again to go on"
    return answer

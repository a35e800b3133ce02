"""The stand-in answers the real clients as the Hub does: round trips, errors by their class, faults on demand."""

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_cards.server import LoopbackHub


@pytest.fixture
def api(logged_in: LoopbackHub) -> HfApi:
    api = HfApi()
    api.create_repo("user/name", repo_type="dataset")
    return api


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def commit(api: HfApi, *operations: object, **options: object) -> str:
    return api.create_commit("user/name", operations, commit_message="Change", repo_type="dataset", **options).oid


def test_files_come_back_small_and_large(api: HfApi, hub: LoopbackHub, tmp_path: Path) -> None:
    commit(api, add("README.md", b"---\nlicense: mit\n---\n"), add("data/a.parquet", b"PAR1" * 10))
    path = api.hf_hub_download("user/name", "data/a.parquet", repo_type="dataset", cache_dir=tmp_path)
    assert Path(path).read_bytes() == b"PAR1" * 10
    assert sorted(api.list_repo_files("user/name", repo_type="dataset")) == ["README.md", "data/a.parquet"]
    assert [len(hub.uploaded()), hub.repo("dataset", "user/name").titles()] == [1, ["Change"]]
    sizes = {file.path: file.size for file in api.get_paths_info("user/name", ["README.md"], repo_type="dataset")}
    assert sizes == {"README.md": 21}


def test_an_unchanged_file_is_neither_sent_nor_committed(api: HfApi, hub: LoopbackHub) -> None:
    first = commit(api, add("a.parquet", b"1"), add("b.txt", b"2"))
    assert commit(api, add("a.parquet", b"1"), add("b.txt", b"2")) == first
    assert len(hub.uploaded()) == 1


def test_folders_are_listed_once_and_deleted_whole(api: HfApi, hub: LoopbackHub) -> None:
    commit(api, add("data/x/a.txt", b"1"), add("data/b.txt", b"2"), add("c.txt", b"3"))
    listed = [entry.path for entry in api.list_repo_tree("user/name", "data", repo_type="dataset")]
    assert sorted(listed) == ["data/b.txt", "data/x"]
    commit(api, CommitOperationDelete("data/", is_folder=True))
    assert list(hub.repo("dataset", "user/name").files()) == ["c.txt"]


def test_branches_tags_and_pull_requests(api: HfApi, hub: LoopbackHub) -> None:
    main = commit(api, add("a.txt", b"1"))
    api.create_branch("user/name", branch="v2", repo_type="dataset")
    api.create_tag("user/name", tag="v1", repo_type="dataset")
    commit(api, add("a.txt", b"2"), revision="v2")
    info = api.create_commit(
        "user/name", [add("a.txt", b"3")], commit_message="Ask", repo_type="dataset", create_pr=True
    )
    assert info.pr_num == 1
    repository = hub.repo("dataset", "user/name")
    assert [repository.files(revision)["a.txt"] for revision in ("main", "v1", "v2", "refs/pr/1")] == [
        b"1",
        b"1",
        b"2",
        b"3",
    ]
    refs = api.list_repo_refs("user/name", repo_type="dataset", include_pull_requests=True)
    assert {ref.name: ref.target_commit for ref in refs.branches}["main"] == main
    assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1"]


def test_a_commit_on_another_parent_is_refused(api: HfApi) -> None:
    first = commit(api, add("a.txt", b"1"))
    commit(api, add("a.txt", b"2"))
    with pytest.raises(HfHubHTTPError) as error:
        commit(api, add("a.txt", b"3"), parent_commit=first)
    assert error.value.response.status_code == 412


def test_missing_things_raise_the_clients_own_errors(api: HfApi, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info("user/nothing")
    with pytest.raises(RevisionNotFoundError):
        api.repo_info("user/name", repo_type="dataset", revision="nothing")
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("user/name", "nothing.txt", repo_type="dataset", cache_dir=tmp_path)


def test_private_and_read_only(hub: LoopbackHub) -> None:
    HfApi(endpoint=hub.url, token=hub.token).create_repo("user/secret", private=True)
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=hub.url, token=False).repo_info("user/secret")
    hub.role = "read"
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(endpoint=hub.url, token=hub.token).create_repo("user/other")


def test_faults_hit_as_often_as_asked(api: HfApi, hub: LoopbackHub) -> None:
    hub.fail("POST", "/commit/", 500)
    hub.fail("POST", "/commit/", "cut after")
    with pytest.raises(HfHubHTTPError, match="500"):
        commit(api, add("a.txt", b"1"))
    assert hub.repo("dataset", "user/name").files() == {}
    with pytest.raises(Exception, match="disconnected"):
        commit(api, add("a.txt", b"1"))
    assert hub.repo("dataset", "user/name").files() == {"a.txt": b"1"}
    commit(api, add("a.txt", b"2"))


def test_ranges(api: HfApi, hub: LoopbackHub) -> None:
    commit(api, add("a.parquet", b"0123456789"))
    from huggingface_hub import HfFileSystem

    with HfFileSystem(endpoint=hub.url, token=hub.token).open("datasets/user/name/a.parquet", "rb") as file:
        file.seek(4)
        assert file.read(3) == b"456"

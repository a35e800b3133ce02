"""Publishing against the loopback Hub: one commit, only what changed, retries, and one line for every refusal."""

from pathlib import Path

import pytest

from hub_cards import publish
from hub_cards.model import OURS, stage_model
from hub_cards.publish import Plan, PublishError, Target, find_revision, publish_folder
from hub_cards.results import read_results
from tests.hub_cards.samples import make_model_folder, write_json
from tests.hub_cards.server import LoopbackHub

TARGET = Target("user/name", "model", ours=OURS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_model(make_model_folder(tmp_path / "run"), staged, repo_id="user/name")
    return staged


def kinds(plan: Plan) -> dict[str, str]:
    return {change.path: change.kind for change in plan.changes}


def local(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in publish.local_files(folder)}


def test_everything_goes_up_in_one_commit(folder: Path, logged_in: LoopbackHub) -> None:
    url = publish_folder(folder, TARGET)
    repository = logged_in.repo("model", "user/name")
    assert repository.titles() == ["Publish model"]
    assert repository.files() == local(folder)
    assert url == f"{logged_in.url}/user/name/commit/{repository.resolve('main').oid}"
    assert not repository.private


def test_again_only_what_changed_is_sent(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, TARGET)
    num_requests = len(logged_in.requests)
    assert publish_folder(folder, TARGET) == f"{logged_in.url}/user/name/tree/main"
    assert all("/commit/" not in request.path for request in logged_in.requests[num_requests:])

    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card + "\nA line more.\n")
    (folder / "loss.png").unlink()
    (folder / "README.md").write_text(
        (folder / "README.md").read_text().replace("![Loss during training](loss.png)", "")
    )
    plans: list[Plan] = []
    publish_folder(folder, TARGET, confirm=lambda plan: not plans.append(plan))
    assert {path: kind for path, kind in kinds(plans[0]).items() if kind != "unchanged"} == {
        "README.md": "changed",
        "loss.png": "removed",
    }
    assert "+A line more." in plans[0].card_diff
    repository = logged_in.repo("model", "user/name")
    assert repository.titles() == ["Publish model", "Publish model"]
    assert repository.files() == local(folder)
    assert len([path for path in logged_in.uploaded() if path.startswith("/lfs/")]) == 2, (
        "weights and figure, once each"
    )


def test_files_of_others_stay(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, TARGET)
    operation = {"key": "file", "value": {"path": "notes.md", "content": "bXk=", "encoding": "base64"}}
    logged_in.repo("model", "user/name").commit("main", [{"value": {"summary": "Mine"}}, operation], {})
    publish_folder(folder, TARGET)
    assert "notes.md" in logged_in.repo("model", "user/name").files()


def test_a_dry_run_sends_nothing(folder: Path, logged_in: LoopbackHub) -> None:
    plans: list[Plan] = []
    assert publish_folder(folder, TARGET, dry_run=True, confirm=lambda plan: not plans.append(plan)) is None
    assert set(kinds(plans[0]).values()) == {"new"}
    assert plans[0].head is None
    assert "+# user/name" in plans[0].card_diff
    assert {request.method for request in logged_in.requests} == {"GET"}
    assert not logged_in.has("model", "user/name")


def test_a_dry_run_asks_again_too(folder: Path, logged_in: LoopbackHub) -> None:
    logged_in.fail("GET", "/revision/main", 500, times=2)
    plans: list[Plan] = []
    publish_folder(folder, TARGET, dry_run=True, confirm=lambda plan: not plans.append(plan))
    assert len(plans) == 1


def test_no_is_an_answer(folder: Path, logged_in: LoopbackHub) -> None:
    assert publish_folder(folder, TARGET, confirm=lambda plan: False) is None
    assert not logged_in.has("model", "user/name")


def test_private_and_gated(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, Target("user/name", "model", private=True, gated="manual"))
    assert logged_in.repo("model", "user/name").private
    assert logged_in.repo("model", "user/name").gated == "manual"
    asked = [request.path for request in logged_in.requests if request.method in {"PUT", "POST"}]
    assert asked.index("/api/models/user/name/settings") < asked.index("/api/models/user/name/commit/main")


def test_private_does_not_go_to_a_public_repository(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, TARGET)
    with pytest.raises(PublishError, match="is public; allowed with `private`: "):
        publish_folder(folder, Target("user/name", "model", private=True))


def test_a_branch_of_its_own(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, Target("user/name", "model", revision="v2"))
    repository = logged_in.repo("model", "user/name")
    assert repository.files("v2") == local(folder)
    assert repository.files("main") == {}


def test_a_pull_request(folder: Path, logged_in: LoopbackHub) -> None:
    target = Target("user/name", "model", create_pr=True)
    assert publish_folder(folder, target) == f"{logged_in.url}/user/name/discussions/1"
    repository = logged_in.repo("model", "user/name")
    assert repository.files("refs/pr/1") == local(folder)
    assert repository.files("main") == {}


def test_a_pull_request_to_a_branch_that_is_not_there_yet(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, Target("user/name", "model", revision="v2", create_pr=True))
    repository = logged_in.repo("model", "user/name")
    assert repository.files("refs/pr/1") == local(folder)
    assert repository.files("v2") == {}


@pytest.mark.parametrize("outcome", [429, 500, 503, "cut"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/revision/main"),
        ("GET", "/whoami"),
        ("POST", "/validate-yaml"),
        ("POST", "/repos/create"),
        ("POST", "/preupload/"),
        ("POST", "/lfs/objects/batch"),
        ("PUT", "/lfs/"),
        ("POST", "/commit/"),
    ],
)
def test_a_hub_that_fails_twice_is_asked_again(
    method: str, path: str, outcome: int | str, folder: Path, logged_in: LoopbackHub
) -> None:
    logged_in.fail(method, path, outcome, times=2)
    publish_folder(folder, TARGET)
    assert logged_in.repo("model", "user/name").files() == local(folder)
    assert logged_in.repo("model", "user/name").titles() == ["Publish model"]


@pytest.mark.parametrize("create_pr", [False, True])
def test_a_commit_whose_answer_is_lost_is_not_made_twice(
    create_pr: bool, folder: Path, logged_in: LoopbackHub
) -> None:
    logged_in.fail("POST", "/commit/", "cut after")
    url = publish_folder(folder, Target("user/name", "model", create_pr=create_pr))
    repository = logged_in.repo("model", "user/name")
    assert repository.titles("refs/pr/1" if create_pr else "main") == ["Publish model"]
    assert repository.num_prs == int(create_pr)
    assert url.endswith("/discussions/1" if create_pr else "/tree/main")


def test_a_hub_that_keeps_failing_leaves_main_as_it_was(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, TARGET)
    before = logged_in.repo("model", "user/name").files()
    write_json(folder / "config.json", {"model_type": "chatglm", "num_layers": 2})
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(b"other weights")
    logged_in.fail("POST", "/commit/", 500, times=100)
    with pytest.raises(PublishError, match=r"answered 500 \(injected 500\) 6 times; main is as it was") as error:
        publish_folder(folder, TARGET)
    assert "\n" not in str(error.value)
    assert logged_in.repo("model", "user/name").files() == before
    sent = len(logged_in.uploaded())
    logged_in.recover()
    publish_folder(folder, TARGET)
    assert logged_in.repo("model", "user/name").files() == local(folder)
    assert len(logged_in.uploaded()) == sent, "weights that had arrived are not sent again"


def test_somebody_elses_commit_in_between_is_told(
    folder: Path, logged_in: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_folder(folder, TARGET)
    write_json(folder / "config.json", {"model_type": "chatglm", "num_layers": 3})
    plan = publish.make_plan

    def plan_then_somebody_commits(*arguments: object) -> Plan:
        made = plan(*arguments)
        logged_in.repo("model", "user/name").commit("main", [{"value": {"summary": "Theirs"}}], {})
        return made

    monkeypatch.setattr(publish, "make_plan", plan_then_somebody_commits)
    with pytest.raises(PublishError, match="has changed meanwhile"):
        publish_folder(folder, TARGET)


class TestRefusals:
    """One line, and nothing uploaded."""

    @pytest.fixture(autouse=True)
    def _nothing_was_made(self, logged_in: LoopbackHub) -> object:
        yield
        assert logged_in.uploaded() == []
        assert not logged_in.has("model", "user/name")

    def refusal(self, folder: Path, target: Target = TARGET) -> str:
        with pytest.raises((PublishError, ValueError)) as error:
            publish_folder(folder, target)
        assert "\n" not in str(error.value)
        assert "hf_" not in str(error.value).replace("hf_hub", "")
        return str(error.value)

    def test_no_token(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setattr(publish, "get_token", lambda: None)
        assert self.refusal(folder).startswith("no token: log in with `hf auth login`, or set HF_TOKEN")

    def test_a_token_that_is_not_known(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_somethingElseAltogether")
        assert "answered 401" in self.refusal(folder)

    def test_a_token_that_may_only_read(self, folder: Path, logged_in: LoopbackHub) -> None:
        logged_in.role = "read"
        assert self.refusal(folder) == (
            "no write access: the token of user has role 'read'; allowed: one that may write"
        )

    def test_the_name_space_of_others(self, folder: Path) -> None:
        found = self.refusal(folder, Target("somebody/name", "model"))
        assert found == "no write access to somebody: this token writes to user"

    def test_a_name_that_is_a_data_set(self, folder: Path, logged_in: LoopbackHub) -> None:
        publish.HfApi().create_repo("user/taken", repo_type="dataset")
        found = self.refusal(folder, Target("user/taken", "model"))
        assert found == "user/taken is a dataset already; allowed: another name for the model"

    @pytest.mark.parametrize("repo_id", ["name", "a/b/c", "user/na me", "user/-name", "user/" + "n" * 97, ""])
    def test_an_id_that_is_none(self, repo_id: str, folder: Path, logged_in: LoopbackHub) -> None:
        assert self.refusal(folder, Target(repo_id, "model"))
        assert logged_in.requests == []

    def test_a_card_with_faults(self, folder: Path, logged_in: LoopbackHub) -> None:
        card = folder / "README.md"
        card.write_text(card.read_text().replace("license: apache-2.0", "license: free") + "\nTODO\n")
        found = self.refusal(folder)
        assert found.startswith("the card is not ready: README.md:1: license is 'free'; allowed: afl-3.0, ")
        assert found.endswith("(and 1 more)")
        assert logged_in.requests == []

    def test_a_card_that_the_hub_refuses(self, folder: Path, logged_in: LoopbackHub) -> None:
        logged_in.fail("POST", "/validate-yaml", 400)
        assert "injected 400" in self.refusal(folder)

    def test_a_hub_out_of_reach(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        assert "the Hub cannot be reached" in self.refusal(folder)


def test_the_revision_of_what_is_published(folder: Path, logged_in: LoopbackHub) -> None:
    publish_folder(folder, TARGET)
    assert find_revision("user/name", "model") == logged_in.repo("model", "user/name").resolve("main").oid
    with pytest.raises(PublishError, match="there is no such dataset"):
        find_revision("user/name", "dataset")


def test_the_token_goes_to_the_hub_alone(
    folder: Path, logged_in: LoopbackHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    publish_folder(folder, TARGET)
    assert logged_in.token not in caplog.text
    assert all(logged_in.token.encode() not in content for content in local(folder).values())
    sent_with = {request.path.split("/")[1]: request.authorization for request in logged_in.requests}
    assert sent_with["lfs"] is None, "the storage gets signed addresses, not the token"


def test_results_of_the_run_stay_as_they_were(folder: Path, logged_in: LoopbackHub, tmp_path: Path) -> None:
    publish_folder(folder, TARGET)
    run, staged = (read_results(place / "results.json") for place in (tmp_path / "run", folder))
    assert run.training.arguments.items() >= staged.training.arguments.items()
    assert "output_dir" in run.training.arguments, "that is of the machine, and not published"
    assert "output_dir" not in staged.training.arguments
    assert run.model_dump(exclude={"training"}) == staged.model_dump(exclude={"training"})
    assert staged.systems[0].metrics["bleu-1"] == 12.5

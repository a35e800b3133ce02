"""`report_to`: the losses arrive in tensorboard, wandb (offline) and trackio, and no token does."""

from pathlib import Path

import pytest

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.training.trainer import SoulChatTrainer
from tests.soulchat_trainer.training.test_trainer import losses, make_trainer

SECRET = "hf_thisIsNotForAnyLog"


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user who is logged in has in the environment."""
    for name in ("HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, SECRET)


def train(tokenizer: ChatGLMTokenizer, folder: Path, report_to: str) -> SoulChatTrainer:
    """Three steps with a log of each."""
    trainer = make_trainer(tokenizer, folder / "run", report_to=report_to, max_steps=3, run_name="three")
    trainer.train()
    return trainer


def assert_no_token(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_tensorboard(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = train(chatglm_tokenizer, tmp_path, "tensorboard")
    events = reader.EventAccumulator(str(tmp_path / "events")).Reload()
    found = {event.step: event.value for event in events.Scalars("train/loss")}
    assert found == pytest.approx(losses(trainer), rel=1e-6)
    assert {"train/learning_rate", "train/tokens_per_second", "train/samples"} <= set(events.Tags()["scalars"])
    assert_no_token(tmp_path)


def test_wandb(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network: `WANDB_MODE=offline` writes a file that `wandb sync` sends later."""
    wandb = pytest.importorskip("wandb")
    for name, value in (("WANDB_MODE", "offline"), ("WANDB_DIR", str(tmp_path)), ("WANDB_SILENT", "true")):
        monkeypatch.setenv(name, value)
    trainer = train(chatglm_tokenizer, tmp_path, "wandb")
    run = wandb.run
    summary = dict(run.summary)
    wandb.finish()
    assert run.offline
    assert summary["train/loss"] == pytest.approx(losses(trainer)[3])
    assert summary["train/global_step"] == 3
    assert list(tmp_path.rglob("*.wandb"))
    assert_no_token(tmp_path)


def test_trackio(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """Without network: into a database under HF_HOME, which `trackio show` reads."""
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    trainer = train(chatglm_tokenizer, tmp_path, "trackio")
    rows = storage.get_logs("huggingface", "three")
    found = {row["train/global_step"]: row["train/loss"] for row in rows if "train/loss" in row}
    assert found == pytest.approx(losses(trainer))
    assert_no_token(storage.get_project_db_path("huggingface").parent)

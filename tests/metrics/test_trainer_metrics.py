"""The metric in transformers' and TRL's trainers, with a model of a few thousand weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import (
    EvalPrediction,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
)

from soulchat_metrics import ComputeMetrics, likeliest_tokens, score
from soulchat_metrics.trainer_metrics import without_thinking

CHARACTERS = "你好我在听很难过吗"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<pad>": 0, "</s>": 1, "<think>": 2, "</think>": 3}
    words |= {character: number for number, character in enumerate(CHARACTERS, start=len(words))}
    model = Tokenizer(WordLevel(words, unk_token="<pad>"))
    model.pre_tokenizer = Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>", eos_token="</s>", padding_side="left")
    fast.add_tokens(["<think>", "</think>"])
    return fast


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=64,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def ids(tokenizer: PreTrainedTokenizerFast, texts: list[str], length: int) -> np.ndarray:
    rows = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in texts]
    return np.array([row + [-100] * (length - len(row)) for row in rows])


def text_of(tokenizer: PreTrainedTokenizerFast, row: list[int]) -> str:
    return tokenizer.decode([number for number in row if number != -100], skip_special_tokens=True)


def test_ids_with_padding_become_the_scores_of_their_texts(tokenizer):
    predictions, references = ["你好", "我很难过"], ["你好吗", "我在听"]
    given = EvalPrediction(ids(tokenizer, predictions, 8), ids(tokenizer, references, 6))
    decoded = [[text_of(tokenizer, row.tolist()) for row in side] for side in (given.predictions, given.label_ids)]
    found = ComputeMetrics(tokenizer, "llamafactory")(given)
    expected = score(*decoded, "llamafactory")
    assert found["bleu-4"] == expected["bleu-4"] > 0
    assert found == {name: expected[name] for name in found}
    assert all(isinstance(value, float | int) for value in found.values())


def test_batches_give_what_all_at_once_gives(tokenizer):
    predictions, references = ids(tokenizer, ["你好", "我很难过"], 8), ids(tokenizer, ["你好吗", "我在听"], 6)
    whole = ComputeMetrics(tokenizer)(EvalPrediction(predictions, references))
    batched = ComputeMetrics(tokenizer)
    for _ in range(2):  # a second evaluation begins with nothing
        assert batched(EvalPrediction(predictions[:1], references[:1]), compute_result=False) == {}
        assert batched(EvalPrediction(predictions[1:], references[1:]), compute_result=True) == whole


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("你好", "你好"),
        ("<think>\n他很难过\n</think>\n\n我在听", "我在听"),
        ("他很难过</think>我在听", "我在听"),  # where the template has opened the thinking
        ("\n<think>没有说完", ""),
        ("我说 <think> 两个字", "我说 <think> 两个字"),
        ("<think>一</think>二</think> 三", "三"),
    ],
)
def test_what_is_thought_is_no_reply(text, reply):
    assert without_thinking(text) == reply


def test_thinking_is_left_out_of_predictions(tokenizer):
    given = EvalPrediction(ids(tokenizer, ["<think>我很难过</think>你好"], 12), ids(tokenizer, ["你好"], 3))
    assert ComputeMetrics(tokenizer)(given)["bleu-1"] == 100


def test_logits_are_refused_with_the_way_to_go():
    logits = np.zeros((2, 3, 5), dtype=np.float32)
    with pytest.raises(ValueError, match=r"float32 of shape \[2, 3, 5\]; allowed: token ids .*likeliest_tokens"):
        ComputeMetrics(None)(EvalPrediction((logits, logits), np.zeros((2, 3), dtype=int)))


def test_a_wrong_option_is_told_before_the_training(tokenizer):
    with pytest.raises(ValueError, match="preset is 'nonsense'; allowed: paper, ptuning"):
        ComputeMetrics(tokenizer, "nonsense")
    with pytest.raises(ValueError, match="confidence is 95; allowed: between 0 and 1"):
        ComputeMetrics(tokenizer, confidence=95)
    with pytest.raises(TypeError, match="unexpected keyword argument 'bleu_tokeniser'"):
        ComputeMetrics(tokenizer, bleu_tokeniser="char")


def test_likeliest_tokens_stand_where_their_labels_stand():
    logits = torch.zeros(1, 4, 5)
    for place, token in enumerate((3, 1, 4, 2)):
        logits[0, place, token] = 1
    labels = torch.tensor([[-100, 3, 1, -100]])
    assert likeliest_tokens((logits, logits), labels).tolist() == [[3, 1, -100]]


def test_seq2seq_trainer_with_a_causal_model(tokenizer, model, tmp_path: Path):
    """Its predictions begin with the prompts, which differ in length from batch to batch."""
    prompts, replies = ["你好", "我很难过", "在"], ["我在听", "你好吗", "听"]

    def collate(rows: list[dict[str, str]]) -> dict[str, torch.Tensor]:
        batch = tokenizer([row["prompt"] for row in rows], padding=True, return_tensors="pt", padding_side="left")
        labels = torch.tensor(ids(tokenizer, [row["reply"] for row in rows], 5))
        return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}

    arguments = Seq2SeqTrainingArguments(
        str(tmp_path),
        per_device_eval_batch_size=2,
        predict_with_generate=True,
        generation_max_length=12,
        include_for_metrics=["inputs"],
        remove_unused_columns=False,
        prediction_loss_only=False,
        report_to="none",
        use_cpu=True,
    )

    class WithoutLoss(Seq2SeqTrainer):  # labels shorter than the prompt have no loss
        def prediction_step(self, model, inputs, *rest, **kwargs):
            labels = inputs.pop("labels")
            _, generated, _ = super().prediction_step(model, inputs, *rest, **kwargs)
            return None, generated, labels

    seen: list[EvalPrediction] = []
    compute = ComputeMetrics(tokenizer)

    def remember(given: EvalPrediction) -> dict[str, float]:
        seen.append(given)
        return compute(given)

    rows = [{"prompt": prompt, "reply": reply} for prompt, reply in zip(prompts, replies, strict=True)]
    model.generation_config.suppress_tokens = [0, 1, 2, 3]  # it says something, and does not think
    trainer = WithoutLoss(
        model=model,
        args=arguments,
        data_collator=collate,
        eval_dataset=Dataset.from_list(rows),
        compute_metrics=remember,
        processing_class=tokenizer,
    )
    found = trainer.evaluate()
    [given] = seen
    whole = [text_of(tokenizer, row.tolist()) for row in given.predictions]
    heads = [text_of(tokenizer, tokenizer(prompt)["input_ids"]) for prompt in prompts]
    assert all(text.startswith(head) for text, head in zip(whole, heads, strict=True))
    decoded = [text_of(tokenizer, tokenizer(reply)["input_ids"]) for reply in replies]
    predictions = [text[len(head) :].lstrip() for text, head in zip(whole, heads, strict=True)]
    expected = score(predictions, decoded)
    assert found["eval_bleu-1"] > 0
    assert found["eval_rouge-l"] == pytest.approx(expected["rouge-l"], abs=1e-9)
    assert found["eval_bleu-1"] == pytest.approx(expected["bleu-1"], abs=1e-9)


@pytest.mark.filterwarnings("default::FutureWarning")  # trl itself uses names that transformers is about to drop
def test_trl_with_likeliest_tokens(tokenizer, model, tmp_path: Path):
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    rows = Dataset.from_list([{"prompt": "你好", "completion": "我在听"}, {"prompt": "在吗", "completion": "你好吗"}])
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(str(tmp_path), report_to="none", use_cpu=True, bf16=False, per_device_eval_batch_size=1),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        compute_metrics=ComputeMetrics(tokenizer),
        preprocess_logits_for_metrics=likeliest_tokens,
    )
    found = trainer.evaluate()
    assert 0 <= found["eval_bleu-4"] <= found["eval_bleu-1"] <= 100
    assert found["eval_mean_reference_length"] > 0

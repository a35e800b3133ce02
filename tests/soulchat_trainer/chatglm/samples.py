"""Small ChatGLM models, rows for them, and the vectors of the original code."""

import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file

import soulchat_trainer  # noqa: F401  (registers ChatGLM)
from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from tests.paths import FIXTURES, SHARED

GOLDEN_WHOLE = SHARED / "golden"  # the whole vectors, where they lie beside the repository
GOLDEN = GOLDEN_WHOLE / "chatglm" if (GOLDEN_WHOLE / "chatglm").is_dir() else FIXTURES / "chatglm"
ICE_TEXT_MODEL = Path(os.environ.get("SOULCHAT_ICE_TEXT_MODEL", GOLDEN_WHOLE / "chatglm_tokenizer" / "ice_text.model"))
SMALL = {
    "vocab_size": 120,
    "hidden_size": 32,
    "inner_hidden_size": 64,
    "num_layers": 2,
    "num_attention_heads": 4,
    "max_sequence_length": 64,
    "bos_token_id": 104,
    "eos_token_id": 105,
    "mask_token_id": 100,
    "gmask_token_id": 101,
    "pad_token_id": 3,
}


def small_model(seed: int = 0, **settings) -> ChatGLMForConditionalGeneration:
    """A random model in eval mode; weights wide enough that its logits are not all alike."""
    torch.manual_seed(seed)
    return ChatGLMForConditionalGeneration(ChatGLMConfig(**(SMALL | {"initializer_range": 0.2} | settings))).eval()


def row(context: int, target: int = 0, seed: int = 0) -> list[int]:
    """Ids of a context of so many tokens, [gMASK], <sop>, and a target of so many tokens."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(6, 100, (context + target,), generator=generator).tolist()
    return [*words[:context], 101, 104, *words[context:]]


def batch(rows: list[list[int]], side: str = "left") -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of rows padded on one side."""
    width = max(map(len, rows))
    pads = [[3] * (width - len(ids)) for ids in rows]
    join = (lambda pad, ids: pad + ids) if side == "left" else (lambda pad, ids: ids + pad)
    return {
        "input_ids": torch.tensor([join(pad, ids) for pad, ids in zip(pads, rows, strict=True)]),
        "attention_mask": torch.tensor(
            [join([0] * len(pad), [1] * len(ids)) for pad, ids in zip(pads, rows, strict=True)]
        ),
    }


def labels_of(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The ids from <sop> on; -100 on context, [gMASK] and padding."""
    started = (inputs["input_ids"] == 104).cumsum(1) > 0
    return inputs["input_ids"].masked_fill(~started | (inputs["attention_mask"] == 0), -100)


def golden_cases() -> list[tuple[str, str]]:
    """Every (folder, case) of the vectors."""
    folders = ["tiny3", "deep28", "tied3", "ptuning_embedding", "ptuning_projection"]
    return [
        (folder, case)
        for folder in folders
        for case in json.loads((GOLDEN / folder / "cases.json").read_text(encoding="utf-8"))["cases"]
        if case != "rotary"
    ]


def golden_tensors(folder: str, case: str) -> dict[str, torch.Tensor]:
    """The tensors of one case by their short names."""
    tensors = load_file(GOLDEN / folder / "cases.safetensors")
    return {name.split("/", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith(f"{case}/")}


TALK = [
    "我最近压力很大，晚上睡不着，怎么办呢？",
    "听起来你最近真的很辛苦！能和我说说，是什么让你感到压力吗？",
    "工作上的事情太多，领导总是批评我；我觉得自己什么都做不好……",
    "我理解你的感受。被批评的时候，我们很容易怀疑自己（这是正常的），但这并不代表你不够好。",
    "谢谢你，我会试一试：先把事情写下来，再一件一件地做。",
]


def load_config(folder: str) -> ChatGLMConfig:
    """The configuration of one of the models of the vectors."""
    return ChatGLMConfig.from_pretrained(GOLDEN / folder)

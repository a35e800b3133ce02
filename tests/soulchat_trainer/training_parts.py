"""Small real parts for the training tests: tokenizers, models, conversations."""

import random
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration, ChatGLMTokenizer
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchat_trainer.training.models import new_config

# Qwen 2.5's, without tools: what stands before a reply never changes, and a reply ends in its end token.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Qwen 3's habit: the last reply carries an empty thought that earlier replies lose.
THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if loop.last and message['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Gemma's, which refuses a system text and speakers out of turn.
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
WORDS = [
    *"我你很，。？",
    "最近",
    "总是",
    "睡不着",
    "觉得",
    "难过",
    "工作",
    "压力",
    "父母",
    "理解",
    "支持",
    "可以",
    "慢慢",
]


def make_rows(number: int, rounds: int = 3, seed: int = 0) -> Dataset:
    """Conversations of random words, of unequal lengths."""
    draw = random.Random(seed)

    def text() -> str:
        return "".join(draw.choices(WORDS, k=draw.randint(3, 12)))

    def messages() -> list[dict[str, str]]:
        roles = ["user", "assistant"] * draw.randint(1, rounds)
        return [{"role": role, "content": text()} for role in roles]

    return Dataset.from_list([{"id": str(i), "messages": messages()} for i in range(number)])


def make_chatglm_tokenizer(folder: Path) -> ChatGLMTokenizer:
    """A small tokenizer in ChatGLM's layout, trained on 200 conversations."""
    rows = make_rows(200, seed=1)
    texts = ["\n".join(m["content"] for m in messages) + "用户：心理咨询师：" for messages in rows["messages"]]
    return train_tokenizer(texts, 420, folder)


def make_chatglm(tokenizer: ChatGLMTokenizer, **changes: int) -> ChatGLMForConditionalGeneration:
    """A ChatGLM of about 30,000 parameters, the same at every call."""
    set_seed(0)
    sizes = {"hidden_size": 32, "num_layers": 2, "num_attention_heads": 2, "inner_hidden_size": 64}
    config: ChatGLMConfig = new_config({**sizes, "max_sequence_length": 256, **changes}, tokenizer)
    return ChatGLMForConditionalGeneration(config)


def make_causal_tokenizer(
    chat_template: str = CHATML,
    control_tokens: Sequence[str] = (),
    marks: Sequence[str] = (),
    eos: str = "<|im_end|>",
    bos: str | None = None,
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a chat template, like Qwen's; `marks` are tokens that stay in a decoded text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", *(control_tokens or CHATML_TOKENS)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (m["content"] for messages in make_rows(200, seed=1)["messages"] for m in messages)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token=eos,
        bos_token=bos,
        extra_special_tokens=list(control_tokens),
        chat_template=chat_template,
    )


def make_causal_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """A Qwen 2 of about 50,000 parameters, the same at every call."""
    set_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen2ForCausalLM(config)

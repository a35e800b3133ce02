"""Short chat templates that behave as those of today's families do in talks without tools; written for these tests.

Each names where the behaviour was read. `soulchat_trainer/encoding/training_form.py` tells what is special about them.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from tests.soulchat_trainer.training_parts import CHATML_TOKENS, make_causal_tokenizer

EMPTY_THOUGHT = "<think>\\n\\n</think>\\n\\n"
LAST_USER = (
    "{%- set last = namespace(user=-1) -%}"
    "{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set last.user = loop.index0 -%}{%- endif -%}"
    "{%- endfor -%}"
)
QWEN_TURNS = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}{{ '\\n' }}"
    "{%- if m.role == 'assistant' and loop.index0 > last.user -%}{{ '" + EMPTY_THOUGHT + "' }}{%- endif -%}"
    "{{ m.content }}<|im_end|>{{ '\\n' }}{%- endfor -%}"
)


@dataclass(frozen=True)
class Family:
    """A family's template and tokens. `marks` are tokens of thoughts, which its tokenizer does not hide."""

    name: str
    template: str
    tokens: tuple[str, ...] = CHATML_TOKENS
    marks: tuple[str, ...] = ("<think>", "</think>")
    eos: str = "<|im_end|>"
    bos: str | None = None

    def make_tokenizer(self) -> PreTrainedTokenizerFast:
        return make_causal_tokenizer(self.template, self.tokens, self.marks, self.eos, self.bos)


def _qwen(name: str, start: str, turns: str, generation: str) -> Family:
    prompt = "{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\\n' }}" + generation + "{%- endif -%}"
    return Family(name, start + turns + prompt)


PLAIN_TURNS = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}{{ '\\n' + m.content }}<|im_end|>{{ '\\n' }}{%- endfor -%}"
)
DEEPSEEK_TOKENS = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
DEEPSEEK = (
    "<｜begin▁of▁sentence｜>{%- for m in messages -%}{%- if m.role == 'system' -%}{{ m.content }}"
    "{%- elif m.role == 'user' -%}<｜User｜>{{ m.content }}"
    "{%- else -%}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<｜Assistant｜>GENERATION{%- endif -%}"
)
ALTERNATE = (
    "{%- for m in messages -%}{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('roles must alternate') }}{%- endif -%}{%- endfor -%}"
)

FAMILIES = [
    # Hub Qwen/Qwen2.5-7B-Instruct, tokenizer_config.json: a system text of its own where none is given.
    _qwen(
        "qwen2.5",
        "{%- if messages[0].role != 'system' -%}<|im_start|>system{{ '\\n' }}You are Qwen.<|im_end|>{{ '\\n' }}"
        "{%- endif -%}",
        PLAIN_TURNS,
        "",
    ),
    # Hub Qwen/Qwen3-8B: an empty thought before the last reply only; in the prompt where it is asked not to think.
    _qwen(
        "qwen3",
        LAST_USER,
        QWEN_TURNS,
        "{%- if enable_thinking is defined and enable_thinking is false -%}{{ '" + EMPTY_THOUGHT + "' }}{%- endif -%}",
    ),
    # Hub Qwen/Qwen3-4B-Instruct-2507: no thoughts.
    _qwen("qwen3-instruct-2507", "", PLAIN_TURNS, ""),
    # Hub Qwen/Qwen3-4B-Thinking-2507: thinks always; cannot be asked not to.
    _qwen("qwen3-thinking-2507", LAST_USER, QWEN_TURNS, "{{ '<think>\\n' }}"),
    # Hub Qwen/Qwen3.5-9B, and its small sizes, which think only when asked (TRL's chat_templates has both).
    _qwen(
        "qwen3.5-think",
        LAST_USER,
        QWEN_TURNS,
        "{%- if enable_thinking is defined and enable_thinking is false -%}{{ '" + EMPTY_THOUGHT + "' }}"
        "{%- else -%}{{ '<think>\\n' }}{%- endif -%}",
    ),
    _qwen(
        "qwen3.5",
        LAST_USER,
        QWEN_TURNS,
        "{%- if enable_thinking is defined and enable_thinking is true -%}{{ '<think>\\n' }}"
        "{%- else -%}{{ '" + EMPTY_THOUGHT + "' }}{%- endif -%}",
    ),
    # Hub Qwen/Qwen3.6-27B: as Qwen3.5-think, with thoughts of the history where preserve_thinking asks for them.
    _qwen(
        "qwen3.6",
        LAST_USER,
        QWEN_TURNS.replace("loop.index0 > last.user", "(preserve_thinking or loop.index0 > last.user)"),
        "{%- if enable_thinking is defined and enable_thinking is false -%}{{ '" + EMPTY_THOUGHT + "' }}"
        "{%- else -%}{{ '<think>\\n' }}{%- endif -%}",
    ),
    # Hub THUDM/glm-4-9b-chat: the next speaker's mark ends a reply.
    Family(
        "glm-4",
        "[gMASK]<sop>{%- for m in messages -%}<|{{ m.role }}|>{{ '\\n' + m.content }}{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|assistant|>{{ '\\n' }}{%- endif -%}",
        ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"),
        (),
        "<|endoftext|>",
    ),
    # Hub zai-org/GLM-4.5-Air: /nothink behind the user's words, an empty thought before every reply.
    Family(
        "glm-4.5",
        "[gMASK]<sop>{%- for m in messages -%}"
        "{%- if m.role == 'user' -%}<|user|>{{ '\\n' + m.content }}"
        "{%- if enable_thinking is defined and not enable_thinking -%}/nothink{%- endif -%}"
        "{%- elif m.role == 'assistant' -%}<|assistant|>{{ '\\n<think></think>\\n' + m.content.strip() }}"
        "{%- else -%}<|system|>{{ '\\n' + m.content }}{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|assistant|>"
        "{%- if enable_thinking is defined and not enable_thinking -%}{{ '\\n<think></think>' }}{%- endif -%}"
        "{%- endif -%}",
        ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"),
        eos="<|endoftext|>",
    ),
    # Hub deepseek-ai/DeepSeek-V3 and DeepSeek-R1-Distill-Qwen-7B: thoughts of the history are left out; the prompt of
    # the second (and of later V3's) opens one.
    Family("deepseek-v3", DEEPSEEK.replace("GENERATION", ""), DEEPSEEK_TOKENS, eos=DEEPSEEK_TOKENS[1]),
    Family(
        "deepseek-r1-distill",
        DEEPSEEK.replace("GENERATION", "{{ '<think>\\n' }}"),
        DEEPSEEK_TOKENS,
        eos=DEEPSEEK_TOKENS[1],
    ),
    # Hub meta-llama/Llama-3.1-8B-Instruct: cuts white space off, and begins with the tokenizer's own token.
    Family(
        "llama-3",
        "{{ bos_token }}{%- for m in messages -%}<|start_header_id|>{{ m.role }}<|end_header_id|>"
        "{{ '\\n\\n' + m.content | trim }}<|eot_id|>{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|start_header_id|>assistant<|end_header_id|>{{ '\\n\\n' }}{%- endif -%}",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        (),
        "<|eot_id|>",
        "<|begin_of_text|>",
    ),
    # Hub google/gemma-3-4b-it: the counsellor is called model; a system text stands in the user's first words.
    Family(
        "gemma-3",
        "{%- if messages[0].role == 'system' -%}{%- set first = messages[0].content + '\\n\\n' -%}"
        "{%- set messages = messages[1:] -%}{%- else -%}{%- set first = '' -%}{%- endif -%}" + ALTERNATE + "<bos>"
        "{%- for m in messages -%}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}{{ '\\n' }}"
        "{%- if loop.first -%}{{ first }}{%- endif -%}{{ m.content | trim }}<end_of_turn>{{ '\\n' }}{%- endfor -%}"
        "{%- if add_generation_prompt -%}<start_of_turn>model{{ '\\n' }}{%- endif -%}",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        (),
        "<eos>",
    ),
    # Hub microsoft/Phi-3-mini-4k-instruct: another token than the tokenizer's end token ends a turn.
    Family(
        "phi-3",
        "{%- for m in messages -%}<|{{ m.role }}|>{{ '\\n' + m.content }}<|end|>{{ '\\n' }}{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|assistant|>{{ '\\n' }}{%- else -%}<|endoftext|>{%- endif -%}",
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        (),
        "<|endoftext|>",
    ),
    # Hub mistralai/Mistral-7B-Instruct-v0.3: speakers must alternate, a system text stands in the user's last words.
    Family(
        "mistral",
        "{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content + '\\n\\n' -%}"
        "{%- set messages = messages[1:] -%}{%- else -%}{%- set system = '' -%}{%- endif -%}" + ALTERNATE + "<s>"
        "{%- for m in messages -%}{%- if m.role == 'user' -%}[INST] "
        "{%- if loop.last or loop.index0 == messages | length - 2 -%}{{ system }}{%- endif -%}{{ m.content }}[/INST]"
        "{%- else -%}{{ ' ' + m.content | trim }}</s>{%- endif -%}{%- endfor -%}",
        ("<s>", "</s>", "[INST]", "[/INST]"),
        (),
        "</s>",
    ),
    # Hub openbmb/MiniCPM-2B-sft-bf16: no mark ends a reply.
    Family(
        "minicpm",
        "{%- for m in messages -%}{%- if m.role == 'user' -%}{{ '<用户>' + m.content.strip() + '<AI>' }}"
        "{%- else -%}{{ m.content.strip() }}{%- endif -%}{%- endfor -%}",
        ("<s>", "</s>"),
        (),
        "</s>",
    ),
    # Hub internlm/internlm2_5-7b-chat.
    Family(
        "internlm",
        "<s>" + PLAIN_TURNS + "{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\\n' }}{%- endif -%}",
        ("<s>", *CHATML_TOKENS),
        (),
    ),
    # Hub CohereForAI/c4ai-command-r7b-12-2024: asks for a reply at the end of every talk; marks around a reply's text.
    Family(
        "command-r7b",
        "<BOS_TOKEN>{%- for m in messages -%}<|START_OF_TURN_TOKEN|>"
        "{%- if m.role == 'assistant' -%}<|CHATBOT_TOKEN|><|START_RESPONSE|>{{ m.content }}<|END_RESPONSE|>"
        "{%- else -%}{{ '<|USER_TOKEN|>' if m.role == 'user' else '<|SYSTEM_TOKEN|>' }}{{ m.content }}{%- endif -%}"
        "<|END_OF_TURN_TOKEN|>{%- endfor -%}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"
        "{%- if not enable_thinking -%}<|START_THINKING|><|END_THINKING|>{%- endif -%}",
        (
            *(
                "<BOS_TOKEN>",
                "<|START_OF_TURN_TOKEN|>",
                "<|END_OF_TURN_TOKEN|>",
                "<|USER_TOKEN|>",
                "<|CHATBOT_TOKEN|>",
            ),
            *("<|SYSTEM_TOKEN|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_THINKING|>", "<|END_THINKING|>"),
        ),
        (),
        "<|END_OF_TURN_TOKEN|>",
    ),
    # Hub openai/gpt-oss-20b: channels; the last reply ends otherwise than the ones before it.
    Family(
        "gpt-oss",
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}<|start|>assistant<|channel|>final<|message|>"
        "{{ m.content }}"
        "{%- if loop.last and not add_generation_prompt -%}<|return|>{%- else -%}<|end|>{%- endif -%}"
        "{%- else -%}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}",
        ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"),
        (),
        "<|return|>",
    ),
]

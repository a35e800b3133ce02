"""Go on in TRL with a causal model that was trained here; TRL reads the corpus as it is.

    accelerate launch train.py causal --model_name_or_path Qwen/Qwen2.5-1.5B-Instruct
    python examples/continue_in_trl.py outputs/causal --output outputs/causal-trl

The config `conversations` has TRL's column `messages`: the talk is rendered by the model's chat template, and the loss
is on all of it (`assistant_only_loss` wants a template that marks the replies). The config `turns` has TRL's `prompt`
and `completion`: the text is the paper's, 用户：… and 心理咨询师：…, and the loss is on the completion only.

ChatGLM cannot go on like this; it needs SoulChatTrainer. Its tokenizer ends every text that it encodes in
`[gMASK] <sop>`, the marks between context and reply. TRL encodes prompt and reply as one text, so the marks come after
the reply instead of before it. And ChatGLM's context is bidirectional up to these marks: in one pass over a whole talk
every reply would see itself.
"""

import argparse

import torch
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

import soulchatcorpus  # noqa: F401  (makes its name known to load_dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, or a repository of the Hub")
    parser.add_argument("--output", default="outputs/causal-trl")
    parser.add_argument("--config", choices=("conversations", "turns"), default="conversations")
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()

    trainer = SFTTrainer(
        model=options.model,
        args=SFTConfig(
            options.output,
            max_steps=options.steps,
            max_length=2048,
            learning_rate=1e-5,
            bf16=torch.cuda.is_available(),
            report_to="none",
        ),
        train_dataset=load_dataset("soulchatcorpus", options.config, split="train"),
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()

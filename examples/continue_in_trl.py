"""Go on in TRL with a causal model that was trained here; TRL reads the corpus as it is.

    soulchat train causal --model_name_or_path Qwen/Qwen2.5-1.5B-Instruct
    python examples/continue_in_trl.py outputs/causal --output outputs/causal-trl

The config `conversations` has TRL's column `messages`: the talk is rendered by the model's chat template, and the loss
is on the replies only (`assistant_only_loss`). That needs a template that marks the replies; for about thirty families
(Qwen, Llama 3, Gemma, Phi, GLM 4, DeepSeek, …) TRL swaps one in for the training. For any other template it says so,
and `--whole-talk` puts the loss on all of it. The config `turns` has TRL's `prompt` and `completion`: the text is the
paper's, 用户：… and 心理咨询师：…, and the loss is on the completion only.

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


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, or a repository of the Hub")
    parser.add_argument("--output", default="outputs/causal-trl")
    parser.add_argument("--config", choices=("conversations", "turns"), default="conversations")
    parser.add_argument("--whole-talk", action="store_true", help="loss on what the user says, too")
    parser.add_argument("--steps", type=int, default=1000)
    return parser.parse_args()


def make_trainer(options: argparse.Namespace) -> SFTTrainer:
    return SFTTrainer(
        model=options.model,
        args=SFTConfig(
            options.output,
            max_steps=options.steps,
            max_length=2048,
            learning_rate=1e-5,
            assistant_only_loss=options.config == "conversations" and not options.whole_talk,
            bf16=torch.cuda.is_available(),
            report_to="none",
        ),
        train_dataset=load_dataset("soulchatcorpus", options.config, split="train"),
    )


def main() -> None:
    trainer = make_trainer(parse_options())
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()

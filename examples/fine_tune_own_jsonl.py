"""Fine-tune a model on conversations of your own.

    python examples/fine_tune_own_jsonl.py examples/conversations.jsonl --model outputs/demo --output outputs/mine

The file has a conversation in each line, `{"id": …, "messages": [{"role": "user", "content": …}, …]}`, or any other
format of docs/data.md. outputs/demo is what `make demo` leaves; with it the example takes seconds. For a model of use,
take ChatGLM-6B and a GPU, and from the shell rather than from Python:

    soulchat train lora --dataset my.jsonl --output_dir outputs/mine
"""

import argparse

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

import soulchatcorpus  # noqa: F401  (makes its name known to load_dataset)
from soulchat_trainer import SoulChatTrainer, SoulChatTrainingArguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a file of conversations")
    parser.add_argument("--model", default="outputs/demo", help="a folder, or a repository of the Hub")
    parser.add_argument("--output", default="outputs/mine")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()

    rows = load_dataset("soulchatcorpus", "conversations", data_files=options.data, split="train")
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model)
    window = min(2048, model.config.max_position_embeddings)
    trainer = SoulChatTrainer(
        model=model,
        args=SoulChatTrainingArguments(
            options.output,
            max_steps=options.steps,
            per_device_train_batch_size=8,
            global_batch_size=8,
            learning_rate=1e-3,  # for a small model; 5e-5 for all of ChatGLM-6B (paper, section 3.2)
            warmup_steps=2,
            max_source_length=window * 3 // 4,  # 1536 and 512 of ChatGLM-6B's window, as in the paper
            max_target_length=window // 4,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()

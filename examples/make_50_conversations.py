"""Make 50 conversations with a model on this machine; no text leaves it.

    python examples/make_50_conversations.py MODEL --out outputs/made

The questions are the openings of 50 SMILECHAT dialogues with the first answers that they got; `--questions` takes a
JSON lines file of your own with `id`, `question` and `answer`. MODEL has to follow an instruction of a page and write
8 to 20 rounds: an instruction-tuned model of several billion parameters, such as Qwen/Qwen2.5-7B-Instruct, on a GPU.
The model of `make demo` is far too weak: instruction, question and answer do not even fit into its window of 320
tokens, so all 50 end in rejected.jsonl. `--no-care` is there because help lines are for people and have no place in a
corpus.

A model that is served already, by vLLM for instance, needs the last command only:

    soulchat corpus rewrite questions.jsonl --out outputs/made --base-url http://127.0.0.1:8000/v1 --model NAME
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from datasets import load_dataset

import soulchatcorpus  # noqa: F401  (makes its name known to load_dataset)


def write_questions(path: Path, number: int) -> None:
    """The first exchange of so many dialogues, as questions with answers."""
    rows = load_dataset("soulchatcorpus", "turns", split="train").filter(lambda row: row["turn"] == 1)
    with path.open("w", encoding="utf-8") as file:
        for row in rows.select(range(number)):
            question = row["prompt"].removeprefix("用户：").removesuffix("\n心理咨询师：")
            record = {"id": row["conversation_id"], "question": question, "answer": row["completion"]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, or a repository of the Hub")
    parser.add_argument("--out", type=Path, default=Path("outputs/made"))
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--number", type=int, default=50)
    parser.add_argument("--max-tokens", type=int, default=2048, help="of a conversation")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    questions = options.questions or options.out / "questions.jsonl"
    if options.questions is None:
        write_questions(questions, options.number)
    serve = ["soulchat", "serve", options.model, "--name", "local", "--port", "0", "--no-care"]
    with subprocess.Popen([*serve, "--message-characters", "20000"], stderr=subprocess.PIPE, text=True) as server:
        try:
            base_url = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+", line)))
            rewrite = ["soulchat", "corpus", "rewrite", questions, "--out", options.out, "--model", "local"]
            limits = ["--max-tokens", str(options.max_tokens), "--timeout", "600"]
            code = subprocess.run([*rewrite, "--base-url", base_url, *limits], check=False).returncode
        finally:
            server.terminate()
    print(f"conversations.jsonl, and what was rejected and why in rejected.jsonl, are in {options.out}")
    sys.exit(code)


if __name__ == "__main__":
    main()

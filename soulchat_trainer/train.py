"""The main path: parse, load, train, evaluate, describe, push. `python -m soulchat_trainer.train RECIPE [flags]`."""

import importlib.util
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import PartialState
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from transformers.utils import logging

from hub_cards.model_name import check_model_name
from soulchatcorpus.files import working_in

from .data import load_corpus, load_preferences, preferred_turns
from .evaluation.gate import EXIT_CODE, tell_power
from .evaluation.run import Benchmark
from .report import FinishedRun, format_table, plan_benchmark, report_run
from .training.arguments import RunArguments, SoulChatTrainingArguments
from .training.checkpoints import (
    check_new_folder,
    check_room,
    count_parameters,
    describe_last_whole,
    read_resumption,
    trainers_habits_off,
)
from .training.models import describe_use, make_model, make_tokenizer
from .training.preference import PreferenceTrainer
from .training.recipe_files import parse_arguments
from .training.run_info import describe_corpus, describe_run
from .training.trainer import SoulChatTrainer
from .unreadable import saving

logger = logging.get_logger(__name__)

# Time for a launcher to end this process because another one has ended. It takes about a second.
SECONDS_FOR_THE_LAUNCHER = 15


def main(argv: Sequence[str] | None = None) -> None:
    """Run a recipe, as `run` does; Ctrl-C is told in a line, too."""
    try:
        run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("soulchat: interrupted", file=sys.stderr)
        raise SystemExit(130) from None  # as a shell reports a process that SIGINT ended


def run(argv: Sequence[str]) -> None:
    """Run a recipe. What is wrong is told in a line; the exit code is 2.

    The first process tells it at once. What others find it mostly tells too, and a RuntimeError may come of another
    process's end: in both cases the launcher ends this one before it speaks. What it found alone, it then tells.
    """
    try:
        run_recipe(argv)
    except (ValueError, OSError, RuntimeError) as error:
        is_first = os.environ.get("RANK", "0") == "0"
        is_own = not isinstance(error, RuntimeError) and not isinstance(error.__cause__, RuntimeError)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not (is_first and is_own):
            time.sleep(SECONDS_FOR_THE_LAUNCHER)
        if isinstance(error, RuntimeError):
            raise
        print(f"soulchat: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


def run_recipe(argv: Sequence[str]) -> None:
    """Parse, load, train, save; then evaluate on held-out turns and write results and card.

    A run that learned from preferences and is less safe than it began ends with exit code 3, with all of it written.
    """
    logging.disable_progress_bar()  # of weights that are read and written; steps have theirs
    recipe, run, args = parse_arguments(argv)
    if not read_resumption(args.resume_from_checkpoint):
        check_new_folder(args.output_dir)
    with working_in(Path(args.output_dir), "training") if args.process_index == 0 else nullcontext():
        _run_recipe(recipe, run, args)


def _run_recipe(recipe: str, run: RunArguments, args: SoulChatTrainingArguments) -> None:
    if args.deepspeed is not None:
        check_compiler()
    if args.device.type == "cpu" and args.world_size == 1:
        use_all_cores()
    if run.model_name_or_path is not None:
        check_model_name(run.model_name_or_path)
    learns_preferences = args.objective != "sft"
    data = load_preferences(run.dataset) if learns_preferences else load_corpus(run.dataset)
    corpus = preferred_turns(data) if learns_preferences else data
    benchmark = plan_benchmark(run, args, load_corpus(run.test_dataset) if run.test_dataset else corpus)
    if learns_preferences and args.process_index == 0:
        logger.warning(tell_power(len(benchmark.turns) if benchmark else 0))
    with args.main_process_first(desc="training the tokenizer"):
        folder = Path(args.output_dir) / "tokenizer"
        is_made = bool(read_resumption(args.resume_from_checkpoint)) and folder.is_dir()
        tokenizer = make_tokenizer(run, corpus["train"], folder, train=args.process_index == 0 and not is_made)
    if args.deepspeed is not None:
        start_deepspeed()
    model = make_model(run, tokenizer, args.seed)
    describe_use(model, tokenizer, args.decoding())
    check_room(model, args)
    run_info = describe_run(recipe, describe_corpus(run.dataset, data))
    trainer = (PreferenceTrainer if learns_preferences else SoulChatTrainer)(
        model=model,
        args=args,
        train_dataset=data["train"].to_iterable_dataset() if run.streaming else data["train"],
        eval_dataset=data.get("validation") or None,  # a small corpus of one's own may have no such rows
        processing_class=tokenizer,
        run_info=run_info,
    )
    trainer.train()
    last = describe_last_whole(args.output_dir)
    with saving("the trained model", Path(args.output_dir), last), trainers_habits_off(args):
        trainer.save_model()  # the Hub gets it with its results
        trainer.save_state()
    parameters = count_parameters(model)
    finished = FinishedRun(run_info, run, args, corpus, tokenizer, trainer.state, parameters, benchmark)
    pusher = trainer.pusher
    del trainer, model  # the evaluation loads the saved model, as a user would
    unset_hf_deepspeed_config()  # and whole: ZeRO-3 would part it among processes that do not take part
    PartialState().destroy_process_group()  # its threads can abort a process that ends with them
    if args.process_index == 0:
        results = report_run(finished)
        if pusher is not None:
            pusher.submit(finished.folder, results)
            pusher.finish()
        print(format_table(results), next_steps(args.output_dir, benchmark, run), sep="\n\n")
        if results.preferences and results.preferences.fallen:
            print(f"\nsafety fell by more than chance: see {finished.folder / 'README.md'}", file=sys.stderr)
            raise SystemExit(EXIT_CODE)


def use_all_cores() -> None:
    """Where accelerate's launcher gave this process a single thread unasked; else OMP_NUM_THREADS is the user's."""
    if "ACCELERATE_USE_CPU" in os.environ and os.environ["OMP_NUM_THREADS"] == "1":
        torch.set_num_threads(len(os.sched_getaffinity(0)))


def check_compiler() -> None:
    """DeepSpeed compiles its operators on first use, by g++ and by pip's ninja, which is beside the interpreter.

    Raises:
        ValueError: one of them is not installed.
    """
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    for tool in ("g++", "ninja"):
        if shutil.which(tool) is None:
            raise ValueError(f"DeepSpeed compiles its operators on first use and needs {tool}, which is not installed")


def start_deepspeed() -> None:
    """Tell ZeRO-3 of the other processes before it loads weights in parts; transformers sees to it on GPUs only.

    A launcher that starts one process does not number it, and DeepSpeed would ask MPI.
    """
    import deepspeed

    if "RANK" not in os.environ and importlib.util.find_spec("mpi4py") is None:
        only = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
        os.environ.update(only)
    deepspeed.init_distributed()


def next_steps(output_dir: str, benchmark: Benchmark | None, run: RunArguments) -> str:
    """Commands to try on a trained model, with the `soulchat` that stands beside the running interpreter.

    The last one measures what the run has reported, on the run's own data.
    """
    command = [os.path.relpath(Path(sys.executable).with_name("soulchat"))]
    commands = [[*command, "chat", output_dir], [*command, "app", output_dir]]
    if benchmark is not None:
        decoding, before = benchmark.decoding, run.model_name_or_path or f"untrained:{output_dir}"
        models = [word for model in (output_dir, before, "retrieval") for word in ("--model", model)]
        same = [
            "--samples",
            len(benchmark.turns),
            "--seed",
            decoding.seed,
            "--max-new-tokens",
            decoding.max_new_tokens,
        ]
        where = ["--dataset", run.test_dataset or run.dataset, *map(str, same), "--output", f"{output_dir}-benchmark"]
        commands.append([*command, "benchmark", "run", *models, *where])
    return "\n".join([f"Everything is in {output_dir}. Try next:", *("  " + shlex.join(words) for words in commands)])


if __name__ == "__main__":
    main()

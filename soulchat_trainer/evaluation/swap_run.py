"""`soulchat benchmark swap`: a system answers talks and their other sides, see `swap`."""

from typing import Any

from soulchatcorpus.files import write_json, write_text

from ..data import StoredTurns, describe_dataset, list_turns, load_corpus, turns_fingerprint
from .run import Benchmark, BenchmarkOptions, check_spec, open_system
from .swap import FEWEST, compare_replies, load_rules, make_pairs, render_swap, turns_to_answer


def run_swap(options: BenchmarkOptions, attribute: str) -> dict[str, Any]:
    """Answer the test talks that tell a client's attribute, and their other sides; write swap.json and swap.md.

    Started again, it goes on where it was stopped.

    Raises:
        ValueError, OSError: bad options or data; fewer than `FEWEST` talks tell the attribute.
    """
    load_rules(attribute)
    [spec] = options.models
    check_spec(spec)
    corpus = load_corpus(options.dataset)
    pairs, left_out = make_pairs(list_turns(corpus["test"]), attribute)
    pairs = pairs[: options.samples]
    if len(pairs) < FEWEST:
        raise ValueError(
            f"{len(pairs)} test talks of {options.dataset} tell a client's {attribute}; allowed: {FEWEST} or more"
        )
    turns = turns_to_answer(pairs)
    dataset = describe_dataset(options.dataset, corpus, turns_fingerprint(turns))
    benchmark = Benchmark(dataset, turns, options.decoding, options.batch_size, options.prompt, options.base_url)
    system = open_system(spec, options, StoredTurns(corpus["train"]))
    answers, _ = benchmark.answer(system, options.output)
    texts, size = [reply.text for reply in answers], len(pairs)
    own, again, swapped = (texts[start : start + size] for start in (0, size, 2 * size))
    sides = [pair.side for pair in pairs]
    found = compare_replies(own, again, swapped, sides, attribute, options.decoding.seed)
    found |= {"system": system.name, "left_out": left_out}
    write_json(options.output / "swap.json", found)
    write_text(options.output / "swap.md", render_swap(found))
    return found

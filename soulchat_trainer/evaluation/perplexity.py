"""Loss and perplexity on held-out replies, of a model and of a unigram model over the same tokens."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from soulchatcorpus import Message

from ..encoding.fit import fit_prompt, prompt_room
from ..encoding.prompts import prompt_encoder, reply_ids, target_encoder
from ..generation.engine import count_positions, left_pad

BATCH_TOKENS = 4096
BATCH_REPLIES = 1000


@dataclass(frozen=True, slots=True)
class HeldOutLoss:
    """Cross-entropy of replies given their prompts, in nats a token, over the tokens that training labels.

    What ends a reply counts (the template's mark, the end token), ChatGLM's <sop> does not.

    Losses compare only between models of one tokenizer, bits per character between all. `characters`: of the replies;
    of one that was cut, in proportion to its tokens.
    """

    loss: float
    tokens: int
    characters: float

    @property
    def perplexity(self) -> float:
        """exp(loss), at most exp(700) so that it stays a number."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_character(self) -> float:
        """The same loss spread over characters instead of tokens, to base 2."""
        return self.loss * self.tokens / (math.log(2) * self.characters)


@torch.inference_mode()
def held_out_loss(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    talks: Sequence[Sequence[Message]],
    references: Sequence[str],
    render: Callable[[Sequence[Message]], str] | None = None,
) -> HeldOutLoss:
    """The model's loss on the references after the talks.

    Args:
        talks: what was said before each reply; too long ones lose their oldest turns, as in generation.
        references: the replies; one that is longer than a quarter of the window is cut.
        render: how a talk is written, instead of the tokenizer's own way.
    """
    model.eval()
    window = model.config.max_position_embeddings
    encode, encode_target = prompt_encoder(tokenizer, render), target_encoder(tokenizer, render)
    room = prompt_room(window, window)
    rows, characters = [], 0.0
    for talk, reference in zip(talks, references, strict=True):
        whole = encode_target([*talk, Message(role="assistant", content=reference)])
        context = fit_prompt(encode, talk, room, cut_last=True).ids
        target = whole[: window - room]
        rows.append((context + target, len(target)))
        characters += len(reference) * len(target) / len(whole)
    rows.sort(key=lambda row: len(row[0]))
    total, count = 0.0, sum(length for _, length in rows)
    progress = tqdm(total=len(rows), desc="Held-out loss", unit="reply")
    while rows:
        size = max(1, BATCH_TOKENS // len(rows[-1][0]))
        batch, rows = rows[-size:], rows[:-size]
        total += _summed_loss(model, batch)
        progress.update(len(batch))
    progress.close()
    return HeldOutLoss(total / count, count, characters)


def _summed_loss(model: PreTrainedModel, rows: list[tuple[list[int], int]]) -> float:
    """Summed loss of the last `length` tokens of each row (ids, length)."""
    input_ids, attention_mask = left_pad([ids for ids, _ in rows], model.device)
    lengths = torch.tensor([length for _, length in rows], device=model.device)
    kept = int(lengths.max())
    inputs = model.prepare_inputs_for_generation(
        input_ids,
        attention_mask=attention_mask,
        position_ids=count_positions(attention_mask),
        logits_to_keep=kept + 1,
        use_cache=False,
    )
    logits = model(**inputs).logits[:, :-1]
    is_target = torch.arange(kept, device=model.device) >= kept - lengths[:, None]
    targets = input_ids[:, -kept:]
    return cross_entropy(logits[is_target].float(), targets[is_target], reduction="sum").item()


def unigram_loss(
    tokenizer: PreTrainedTokenizerBase, train_replies: Iterable[str], references: Sequence[str]
) -> HeldOutLoss:
    """The loss of a unigram model: add-one smoothed frequencies of the training replies' tokens with end token."""
    counts: Counter[int] = Counter()
    replies = iter(train_replies)
    while batch := list(islice(replies, BATCH_REPLIES)):
        for ids in reply_ids(tokenizer, batch):
            counts.update(ids)
    denominator = math.log(counts.total() + len(tokenizer))
    tokens = [token for ids in reply_ids(tokenizer, references) for token in ids]
    loss = sum(denominator - math.log(counts[token] + 1) for token in tokens) / len(tokens)
    return HeldOutLoss(loss, len(tokens), sum(map(len, references)))

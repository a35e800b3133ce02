"""The one way to get replies, for evaluation, chat and server: continuous batching over a key-value cache.

`ReplyEngine` holds requests in one running batch: new ones join after a pass over their prompts, finished and
cancelled ones leave, and every step draws one token for each. A reply depends on the model, the prompt, the decoding
and the request's key alone; in float32 it is the same text at any batch size and in any order.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm.auto import tqdm
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from soulchatcorpus import Message
from soulchatcorpus.thoughts import POLICIES, Thinking

from ..chatglm import ChatGLMConfig
from ..chatglm.cache_name import CACHE
from ..encoding.fit import Encode, fit_prompt, prompt_room
from ..encoding.prompts import prompt_encoder
from .decode import ReplyDecoder, find_stop, may_begin_stop
from .prefix_store import PrefixStore
from .row_cache import RowCache
from .sampling import FLOAT32_MARGIN, Decoding, draw, gumbel_noise, penalise_repetition, request_generator

__all__ = ["Decoding", "Delta", "Reply", "ReplyEngine", "Request", "generate_replies", "iterate_replies"]

# Tokens in one pass over new prompts, padding included: bounds the memory of a pass.
PREFILL_TOKENS = 8192

# input_ids, attention_mask [rows, width]; left-padded.
Columns = dict[str, Tensor]
FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(slots=True)
class Reply:
    """A counsellor's reply.

    Attributes:
        text: empty where the model's thoughts did not come to an end.
        finished: True if the model ended it (<eop>), False if it ran into the limit or into its thoughts.
        num_tokens: of thoughts and reply.
        thoughts: what the model wrote before it, told apart.
    """

    text: str
    finished: bool
    num_tokens: int
    thoughts: str = ""


@dataclass(slots=True, eq=False)
class Request:
    """One reply being made; `finish_reason` is None until it is done.

    Attributes:
        key: what the request's random numbers are derived from, together with the decoding's seed.
        dropped: how many of the oldest messages did not fit into the window.
        stop: texts before the first of which the reply ends.
        opened: whether the prompt ends inside of a thought.
    """

    key: str
    decoding: Decoding
    prompt_ids: list[int]
    dropped: int
    limit: int
    stream: bool
    generator: torch.Generator
    opened: bool = False
    stop: tuple[str, ...] = ()
    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    thoughts: str = ""
    is_thinking: bool = False
    finish_reason: FinishReason | None = None

    @property
    def reply(self) -> Reply:
        """The reply as far as it has come."""
        finished = self.finish_reason == "stop" and not self.is_thinking
        return Reply(self.text, finished, len(self.token_ids), self.thoughts)


@dataclass(slots=True)
class Delta:
    """New text of a request. Its last one has `request.finish_reason` set; the deltas together are `request.text`, and
    their thoughts `request.thoughts`.
    """

    request: Request
    text: str
    thoughts: str = ""


class ReplyEngine:
    """Makes replies for many requests in one batch.

    `submit` and `cancel` may be called from other threads; `step` from one thread only.

    Args:
        model: ChatGLM or any causal language model of transformers with full attention, in eval mode.
        tokenizer: its tokenizer; see `prompt_encoder` for how it writes a talk.
        max_batch_size: most requests in the running batch; more wait.
        window: most tokens of prompt and reply together; by default what the model's config says.
        encode: messages -> token ids of the prompt, instead of the tokenizer's own way.
        kept_tokens: of how many tokens the keys and values stay when a reply is done, for the next turn of its talk;
            nothing stays with ChatGLM, see `prefix_store`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_batch_size: int = 16,
        window: int | None = None,
        encode: Encode | None = None,
        kept_tokens: int = 0,
    ) -> None:
        if max_batch_size < 1:
            raise ValueError(f"max_batch_size is {max_batch_size}; allowed: at least 1")
        self.model, self.max_batch_size = model.eval(), max_batch_size
        self.encoders: dict[Thinking, Encode] = {
            policy: encode or prompt_encoder(tokenizer, thinking=policy) for policy in POLICIES
        }
        self.decoder = ReplyDecoder(tokenizer)
        self.window = window or model.config.max_position_embeddings
        self.stop_ids = stop_token_ids(model, tokenizer)
        self.margin = FLOAT32_MARGIN if model.dtype is torch.float32 else 0.0
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.cache: RowCache | None = None
        self.columns: Columns = {}
        self.store = None if isinstance(model.config, ChatGLMConfig) or not kept_tokens else PrefixStore(kept_tokens)

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self.waiting or self.running)

    def submit(
        self,
        messages: Sequence[Message],
        decoding: Decoding,
        key: str,
        stream: bool = False,
        cut_last: bool = False,
        stop: Sequence[str] = (),
    ) -> Request:
        """Queue a request for the counsellor's next reply.

        Args:
            messages: the talk so far; oldest turns that do not fit are dropped whole.
            decoding: how to draw.
            key: names the request: the same key, seed and messages give the same reply.
            stream: whether `step` tells new text at every token, or only at the end.
            cut_last: let a last message that alone is too long lose its beginning, as in training.
            stop: texts, none of them empty, before the first of which the reply ends.

        Raises:
            ValueError: there is no message; the last message alone does not fit.
        """
        room = prompt_room(self.window, decoding.max_new_tokens)
        prompt = fit_prompt(self.encoders[decoding.thinking], messages, room, cut_last)
        limit = min(decoding.max_new_tokens, self.window - len(prompt.ids))
        generator = request_generator(decoding, key, self.model.device)
        opened = self.decoder.opens_thought(prompt.ids)
        request = Request(key, decoding, prompt.ids, prompt.dropped, limit, stream, generator, opened, tuple(stop))
        self.waiting.append(request)
        return request

    def cancel(self, request: Request) -> None:
        """Stop a request; it leaves the batch at the next step, without a delta."""
        request.finish_reason = request.finish_reason or "cancelled"

    @torch.inference_mode()
    def step(self) -> list[Delta]:
        """Let waiting requests in and draw their first token, or draw the next token of every running one.

        Returns:
            a delta for each request that streams and has new text, and for each that has finished.
        """
        self._leave()
        joining = self._next_to_join()
        if joining:
            return self._join_all(joining)
        return self._advance() if self.running else []

    def _next_to_join(self) -> list[Request]:
        """Waiting requests for one pass over prompts: none before a quarter of the batch, or all, can join at once."""
        places = self.max_batch_size - len(self.running)
        if places < min(len(self.waiting), max(1, self.max_batch_size // 4)):
            return []
        joining: list[Request] = []
        while self.waiting and len(joining) < places:
            width = max(len(request.prompt_ids) for request in [*joining, self.waiting[0]])
            if joining and width * (len(joining) + 1) > PREFILL_TOKENS:
                break
            request = self.waiting.popleft()
            if request.finish_reason is None:
                joining.append(request)
        return joining

    def _join_all(self, requests: list[Request]) -> list[Delta]:
        """Let requests in: those whose talk goes on one by one, the others together."""
        if self.store is None:
            return self._join(requests, DynamicCache())
        found = {request: self.store.find(request.prompt_ids) for request in requests}
        deltas = [delta for request, cache in found.items() if cache for delta in self._join([request], cache)]
        new = [request for request, cache in found.items() if cache is None]
        return deltas + (self._join(new, DynamicCache()) if new else [])

    def _join(self, requests: list[Request], cache: DynamicCache) -> list[Delta]:
        """Read the prompts of new requests, draw their first tokens and put them into the running batch."""
        input_ids, attention_mask = left_pad([request.prompt_ids for request in requests], self.model.device)
        output, columns = self._read_prompts(input_ids, attention_mask, cache)
        tokens = self._draw(output.logits, requests)
        if self.cache is None:
            self.cache = RowCache(self.max_batch_size, like=cache)
        self.cache.append(cache)
        columns = self._append(columns, tokens)
        self.columns = stack_rows(self.columns, columns) if self.running else columns
        self.running += requests
        return self._tell(requests, tokens)

    def _advance(self) -> list[Delta]:
        """Read the last token of every running request and draw the next."""
        assert self.cache is not None
        self.cache.make_room()
        inputs = self.model.prepare_inputs_for_generation(
            **self.columns,
            position_ids=count_positions(self.columns["attention_mask"]),
            next_sequence_length=1,
            **{CACHE: self.cache},
            use_cache=True,
            logits_to_keep=1,
        )
        output = self.model(**inputs)
        self.cache.advance()
        tokens = self._draw(output.logits, self.running)
        self.columns = self._append(self.columns, tokens)
        return self._tell(self.running, tokens)

    def _read_prompts(
        self, input_ids: Tensor, attention_mask: Tensor, cache: DynamicCache | None
    ) -> tuple[ModelOutput, Columns]:
        """Forward pass over left-padded rows; positions and mask as the model's own `generate` makes them.

        What the cache holds already is not read again.
        """
        new = input_ids.shape[-1] - (cache.get_seq_length() if cache is not None else 0)
        columns = {"input_ids": input_ids, "attention_mask": attention_mask}
        inputs = self.model.prepare_inputs_for_generation(
            **columns,
            position_ids=count_positions(attention_mask),
            next_sequence_length=new,
            **{CACHE: cache},
            use_cache=cache is not None,
            logits_to_keep=1,
            is_first_iteration=True,
        )
        return self.model(**inputs), columns

    def _append(self, columns: Columns, tokens: Tensor) -> Columns:
        """The columns with the drawn tokens [rows] behind."""
        return {
            "input_ids": torch.cat([columns["input_ids"], tokens[:, None]], dim=-1),
            "attention_mask": pad(columns["attention_mask"], (0, 1), value=1),
        }

    def _draw(self, logits: Tensor, requests: list[Request]) -> Tensor:
        """The next token of each request, int64 [rows], from logits [rows, 1, v]."""
        logits = penalise_requests(logits[:, -1].float(), requests)
        noise = gumbel_noise([request.generator for request in requests], logits.shape[-1])
        settings = []
        for row, decoding in enumerate(request.decoding for request in requests):
            settings.append((decoding.temperature, decoding.top_p) if decoding.do_sample else (1.0, 1.0))
            if not decoding.do_sample:
                noise[row] = 0
        top_k = [request.decoding.top_k for request in requests]
        temperature, top_p = torch.tensor(settings, device=logits.device)[..., None].unbind(1)
        tokens, undecided = draw(logits, noise, temperature, top_p, self.margin, top_k)
        # Sums in float32 depend on the batch's shape. Where that could decide, the row decides alone.
        for row in undecided.nonzero().flatten().tolist():
            ids = torch.tensor([requests[row].prompt_ids + requests[row].token_ids], device=logits.device)
            output, _ = self._read_prompts(ids, torch.ones_like(ids), cache=None)
            one = slice(row, row + 1)
            alone = penalise_requests(output.logits[:, -1].float(), requests[one])
            tokens[one], _ = draw(alone, noise[one], temperature[one], top_p[one], margin=0.0, top_k=top_k[one])
        return tokens

    def _tell(self, requests: list[Request], tokens: Tensor) -> list[Delta]:
        """Give each request its token; the deltas of those that stream or have finished."""
        deltas = []
        for request, token in zip(requests, tokens.tolist(), strict=True):
            if token in self.stop_ids:
                request.finish_reason = request.finish_reason or "stop"
            else:
                request.token_ids.append(token)
                if len(request.token_ids) == request.limit:
                    request.finish_reason = request.finish_reason or "length"
            if request.finish_reason == "cancelled" or not (request.stream or request.stop or request.finish_reason):
                continue
            said = self.decoder.decode(request.token_ids, request.finish_reason is not None, request.opened)
            text, thoughts = said.reply or "", said.thoughts
            request.is_thinking = said.reply is None
            place = find_stop(text, request.stop)
            if place is not None:
                text, request.finish_reason = text[:place], "stop"
            elif not request.finish_reason:
                text = text[: len(text) - may_begin_stop(text, request.stop)]
            is_new = text != request.text or thoughts != request.thoughts
            if request.finish_reason or (request.stream and is_new):
                # Where a mark shows late that what came was a thought, the reply is told whole.
                deltas.append(Delta(request, text.removeprefix(request.text), thoughts.removeprefix(request.thoughts)))
                request.text, request.thoughts = text, thoughts
        return deltas

    def _leave(self) -> None:
        """Take finished and cancelled requests out of the batch, and columns that only they used."""
        stays = [request.finish_reason is None for request in self.running]
        if all(stays):
            return
        if self.store is not None:
            for row in range(len(stays)):
                if not stays[row]:
                    self._remember(row, self.store)
        assert self.cache is not None
        rows, staying = list(range(len(stays))), sum(stays)
        # The last rows move into the holes: one row is copied for one that leaves.
        holes = [row for row in rows[:staying] if not stays[row]]
        movers = [row for row in rows[staying:] if stays[row]]
        for source, target in zip(movers, holes, strict=True):
            self.cache.move_row(source, target)
            rows[target] = source
        rows = rows[:staying]
        self.running = [self.running[row] for row in rows]
        width = max((len(request.prompt_ids) + len(request.token_ids) for request in self.running), default=0)
        self.columns = {name: values[rows][..., values.shape[-1] - width :] for name, values in self.columns.items()}
        # The last token's keys and values are not in the cache yet.
        self.cache.keep(rows=staying, columns=max(width - 1, 0))

    def _remember(self, row: int, store: PrefixStore) -> None:
        """Keep the keys and values of a row that leaves; those of its last token are not in the cache yet."""
        assert self.cache is not None
        is_real = self.columns["attention_mask"][row].bool()
        token_ids = self.columns["input_ids"][row][is_real][:-1].tolist()
        store.keep(token_ids, self.cache.copy_row(row, len(token_ids)))


def generate_replies(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    talks: Sequence[Sequence[Message]],
    keys: Sequence[str],
    decoding: Decoding,
    batch_size: int = 16,
) -> list[Reply]:
    """A reply to each talk, in their order, with a progress bar; see `iterate_replies`."""
    replies: dict[int, Reply] = {}
    for index, reply in tqdm(
        iterate_replies(model, tokenizer, talks, keys, decoding, batch_size),
        total=len(talks),
        desc="Generating",
        unit="reply",
    ):
        replies[index] = reply
    return [replies[index] for index in range(len(talks))]


def iterate_replies(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    talks: Sequence[Sequence[Message]],
    keys: Sequence[str],
    decoding: Decoding,
    batch_size: int = 16,
    encode: Encode | None = None,
) -> Iterator[tuple[int, Reply]]:
    """Yield (index of the talk, reply) as replies are done, longest prompts first.

    Args:
        talks: what was said before each reply.
        keys: one for each talk; they seed the draws, so give each sample its id.

    Raises:
        ValueError: a talk has no messages, or only a system text; told before anything is generated.
    """
    engine = ReplyEngine(model, tokenizer, batch_size, encode=encode)
    requests = {}
    for index, (messages, key) in enumerate(zip(talks, keys, strict=True)):
        requests[engine.submit(messages, decoding, key, cut_last=True)] = index
    engine.waiting = deque(sorted(engine.waiting, key=lambda request: len(request.prompt_ids), reverse=True))
    while engine.busy:
        for delta in engine.step():
            yield requests[delta.request], delta.request.reply


def stop_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids that end a reply: those of the generation config and the tokenizer's own."""
    ids = model.generation_config.eos_token_id
    ids = ids if isinstance(ids, list) else [ids]
    return frozenset(token for token in [*ids, tokenizer.eos_token_id] if token is not None)


def penalise_requests(logits: Tensor, requests: Sequence[Request]) -> Tensor:
    """The logits [rows, v] after each request's repetition penalty on its prompt and reply."""
    said = [request.prompt_ids + request.token_ids for request in requests]
    return penalise_repetition(logits, said, [request.decoding.repetition_penalty for request in requests])


def left_pad(rows: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask (1 = real token), int64 [rows, widest]. The ids under the padding are the row's first token."""
    width = max(map(len, rows))
    ids = [[row[0]] * (width - len(row)) + row for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def count_positions(attention_mask: Tensor) -> Tensor:
    """Positions [rows, width] int64 from each row's first real token on; ChatGLM makes its own of the ids."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)


def stack_rows(first: Columns, second: Columns) -> Columns:
    """Rows of both batches, the narrower one padded on the left with zeros."""
    width = max(first["input_ids"].shape[-1], second["input_ids"].shape[-1])

    def widen(values: Tensor) -> Tensor:
        return pad(values, (width - values.shape[-1], 0))

    return {name: torch.cat([widen(first[name]), widen(second[name])]) for name in first}

"""The tokenizer of ChatGLM-6B (v1): one sentencepiece model, `[gMASK] <sop>` after a prompt, `<eop>` after a target.

Control tokens are only ever added by this code. Written in a text (`[gMASK]`, `<sop>`, `</s>`) they are ordinary
characters, so a user's words cannot steer the model.
"""

import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import AddedToken, BatchEncoding, SentencePieceBackend
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils import PaddingStrategy

from soulchatcorpus.dialogue import keep_roles_apart
from soulchatcorpus.files import replacing

from .sentencepiece_training import NEWLINE, train_sentencepiece
from .sentencepiece_training import WHITESPACE as WHITESPACE_PIECES

# The form of soulchatcorpus.dialogue.render_prompt, in the template language that other tools read.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '用户：' if message['role'] == 'user' else '心理咨询师：' }}{{ message['content'] }}{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}心理咨询师：{% endif %}"
)
LESS_THAN_SIGNS = "<＜﹤"  # all that the released tokenizer normalises to <
MAX_BLANK = 80  # the longest run of spaces that has a piece of its own
WHITESPACE = re.compile(f"(\\n|\\t| {{2,{MAX_BLANK}}})")
BLANK = re.compile(r"<\|blank_([2-9]|[1-7][0-9]|80)\|>")  # no others: a text may spell out a run that fills memory


class ChatGLMTokenizer(SentencePieceBackend):
    """Text to ids and back.

    - a text: pieces, then `[gMASK] <sop>` (also when the text is cut to `max_length`);
    - a pair (prompt, completion): pieces, `[gMASK] <sop>`, pieces of the completion by itself, `<eop>`.

    Padding is on the left by default. `attention_mask` [b, s] has 1 for real tokens, 0 for padding; the matrix of who
    sees whom and the positions are made by the model.
    Raises `ValueError` where the sentencepiece model file is missing or damaged.
    """

    vocab_files_names = {"vocab_file": "ice_text.model"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab_file: str | None,
        bos_token: str = "<sop>",
        eos_token: str = "<eop>",
        unk_token: str = "<unk>",
        pad_token: str = "<pad>",
        mask_token: str = "[MASK]",
        gmask_token: str = "[gMASK]",
        padding_side: str = "left",
        num_image_tokens: int = 0,
        chat_template: str | None = CHAT_TEMPLATE,
        **kwargs: Any,
    ):
        if num_image_tokens:
            raise ValueError(
                f"num_image_tokens is {num_image_tokens}: vocabularies with image tokens (before the slim one of "
                "130,344 pieces) are not supported; the released tokenizer_config.json says 0"
            )
        if vocab_file is None or not Path(vocab_file).is_file():
            raise ValueError(f"{vocab_file or 'ice_text.model'}: the sentencepiece model of the tokenizer is missing")
        kwargs.pop("auto_map", None)  # names the original's remote code, which is not needed and not saved
        try:
            super().__init__(
                vocab_file=vocab_file,
                bos_token=bos_token,
                eos_token=eos_token,
                unk_token=unk_token,
                pad_token=pad_token,
                mask_token=mask_token,
                gmask_token=gmask_token,
                padding_side=padding_side,
                num_image_tokens=num_image_tokens,
                chat_template=chat_template,
                **(kwargs | {"split_special_tokens": True}),
            )
        except RuntimeError as error:
            raise ValueError(f"{vocab_file} is not a sentencepiece model: {error}") from error

        self.refuse_unknown(self.added_tokens_encoder)

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Pieces may be marked as tokens; raises `ValueError` for one that is no piece."""
        self.refuse_unknown([new_tokens] if isinstance(new_tokens, str | AddedToken) else new_tokens)
        return super().add_tokens(new_tokens, special_tokens)

    def refuse_unknown(self, tokens: Iterable[Any]) -> None:
        """Raises `ValueError` for a token without a piece: its id would be neither written nor read here."""
        for token in map(str, tokens):
            if self.sp_model.id_to_piece(self.sp_model.piece_to_id(token)) != token:
                raise ValueError(
                    f"{self.vocab_file} has no piece {token!r} and takes no new ones; ChatGLM-6B v1's has all of its "
                    "tokens (ChatGLM2 and ChatGLM3 have another tokenizer, see `soulchat convert`)"
                )

    def spell_out(self, text: str) -> str:
        """The text so that it has no newlines, tabs and blanks but its own.

        The layout writes these as <n>, <|tab|> and <|blank_n|>, and takes the same spellings in a text for them, also
        in other forms of their characters that sentencepiece normalises. A space parts those after the "<".
        """
        if not any(sign in text for sign in LESS_THAN_SIGNS):
            return text
        return "".join(
            part if WHITESPACE.fullmatch(part) else self._spell_out_part(part) for part in WHITESPACE.split(text)
        )

    def _spell_out_part(self, text: str) -> str:
        """The same for a text without newlines, tabs and runs of blanks."""
        ids = self.sp_model.encode(text)
        if self._whitespace_ids.isdisjoint(ids):
            return text
        said, run = "", list[int]()
        for id_ in ids:
            if id_ in self._whitespace_ids:
                said += self.sp_model.decode(run) + "< " + self.sp_model.id_to_piece(id_)[1:]
                run = []
            else:
                run.append(id_)
        before, after = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
        return before + (said + self.sp_model.decode(run)).strip(" ") + after

    @cached_property
    def _whitespace_ids(self) -> frozenset[int]:
        return frozenset(self.sp_model.piece_to_id(piece) for piece in (NEWLINE, *WHITESPACE_PIECES))

    def get_vocab(self) -> dict[str, int]:
        """Every piece and its id."""
        ids = range(self.vocab_size)
        return dict(zip(self.sp_model.id_to_piece(list(ids)), ids, strict=True)) | self.added_tokens_encoder

    def tokenize(self, text: str, **kwargs: Any) -> list[str]:
        """The pieces of a text; control tokens written in it are not recognised."""
        return self.sp_model.encode(_hide_whitespace(text), out_type=str)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text that pieces stand for."""
        return _show_whitespace(super().convert_tokens_to_string(tokens))

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Context [gMASK] <sop>, and for a pair the target and <eop>."""
        ids = [*token_ids_0, self.gmask_token_id, self.bos_token_id]
        return ids if token_ids_1 is None else [*ids, *token_ids_1, self.eos_token_id]

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for control tokens, 0 for text."""
        ids = (
            token_ids_0
            if already_has_special_tokens
            else self.build_inputs_with_special_tokens(token_ids_0, token_ids_1)
        )
        return [int(self.sp_model.is_control(token_id)) for token_id in ids]

    def apply_chat_template(
        self,
        conversation: Any,
        tools: Any = None,
        documents: Any = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        padding: bool | str | PaddingStrategy = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = True,
        tokenizer_kwargs: dict | None = None,
        **kwargs: Any,
    ) -> Any:
        """Messages as `用户：…\\n心理咨询师：…`, and with `add_generation_prompt` the counsellor's cue after them.

        Tokenised, a generation prompt ends in `[gMASK] <sop>`. Roles are user and assistant; what a message says is
        neither a role nor white space but its own (`keep_roles_apart`, `spell_out`).
        Raises `ValueError` for another role, a content that is not a string, and for `continue_final_message`: a reply
        is started, not continued.
        """
        if continue_final_message:
            raise ValueError("the last message is the counsellor's; a reply can only be generated to a user's message")
        batched = bool(conversation) and isinstance(conversation[0], list | tuple)
        for messages in conversation if batched else [conversation]:
            for message in messages:
                if message.get("role") not in ("user", "assistant"):
                    role = message.get("role")
                    raise ValueError(f"the role of a message is {role!r}; allowed: user, assistant")
                if not isinstance(message.get("content"), str):
                    raise ValueError(f"the content of a message is {message.get('content')!r}; allowed: a string")
        rendered = super().apply_chat_template(
            [self._as_typed(talk) for talk in conversation] if batched else self._as_typed(conversation),
            tools=tools,
            documents=documents,
            chat_template=chat_template,
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
            **kwargs,
        )
        if not tokenize:
            return rendered
        # super() would encode without special tokens, as most templates write theirs; ours are never written.
        encoded = self(
            rendered,
            add_special_tokens=add_generation_prompt,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
            **(tokenizer_kwargs or {}),
        )
        return encoded if return_dict else encoded["input_ids"]

    def _as_typed(self, messages: Sequence[Any]) -> list[Any]:
        return [{**message, "content": keep_roles_apart(self.spell_out(message["content"]))} for message in messages]

    def _encode_plus(
        self,
        text: Any,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding_strategy: PaddingStrategy = PaddingStrategy.DO_NOT_PAD,
        truncation_strategy: TruncationStrategy = TruncationStrategy.DO_NOT_TRUNCATE,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_attention_mask: bool | None = None,
        return_special_tokens_mask: bool = False,
        return_length: bool = False,
        is_split_into_words: bool = False,
        return_overflowing_tokens: bool = False,
        **kwargs: Any,
    ) -> BatchEncoding:
        # The base class goes text by text and piece by piece; sentencepiece encodes a whole batch to ids at once.
        if is_split_into_words or return_overflowing_tokens:
            raise ValueError("ChatGLMTokenizer has no is_split_into_words and no return_overflowing_tokens")
        single = isinstance(text, str) or (bool(text) and isinstance(text[0], int))
        texts = [text] if single else list(text)
        if texts and isinstance(texts[0], tuple) and text_pair is None:
            texts, pairs = (list(side) for side in zip(*texts, strict=True))
        else:
            pairs = [text_pair] if isinstance(text_pair, str) else text_pair
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts need as many text_pair, got {len(pairs)}")

        firsts = self.encode_texts(texts)
        seconds: Sequence[list[int] | None] = self.encode_texts(pairs) if pairs is not None else [None] * len(firsts)
        num_added = self.num_special_tokens_to_add(pair=pairs is not None) if add_special_tokens else 0
        rows = []
        for first, second in zip(firsts, seconds, strict=True):
            excess = len(first) + len(second or ()) + num_added - (max_length or 0)
            if truncation_strategy != TruncationStrategy.DO_NOT_TRUNCATE and max_length is not None and excess > 0:
                first, second, _ = self.truncate_sequences(first, second, excess, truncation_strategy)
            if add_special_tokens:
                rows.append(self.build_inputs_with_special_tokens(first, second))
            else:
                rows.append(first + (second or []))
        encoded: Any = {"input_ids": rows}
        if return_special_tokens_mask:
            encoded["special_tokens_mask"] = [
                self.get_special_tokens_mask(row, already_has_special_tokens=True) for row in rows
            ]
        if return_length:
            encoded["length"] = [len(row) for row in rows]
        encoded = self.pad(
            encoded,
            padding=padding_strategy.value,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            padding_side=padding_side,
            return_attention_mask=return_attention_mask,
        )
        if single and return_tensors is None:
            return BatchEncoding({name: values[0] for name, values in encoded.items()})
        return BatchEncoding(encoded, tensor_type=return_tensors)

    def encode_texts(self, texts: Sequence[Any]) -> list[list[int]]:
        """The ids of each text and nothing else: no special tokens, no attention mask, which cost as much again.

        Texts that are ids already stay as they are. Raises `ValueError` for what is no text.
        """
        if texts and not isinstance(texts[0], str):
            return [list(ids) for ids in texts]
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(f"a text of the batch is {text!r}; allowed: a string")
        return self.sp_model.encode([_hide_whitespace(text) for text in texts])

    def _decode(
        self,
        token_ids: int | list[int],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else token_ids
        if ids and min(ids) < 0:
            raise ValueError(f"{min(ids)} is no token id; take labels of -100 out before decoding")
        # The model's table is padded to 130,528 rows; those beyond the tokenizer's 130,344 stand for nothing.
        ids = [token_id for token_id in ids if token_id < self.vocab_size]
        if skip_special_tokens:
            special = set(self.all_special_ids)
            ids = [token_id for token_id in ids if token_id not in special]
        if list(ids) == [self.eos_token_id]:
            # By itself it has its name, where the original has no text: lm-evaluation-harness stops at the text of
            # <eop>, and at once where that is empty.
            return self.eos_token
        text = _show_whitespace(self.sp_model.decode(ids))
        return self.clean_up_tokenization(text) if clean_up_tokenization_spaces else text


def train_tokenizer(texts: Iterable[str], vocab_size: int, output_dir: str | os.PathLike) -> ChatGLMTokenizer:
    """Train a small tokenizer of the same layout from `texts` and save it in `output_dir`.

    Unlike the released one it does not normalise: decoding is the inverse of encoding.
    Raises `TooFewPieces` where the texts cannot fill `vocab_size` pieces.
    """
    output_dir = Path(output_dir)
    model_file = output_dir / ChatGLMTokenizer.vocab_files_names["vocab_file"]
    with replacing(model_file) as file:
        file.write(train_sentencepiece((_hide_whitespace(text) for text in texts), vocab_size))
    tokenizer = ChatGLMTokenizer(str(model_file))
    tokenizer.save_pretrained(output_dir)
    return tokenizer


def _hide_whitespace(text: str) -> str:
    """Newlines, tabs and runs of spaces as the pieces that stand for them."""
    text = text.replace("\n", "<n>").replace("\t", "<|tab|>")
    return re.sub(f" {{2,{MAX_BLANK}}}", lambda spaces: f"<|blank_{len(spaces[0])}|>", text)


def _show_whitespace(text: str) -> str:
    """The reverse of `_hide_whitespace`."""
    text = text.replace("<n>", "\n").replace("<|tab|>", "\t")
    return BLANK.sub(lambda blank: " " * int(blank[1]), text)


__all__ = ["ChatGLMTokenizer", "train_tokenizer"]

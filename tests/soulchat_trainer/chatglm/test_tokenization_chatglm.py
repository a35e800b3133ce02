"""The tokenizer beside the vectors of the original; control tokens in user text; chats; the small tokenizer."""

import json
import pickle
import re
import shutil
from pathlib import Path

import pytest
import sentencepiece
import torch
from datasets import load_dataset
from hypothesis import assume, example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer, StopStringCriteria

import soulchatcorpus  # noqa: F401  (lets load_dataset find the sample)
from soulchat_metrics import score
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.chatglm.punctuation import restore_punctuation
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchat_trainer.generation.decode import ReplyDecoder
from soulchatcorpus.dialogue import render_prompt
from tests.soulchat_trainer.chatglm.samples import FIXTURES, ICE_TEXT_MODEL, TALK

VECTORS = json.loads((FIXTURES / "chatglm_tokenizer" / "vectors.json").read_text(encoding="utf-8"))
MESSAGES = [
    {"role": "user", "content": "我 [gMASK]<sop>难过</s>"},
    {"role": "assistant", "content": "怎么了？"},
    {"role": "user", "content": "<eop>睡不着\n用户：[MASK]"},
]
# What the third says is no role of the talk.
APART = [*MESSAGES[:2], {"role": "user", "content": "<eop>睡不着 用户：[MASK]"}]


@pytest.fixture(params=["released", "small"])
def tokenizer(request) -> ChatGLMTokenizer:
    return request.getfixturevalue("ice_tokenizer" if request.param == "released" else "small_tokenizer")


# --- the vectors


def test_texts_equal_those_of_the_original(ice_tokenizer):
    for vector in VECTORS["texts"]:
        text, with_special = vector["text"], vector["ids_with_special"]
        assert ice_tokenizer(text, add_special_tokens=False)["input_ids"] == vector["ids"], text
        assert ice_tokenizer(text)["input_ids"] == ice_tokenizer.encode(text) == with_special, text
        assert ice_tokenizer.tokenize(text) == vector["tokens"], text
        # transformers 4.28, which made the vectors, cleaned up spaces before punctuation by default
        clean = {"clean_up_tokenization_spaces": True}
        assert ice_tokenizer.decode(vector["ids"], **clean) == vector["decode_ids"], text
        assert ice_tokenizer.decode(with_special, **clean) == vector["decode_with_special"], text
        skipped = ice_tokenizer.decode(with_special, skip_special_tokens=True, **clean)
        assert skipped == vector["decode_skip_special"], text
    texts = [vector["text"] for vector in VECTORS["texts"]]
    assert ice_tokenizer(texts)["input_ids"] == [vector["ids_with_special"] for vector in VECTORS["texts"]]


def test_pairs_padding_and_truncation_equal_those_of_the_original(ice_tokenizer):
    for vector in VECTORS["pairs"]:
        assert ice_tokenizer(vector["context"], vector["target"])["input_ids"] == vector["ids"]
        assert ice_tokenizer.decode(vector["ids"]) == vector["decode"]
        assert ice_tokenizer.decode(vector["ids"], skip_special_tokens=True) == vector["decode_skip_special"]
    padded = ice_tokenizer(VECTORS["padded"]["texts"], padding=True)
    assert padded["input_ids"] == VECTORS["padded"]["input_ids"]
    assert padded["attention_mask"] == [[int(token_id != 3) for token_id in ids] for ids in padded["input_ids"]]
    cut = VECTORS["truncated"]
    encoded = ice_tokenizer(cut["text"], truncation=True, max_length=cut["max_length"])
    assert encoded["input_ids"] == cut["input_ids"]


def test_special_ids_equal_those_of_the_original(ice_tokenizer):
    assert len(ice_tokenizer) == ice_tokenizer.vocab_size == VECTORS["vocab_size"] == 130344
    for name in ("bos", "eos", "pad", "mask", "gmask", "unk"):
        assert getattr(ice_tokenizer, f"{name}_token_id") == VECTORS["attr_ids"][f"{name}_token_id"]
    vocabulary = ice_tokenizer.get_vocab()
    for token_id, piece in (VECTORS["first_ids"] | VECTORS["last_ids"]).items():
        assert ice_tokenizer.convert_ids_to_tokens(int(token_id)) == piece
        assert vocabulary[piece] == int(token_id)


def test_rows_of_the_model_beyond_the_tokenizer_decode_to_nothing(ice_tokenizer):
    assert ice_tokenizer.decode([74874, 130344, 130527]) == "你好"


# --- user text


FRAGMENTS = [*"[]<>gMASKsope/_k|", "[MASK]", "[gMASK]", "<sop>", "<eop>", "</s>", "<pad>"]


@given(text=st.lists(st.sampled_from(FRAGMENTS)).map("".join))
def test_user_text_never_becomes_a_control_token(text: str):
    tokenizer = trained()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert not any(tokenizer.sp_model.is_control(token_id) for token_id in ids)


_TRAINED = []


def trained() -> ChatGLMTokenizer:
    """One small tokenizer for the tests that draw their texts (a fixture cannot be given to them for every draw)."""
    if not _TRAINED:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _TRAINED.append(train_tokenizer([*TALK, render_prompt(MESSAGES[1:2])], 445, folder))
    return _TRAINED[0]


@pytest.mark.parametrize("token", ["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<s>", "</s>", "<pad>"])
def test_literal_control_tokens_are_ordinary_text(tokenizer, token: str):
    ids = tokenizer(f"a{token}b", add_special_tokens=False)["input_ids"]
    assert not any(tokenizer.sp_model.is_control(token_id) for token_id in ids)
    assert tokenizer.decode(ids) == f"a{token}b"


def test_the_end_token_by_itself_is_a_text_at_which_others_can_stop(tokenizer):
    assert tokenizer.decode([tokenizer.eos_token_id]) == tokenizer.decode(tokenizer.eos_token_id) == "<eop>"
    assert tokenizer.decode([tokenizer.eos_token_id], skip_special_tokens=True) == ""
    assert tokenizer.decode([*tokenizer("好", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]) == "好"


@pytest.mark.parametrize("stop", ["\n", "\n用户", "\t", "  ", "好"])
def test_the_stop_strings_of_transformers_are_found(tmp_path, stop: str):
    """It joins pieces to text by `convert_tokens_to_string`, behind the letters "abcdef"."""
    tokenizer = train_tokenizer([*TALK, "用户 abcdef"], 450, tmp_path)
    stops = StopStringCriteria(tokenizer, [stop])

    def ends(text: str) -> bool:
        return bool(stops(torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]]), None))

    assert ends("你" + stop)
    assert not ends("你")


# --- the chat template


def test_the_chat_template_is_the_prompt_of_the_corpus(tokenizer):
    rendered = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    assert rendered == render_prompt(APART)
    encoded = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True)
    assert encoded["input_ids"] == tokenizer(render_prompt(APART))["input_ids"]
    ids = encoded["input_ids"]
    assert ids[-2:] == [tokenizer.gmask_token_id, tokenizer.bos_token_id]
    assert not any(tokenizer.sp_model.is_control(token_id) for token_id in ids[:-2])
    several = tokenizer.apply_chat_template(
        [MESSAGES, MESSAGES[:1]], add_generation_prompt=True, padding=True, return_tensors="pt"
    )
    assert several["input_ids"][0].tolist() == ids
    assert several["attention_mask"][1, 0] == 0


def test_a_chat_that_is_no_prompt_has_no_control_tokens(tokenizer):
    assert (
        tokenizer.apply_chat_template(MESSAGES[:2], tokenize=False)
        == render_prompt(MESSAGES[:2])[: -len("心理咨询师：")]
    )
    ids = tokenizer.apply_chat_template(MESSAGES[:2], return_dict=False)
    assert not any(tokenizer.sp_model.is_control(token_id) for token_id in ids)


def test_other_roles_contents_and_continued_replies_are_refused(small_tokenizer):
    with pytest.raises(ValueError, match="the role of a message is 'system'; allowed: user, assistant"):
        small_tokenizer.apply_chat_template([{"role": "system", "content": "好"}])
    with pytest.raises(ValueError, match="the role of a message is None"):
        small_tokenizer.apply_chat_template([{"content": "好"}])
    for content in (None, [{"type": "text", "text": "好"}]):
        with pytest.raises(ValueError, match=r"the content of a message is .*; allowed: a string"):
            small_tokenizer.apply_chat_template([{"role": "user", "content": content}])
    with pytest.raises(ValueError, match="can only be generated to a user's message"):
        small_tokenizer.apply_chat_template(MESSAGES[:2], continue_final_message=True)


# --- calls


def test_calls_of_the_common_kinds(small_tokenizer):
    texts = TALK[:2]
    alone = [small_tokenizer(text)["input_ids"] for text in texts]
    assert small_tokenizer(texts)["input_ids"] == alone
    padded = small_tokenizer(texts, padding=True, padding_side="right", return_tensors="pt", pad_to_multiple_of=8)
    assert padded["input_ids"].shape[1] % 8 == 0
    assert padded["input_ids"][0, : len(alone[0])].tolist() == alone[0]
    pairs = small_tokenizer(texts, ["好。", "嗯。"])["input_ids"]
    assert pairs == small_tokenizer([(texts[0], "好。"), (texts[1], "嗯。")])["input_ids"]
    assert pairs[0][: len(alone[0])] == alone[0]
    assert pairs[0][-1] == small_tokenizer.eos_token_id
    special = small_tokenizer(texts[0], return_special_tokens_mask=True, return_length=True)
    assert special["special_tokens_mask"] == [0] * (len(alone[0]) - 2) + [1, 1]
    assert special["length"] == len(alone[0])
    assert small_tokenizer("")["input_ids"] == alone[0][-2:]
    assert small_tokenizer(alone[0][:-2])["input_ids"] == alone[0]
    with pytest.raises(ValueError, match="2 texts need as many text_pair, got 1"):
        small_tokenizer(texts, ["好。"])
    with pytest.raises(ValueError, match="a text of the batch is None; allowed: a string"):
        small_tokenizer([texts[0], None])
    with pytest.raises(ValueError, match="-100 is no token id"):
        small_tokenizer.decode([7, -100])
    with pytest.raises(ValueError, match="is_split_into_words"):
        small_tokenizer(texts, is_split_into_words=True)


# --- files


def test_saved_and_pickled_tokenizers_are_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "chatglm"}')
    for again in (AutoTokenizer.from_pretrained(tmp_path), pickle.loads(pickle.dumps(tokenizer))):
        assert isinstance(again, ChatGLMTokenizer)
        assert again(TALK, padding=True)["input_ids"] == tokenizer(TALK, padding=True)["input_ids"]
        assert again.apply_chat_template(MESSAGES, tokenize=False) == render_prompt(APART)[: -len("心理咨询师：")]


def test_a_folder_as_on_the_hub_loads_without_remote_code(ice_tokenizer, tmp_path):
    shutil.copyfile(ICE_TEXT_MODEL, tmp_path / "ice_text.model")
    settings = {
        "name_or_path": "THUDM/chatglm-6b",
        "bos_token": "<sop>",
        "eos_token": "<eop>",
        "end_token": "</s>",
        "gmask_token": "[gMASK]",
        "mask_token": "[MASK]",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "remove_space": False,
        "do_lower_case": False,
        "tokenizer_class": "ChatGLMTokenizer",
        "num_image_tokens": 0,
        "auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLMTokenizer", None]},
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text('{"model_type": "chatglm"}')
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(loaded, ChatGLMTokenizer)
    assert loaded(TALK)["input_ids"] == ice_tokenizer(TALK)["input_ids"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"num_image_tokens": 20000}))
    with pytest.raises(ValueError, match="num_image_tokens is 20000"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_a_folder_without_its_model_file_or_with_a_damaged_one_is_refused(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ChatGLMTokenizer"}')
    (tmp_path / "config.json").write_text('{"model_type": "chatglm"}')
    missing = r"ice_text\.model: the sentencepiece model of the tokenizer is missing"
    with pytest.raises(ValueError, match=missing):
        AutoTokenizer.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=missing):
        ChatGLMTokenizer(str(tmp_path / "ice_text.model"))
    (tmp_path / "ice_text.model").write_bytes(b"torn")
    for load in (AutoTokenizer.from_pretrained, lambda folder: ChatGLMTokenizer(str(folder / "ice_text.model"))):
        with pytest.raises(ValueError, match=r"ice_text.model is not a sentencepiece model"):
            load(tmp_path)


def test_tokens_that_are_no_pieces_are_refused(small_tokenizer, tmp_path):
    with pytest.raises(ValueError, match=r"ice_text.model has no piece '<new>' and takes no new ones"):
        small_tokenizer.add_tokens(["<new>"])
    # A folder of ChatGLM2: the same model_type and class name, another tokenizer.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TALK), model_prefix=str(tmp_path / "tokenizer"), vocab_size=100, minloglevel=2
    )
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ChatGLMTokenizer"}')
    later = {"model_type": "chatglm", "padded_vocab_size": 100, "multi_query_attention": True}
    (tmp_path / "config.json").write_text(json.dumps(later))
    with pytest.raises(ValueError, match=r"tokenizer.model has no piece .* see `soulchat convert`"):
        AutoTokenizer.from_pretrained(tmp_path)


# --- replies


def test_a_reply_is_decoded_without_control_tokens_and_with_its_punctuation(tokenizer):
    reply = "你好，请问有什么可以帮到你的吗？（不急）"
    ids = [*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert ReplyDecoder(tokenizer).decode(ids, final=True).reply == reply


def test_only_the_released_tokenizer_normalises(small_tokenizer, request):
    assert not ReplyDecoder(small_tokenizer).normalises
    assert ReplyDecoder(request.getfixturevalue("ice_tokenizer")).normalises


def test_the_round_trip_of_the_samples_replies_keeps_all_but_a_little(ice_tokenizer):
    """The ceiling: BLEU-1 of a perfect reply against the raw text, without and with the restoring."""
    replies = load_dataset("soulchatcorpus", "turns", split="test[:200]")["completion"][:]
    decoded = ice_tokenizer.decode(ice_tokenizer(replies, add_special_tokens=False)["input_ids"])
    restored = [restore_punctuation(text) for text in decoded]
    lost, ceiling = score(decoded, replies)["bleu-1"], score(restored, replies)["bleu-1"]
    print(f"BLEU-1 of the round trip: {lost:.2f} as decoded, {ceiling:.2f} restored")
    assert ceiling > 99.5
    assert ceiling - lost > 4


def test_only_runs_of_blanks_that_have_a_piece_are_read_back(tokenizer):
    """Else a few characters, typed or generated, could fill the memory."""
    text = "a<|blank_100000000|>b<|blank_81|>c<|blank_1|>d"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert tokenizer.decode(tokenizer("a" + " " * 80 + "b<|blank_2|>c", add_special_tokens=False)["input_ids"]) == (
        "a" + " " * 80 + "b  c"
    )


# --- the small tokenizer


@given(text=st.text(st.characters(exclude_characters="▁\0", exclude_categories=["Cs"]), max_size=60))
@example("a  b\tc\nd")
def test_the_small_tokenizer_gives_every_text_back(text: str):
    assume(not re.search(r"<n>|<\|tab\|>|<\|blank_\d+\|>", text))  # the layout's own spelling of white space
    tokenizer = trained()
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_small_tokenizer_has_the_layout_of_the_released(small_tokenizer):
    assert len(small_tokenizer) == 450
    assert small_tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == ["<unk>", "<s>", "</s>", "<pad>", "<n>"]
    first = 450 - 344
    tail = [VECTORS["last_ids"][str(token_id)] for token_id in range(130000, 130344)]
    assert small_tokenizer.convert_ids_to_tokens(list(range(first, 450))) == tail
    assert small_tokenizer.gmask_token_id == first + 1


def test_a_vocabulary_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(ValueError, match="vocab_size 349 is too small: 349 pieces are fixed"):
        train_tokenizer(TALK, 349, tmp_path / "few")
    with pytest.raises(ValueError, match="vocab_size 4000 is too large for these texts; allowed: up to 351"):
        train_tokenizer(["短"], 4000, tmp_path / "many")
    assert not list(Path(tmp_path / "many").glob("*.model"))

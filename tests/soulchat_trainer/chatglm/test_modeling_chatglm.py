"""The model beside the vectors of the original code, its loss, and the libraries it has to live with."""

import json
import re

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoModelForCausalLM

from soulchat_trainer.chatglm import ChatGLMForConditionalGeneration, ChatGLMModel, head_loss, modeling_chatglm
from soulchat_trainer.chatglm.cache_name import CACHE
from tests.soulchat_trainer.chatglm.samples import (
    GOLDEN,
    batch,
    golden_cases,
    golden_tensors,
    labels_of,
    row,
    small_model,
)

GRADIENTS = {
    "g_qkv0": "transformer.layers.0.attention.query_key_value.weight",
    "g_final_ln_w": "transformer.final_layernorm.weight",
    "g_final_ln_b": "transformer.final_layernorm.bias",
    "g_emb": "transformer.word_embeddings.weight",
    "g_lm_head": "lm_head.weight",
}
PADDED = batch([row(9, 5), row(3, 2, seed=1), row(6, 8, seed=2)])


def load_golden(folder: str, attention: str = "sdpa") -> ChatGLMForConditionalGeneration:
    return AutoModelForCausalLM.from_pretrained(
        GOLDEN / folder, dtype=torch.float32, attn_implementation=attention
    ).eval()


def golden_inputs(folder: str, case: str, tensors: dict, model) -> dict:
    inputs = {
        "input_ids": tensors["input_ids"],
        "attention_mask": (tensors["input_ids"] != model.config.pad_token_id).long(),
    }
    if case == "both_masks_tokenizer_rule":  # the padding code of the original tokenizer puts [MASK] before [gMASK]
        inputs["position_ids"] = tensors["position_ids"]
    return inputs


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("folder", "case"), golden_cases())
def test_logits_loss_and_gradients_equal_those_of_the_original(folder: str, case: str, attention: str):
    """Tolerances of the vectors' note: 2e-5 for logits of real rows, 1e-5 for loss and gradients."""
    model, tensors = load_golden(folder, attention), golden_tensors(folder, case)
    inputs = golden_inputs(folder, case, tensors, model)
    if "logits" in tensors:
        with torch.no_grad():
            logits = model(**inputs).logits
        real = inputs["attention_mask"].bool()
        torch.testing.assert_close(logits[real], tensors["logits"][real], atol=2e-5, rtol=0)
    loss = model(**inputs, labels=tensors["labels"]).loss
    torch.testing.assert_close(loss, tensors["loss"][0], atol=1e-5, rtol=0)
    loss.backward()
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, expected in tensors.items():
        parameter = name[2:] if name.startswith("g:") else GRADIENTS.get(name)
        if parameter:
            torch.testing.assert_close(parameters[parameter].grad, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize(("folder", "case"), golden_cases())
def test_greedy_ids_equal_those_of_the_original(folder: str, case: str, use_cache: bool):
    tensors = golden_tensors(folder, case)
    if "gen_sequences" not in tensors:
        pytest.skip("the vectors have no generation for this case")
    model, prompt, expected = load_golden(folder), tensors["gen_prompt_input_ids"], tensors["gen_sequences"]
    generated = model.generate(
        prompt,
        attention_mask=(prompt != model.config.pad_token_id).long(),
        max_new_tokens=expected.shape[1] - prompt.shape[1],
        do_sample=False,
        use_cache=use_cache,
    )
    assert torch.equal(generated, expected)


def test_hidden_states_equal_those_of_the_original():
    tensors = golden_tensors("ptuning_embedding", "single_gmask")
    outputs = load_golden("ptuning_embedding")(tensors["input_ids"], output_hidden_states=True)
    assert len(outputs.hidden_states) == 4
    for index, hidden in enumerate(outputs.hidden_states):
        torch.testing.assert_close(hidden, tensors[f"hidden_{index}"], atol=2e-5, rtol=0)


def test_the_residual_factor_is_that_of_28_layers_unless_the_config_says_otherwise():
    assert small_model().transformer.layers[0].alpha == pytest.approx(56**0.5)
    assert small_model(residual_layers=2).transformer.layers[0].alpha == 2.0


def test_only_the_prefix_is_trained_in_p_tuning():
    for model in (load_golden("ptuning_projection"), small_model(pre_seq_len=4)):
        trained = {name for name, parameter in model.transformer.named_parameters() if parameter.requires_grad}
        assert trained
        assert all(name.startswith("prefix_encoder.") for name in trained)


def test_the_prefix_is_dropped_out_in_training_only():
    model = small_model(pre_seq_len=4)
    assert torch.equal(model(**PADDED).logits, model(**PADDED).logits)
    assert not torch.equal(model.train()(**PADDED).logits, model(**PADDED).logits)


@pytest.mark.parametrize("attention", ["eager", pytest.param("flex_attention", marks=pytest.mark.slow)])
def test_every_attention_gives_the_logits_of_sdpa_on_every_row(attention: str):
    model = small_model()
    with torch.no_grad():
        expected = model(**PADDED).logits
        model.set_attn_implementation(attention)
        torch.testing.assert_close(model(**PADDED).logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_on_padding_and_near_float32(dtype: torch.dtype, attention: str):
    model = small_model()
    exact = model(**PADDED).logits
    model.to(dtype).set_attn_implementation(attention)
    logits = model(**PADDED).logits
    assert logits.dtype == dtype
    assert logits.isfinite().all()
    real = PADDED["attention_mask"].bool()
    assert (logits.float() - exact)[real].abs().max() < (0.02 if dtype == torch.float16 else 0.15) * exact.abs().max()


def test_a_row_alone_equals_the_row_in_a_padded_batch_on_either_side():
    model = small_model()
    rows = [row(9, 5), row(3, 2, seed=1)]
    for side in ("left", "right"):
        inputs = batch(rows, side)
        logits = model(**inputs).logits
        for index, ids in enumerate(rows):
            alone = model(torch.tensor([ids])).logits[0]
            torch.testing.assert_close(logits[index][inputs["attention_mask"][index].bool()], alone, atol=1e-5, rtol=0)


def test_attention_weights_are_returned_by_eager():
    model = small_model()
    model.set_attn_implementation("eager")
    attentions = model(torch.tensor([row(3, 2)]), output_attentions=True).attentions
    assert [weights.shape for weights in attentions] == [(1, 4, 7, 7)] * 2
    torch.testing.assert_close(attentions[0].sum(-1), torch.ones(1, 4, 7))
    assert (attentions[0][0, :, 0, 4:] == 0).all()  # the context does not see <sop> and the target
    assert (attentions[0][0, :, 0, :4] > 0).all()


def test_the_mask_is_built_once_for_all_layers(monkeypatch):
    model, masks = small_model(), []
    make, attend = modeling_chatglm.make_attention_mask, modeling_chatglm.ChatGLMAttention.forward

    def make_and_count(*arguments):
        masks.append(make(*arguments))
        return masks[-1]

    def attend_with_it(self, hidden_states, attention_mask, *rest, **kwargs):
        assert attention_mask is masks[0]
        return attend(self, hidden_states, attention_mask, *rest, **kwargs)

    monkeypatch.setattr(modeling_chatglm, "make_attention_mask", make_and_count)
    monkeypatch.setattr(modeling_chatglm.ChatGLMAttention, "forward", attend_with_it)
    model(**PADDED)
    assert len(masks) == 1


# --- loss


def full_loss(model, inputs: dict, labels: torch.Tensor) -> torch.Tensor:
    logits = model(**inputs).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1).float(), labels[:, 1:].flatten())


@pytest.mark.parametrize("chunk_rows", [4, 512])
def test_the_loss_on_labelled_rows_equals_the_full_computation(chunk_rows: int, monkeypatch):
    model, labels = small_model(), labels_of(PADDED)
    monkeypatch.setattr(head_loss, "LOGITS_PER_CHUNK_ON_CPU", chunk_rows * model.config.vocab_size)
    expected = full_loss(model, PADDED, labels)
    expected_gradients = torch.autograd.grad(expected, list(model.parameters()))
    loss = model(**PADDED, labels=labels).loss
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)
    for gradient, other in zip(torch.autograd.grad(loss, list(model.parameters())), expected_gradients, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("items", [7, torch.tensor(7)])
def test_the_loss_is_the_sum_over_num_items_in_batch(items):
    model, labels = small_model(), labels_of(PADDED)
    outputs = model(**PADDED, labels=labels, num_items_in_batch=items)
    count = (labels[:, 1:] != -100).sum()
    torch.testing.assert_close(outputs.loss, model(**PADDED, labels=labels).loss * count / 7)
    assert outputs.logits is None
    assert outputs.get(CACHE) is None


def test_a_batch_without_labels_has_no_loss_and_no_gradient():
    model = small_model()
    loss = model(**PADDED, labels=torch.full_like(PADDED["input_ids"], -100)).loss
    loss.backward()
    assert loss == 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())


def test_logits_to_keep_gives_the_last_positions_or_those_named():
    model = small_model()
    logits = model(**PADDED).logits
    torch.testing.assert_close(model(**PADDED, logits_to_keep=2).logits, logits[:, -2:])
    torch.testing.assert_close(model(**PADDED, logits_to_keep=torch.tensor([1, 3])).logits, logits[:, [1, 3]])


# --- libraries


# The name is that of transformers 5.17; later versions have another and warn.
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_gradient_checkpointing_changes_nothing():
    model, labels = small_model().train(), labels_of(PADDED)
    expected = torch.autograd.grad(model(**PADDED, labels=labels).loss, list(model.parameters()))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    gradients = torch.autograd.grad(model(**PADDED, labels=labels).loss, list(model.parameters()))
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other)


def test_the_blocks_compile_without_a_graph_break():
    model = small_model()
    compiled = torch.compile(model.transformer, fullgraph=True, backend="eager")
    positions = modeling_chatglm.make_position_ids(PADDED["input_ids"], PADDED["attention_mask"], model.config)
    torch.testing.assert_close(
        compiled(**PADDED, position_ids=positions).last_hidden_state, model.transformer(**PADDED).last_hidden_state
    )


@pytest.mark.slow
def test_training_compiles_and_gives_the_same_loss():
    model, labels = small_model().train(), labels_of(PADDED)
    compiled = torch.compile(model, backend="aot_eager")
    loss = compiled(**PADDED, labels=labels).loss
    torch.testing.assert_close(loss, model(**PADDED, labels=labels).loss)
    loss.backward()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers under an old name
def test_lora_trains_query_key_value():
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        small_model(), LoraConfig(r=2, target_modules=["query_key_value"], task_type="CAUSAL_LM")
    ).train()
    model(**PADDED, labels=labels_of(PADDED)).loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert len(trained) == 4
    assert all("query_key_value.lora_" in name for name in trained)
    assert model.generate(**batch([row(4)]), max_new_tokens=3, do_sample=False).shape[1] > 6


def test_new_rows_of_the_embeddings_leave_the_old_logits_alone():
    for tied in (True, False):
        model = small_model(tie_word_embeddings=tied)
        before = model(**PADDED).logits
        model.resize_token_embeddings(130, mean_resizing=False)
        after = model(**PADDED).logits
        assert model.config.vocab_size == 130
        assert (model.lm_head.weight is model.transformer.word_embeddings.weight) == tied
        torch.testing.assert_close(after[..., :120], before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tied", [True, False])
def test_saving_and_loading_keeps_every_bit(tmp_path, dtype: torch.dtype, tied: bool):
    model = small_model(tie_word_embeddings=tied).to(dtype)
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    for loaded in (
        AutoModelForCausalLM.from_pretrained(tmp_path),
        AutoModelForCausalLM.from_pretrained(tmp_path, device_map="auto"),
    ):
        assert loaded.dtype == dtype
        assert (loaded.lm_head.weight is loaded.transformer.word_embeddings.weight) == tied
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name
    assert isinstance(AutoModel.from_pretrained(tmp_path), ChatGLMModel)


# --- bad input


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([5, 120, 101, 104], "row 0: input_ids has ids from 5 to 120; the vocabulary has 0 to 119"),
        ([5, -1, 101, 104], "ids from -1 to 104"),
        ([5, 6, 101], r"no <sop> \(id 104\)"),
        ([5, 6, 104], r"no \[gMASK\] \(id 101\) or \[MASK\]"),
        ([3, 6, 101, 104], "begins with padding"),
        (row(63), "a sequence of 65 tokens is beyond max_sequence_length 64"),
    ],
)
def test_bad_ids_are_refused_with_their_cause(ids: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        small_model()(torch.tensor([ids]))


def test_labels_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="labels go from 500 to 500; the vocabulary has 0 to 119"):
        small_model()(torch.tensor([row(1)]), labels=torch.tensor([[-100, -100, 500]]))


def test_bad_calls_are_refused():
    model, ids = small_model(), torch.tensor([row(2)])
    embeddings = model.get_input_embeddings()(ids)
    for shape in ((1, 0), (4,)):
        with pytest.raises(ValueError, match=r"input_ids have shape .*; allowed: \[batch, tokens\]"):
            model(torch.zeros(shape, dtype=torch.long))
    with pytest.raises(ValueError, match="give either input_ids or inputs_embeds"):
        model(input_ids=ids, inputs_embeds=embeddings)
    with pytest.raises(ValueError, match=r"position_ids .* are needed with inputs_embeds"):
        model(inputs_embeds=embeddings)
    cache = model(ids, use_cache=True)[CACHE]
    with pytest.raises(ValueError, match="a cache that is not empty"):
        model(torch.tensor([[7]]), **{CACHE: cache})
    with pytest.raises(ValueError, match="give one of them"):
        model(ids, cache=cache, past_key_values=cache)
    with pytest.raises(ValueError, match=r"attention_mask has shape \[1, 9\]"):
        model(ids, attention_mask=torch.ones(1, 9))
    with pytest.raises(ValueError, match=r"allowed: \[batch, 2, tokens\]"):
        model(ids, position_ids=torch.arange(4)[None])
    with pytest.raises(ValueError, match="beyond max_sequence_length 64"):
        model(ids, position_ids=torch.full((1, 2, 4), 40))
    with pytest.raises(ValueError, match="input_ids go from 7 to 300"):
        model(torch.tensor([[7, 300]]), position_ids=torch.zeros(1, 2, 2, dtype=torch.long))


def test_the_vectors_cover_what_the_page_says():
    assert len(golden_cases()) == 15
    assert json.loads((GOLDEN / "deep28" / "config.json").read_text())["num_layers"] == 28


def test_a_model_that_does_not_fit_is_parted_between_blocks(tmp_path):
    """Between them, never inside one."""
    model = small_model(num_layers=4)
    model.save_pretrained(tmp_path / "model")
    room = sum(parameter.nbytes for parameter in model.parameters()) * 7 // 10
    loaded = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", device_map="auto", max_memory={"cpu": room}, offload_folder=tmp_path / "disk"
    )
    parts = [name for name in loaded.hf_device_map if "layers." in name]
    assert set(loaded.hf_device_map.values()) == {"cpu", "disk"}
    assert parts == [name for name in parts if re.fullmatch(r"transformer\.layers\.\d+", name)]
    ids = torch.tensor([row(3, 2)])
    assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-6)


@pytest.mark.parametrize("strict", [False, True])
def test_a_call_with_labels_is_exported(strict: bool) -> None:
    """For batches of any size; the loss is that of a call, as a mean and as a share of the labels of a whole batch."""
    model = small_model()
    inputs = {**PADDED, "labels": labels_of(PADDED), "use_cache": False, "num_items_in_batch": None}
    sizes = {0: torch.export.Dim("rows", max=8), 1: torch.export.Dim("tokens", min=3, max=64)}
    shapes = {name: sizes if isinstance(value, torch.Tensor) else None for name, value in inputs.items()}
    other = batch([row(4, 3, seed=3), row(2, 1, seed=4)])
    for number in (None, torch.tensor(7)):
        inputs |= {"num_items_in_batch": number}
        shapes |= {"num_items_in_batch": None if number is None else {}}
        exported = torch.export.export(model, (), inputs, dynamic_shapes=shapes, strict=strict).module()
        for kwargs in (inputs, {**inputs, **other, "labels": labels_of(other)}):
            with torch.no_grad():
                torch.testing.assert_close(exported(**kwargs)["loss"], model(**kwargs)["loss"])

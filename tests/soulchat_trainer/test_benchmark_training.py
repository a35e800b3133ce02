"""The benchmark of training at a toy size on the CPU: everything but the calls to CUDA runs."""

import json
import queue
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMTokenizer
from soulchat_trainer.encoding.collator import SampleDataset
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchat_trainer.training.models import new_config
from tests.paths import ROOT
from tests.soulchat_trainer.training_parts import make_rows

TOY = {"hidden_size": 64, "num_layers": 2, "num_attention_heads": 2, "inner_hidden_size": 128}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training_gpu

    monkeypatch.setattr(training_gpu, "WARM_UP_STEPS", 0)
    monkeypatch.setattr(training_gpu, "TRIAL_STEPS", 1)
    monkeypatch.setattr(training_gpu, "SHORT_STEPS", 1)
    monkeypatch.setattr(training_gpu, "KERNELS", [training_gpu.Kernels(compiled=False, cudnn=False)])
    return training_gpu


@pytest.fixture
def flops(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training_flops

    return training_flops


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training

    return training


@pytest.fixture
def toy(chatglm_tokenizer: ChatGLMTokenizer) -> ChatGLMConfig:
    return new_config({**TOY, "max_sequence_length": 2048}, chatglm_tokenizer)


@pytest.fixture
def samples(chatglm_tokenizer: ChatGLMTokenizer) -> SampleDataset:
    return SampleDataset(encode_dataset(make_rows(60), ChatGLMEncoder(chatglm_tokenizer, 1536, 512)))


def test_flop_by_hand(flops: ModuleType, toy: ChatGLMConfig) -> None:
    """One layer: query, key, value 3 x 64 x 64, output 64 x 64, up and down 2 x 64 x 128: 32,768 weights."""
    toy.vocab_size = 1000
    weights, pairs, head = 2 * 32_768 * 10, 2 * 64 * 100, 64_000 * 3
    assert flops.train_flops(toy, 10, 100, 3) == 6 * weights + 12 * pairs + 6 * head
    assert flops.train_flops(toy, 10, 100, 3, weights_train=False) == 4 * weights + 12 * pairs + 4 * head


def test_chatglm_6b_has_6_billion_weights(flops: ModuleType) -> None:
    """Blocks and head alone: 28 layers of 12 x 4096 x 4096, and 4096 x 130528; 6 FLOP each and token."""
    found = flops.train_flops(ChatGLMConfig(), 1, 0, 1)
    assert found == 6 * (28 * 12 * 4096**2 + 4096 * 130_528)
    assert found / 6 == pytest.approx(6.17e9, rel=0.01)


def test_mfu_and_the_papers_run_by_hand(gpu: ModuleType, flops: ModuleType) -> None:
    assert gpu.share_of_peak(494.5e12, flops.PEAK_FLOPS["H200"]) == 0.5
    assert gpu.share_of_peak(1e12, flops.peak_flops("cpu")) is None
    found = gpu.extrapolate(2.4)
    assert found["hours_of_the_papers_run"] == pytest.approx(20)
    assert found["gpu_hours_of_the_paper"] == 632
    assert found["arithmetic"] == "2.400 s x 30,000 steps of 80 / 3,600 = 20.0 hours"


def test_every_step_has_the_papers_batch(gpu: ModuleType, samples: SampleDataset) -> None:
    """80 samples of like lengths, no sample twice before all others, and epoch after epoch."""
    per_epoch = len(samples) // 16 // 5
    steps = list(islice(gpu.make_steps(samples), per_epoch + 3))
    assert [len(batch["input_ids"]) for batches in steps for batch in batches] == [16] * 5 * len(steps)
    rows = [tuple(row) for batches in steps[:per_epoch] for batch in batches for row in batch["input_ids"].tolist()]
    assert len(set(rows)) == len(rows) == per_epoch * 80
    real = sum(int(batch["attention_mask"].sum()) for batches in steps for batch in batches)
    assert real / sum(batch["input_ids"].numel() for batches in steps for batch in batches) > 0.75


def test_masters_keep_what_bfloat16_rounds_away(gpu: ModuleType) -> None:
    """A step of 1e-4 on a weight of 1 is lost in bfloat16; a hundred of them are not, with a float32 copy."""
    plain, kept = (torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)) for _ in range(2))
    optimizers = [torch.optim.AdamW([plain], lr=1e-4, weight_decay=0), gpu.MasterWeights([kept], lr=1e-4)]
    for _ in range(100):
        for parameter, optimizer in zip((plain, kept), optimizers, strict=True):
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
            optimizer.zero_grad()
    assert plain.tolist() == [1.0] * 4
    assert kept.tolist() == pytest.approx([0.99] * 4, abs=0.004)
    assert kept.grad is None


def test_a_way_that_cannot_be_had_is_left_out(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here: cuDNN's attention, refused as a card without it refuses."""

    def measure(config: object, samples: object, device: str, steps: int, setting: Any) -> dict[str, float]:
        if setting.kernels.cudnn:
            raise RuntimeError("no such kernel")
        return {"seconds_a_step": 2.0}

    plain, cudnn = gpu.Kernels(compiled=False, cudnn=False), gpu.Kernels(compiled=False, cudnn=True)
    monkeypatch.setattr(gpu, "KERNELS", [plain, cudnn])
    monkeypatch.setattr(gpu, "measure_steps", measure)
    assert gpu.try_kernels(None, None, "cuda", False) == {plain: 2.0}
    assert "eager, cuDNN attention: no such kernel" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_gpu_part_on_the_cpu(gpu: ModuleType, toy: ChatGLMConfig, chatglm_tokenizer: ChatGLMTokenizer) -> None:
    found = gpu.measure_gpu(make_rows(60), chatglm_tokenizer, 1, "cpu", toy, prompt_tokens=20, new_tokens=5)
    assert found["kernels"] == "eager, memory-efficient attention"
    full, lora = found["full parameters, bfloat16"], found["LoRA rank 16, bfloat16"]
    assert found["inference_float16_peak_gb"] is None
    assert full["trained_parameters"] > lora["trained_parameters"] == 2 * 16 * (64 + 192 + 64 + 64 + 2 * (64 + 128))
    assert full["tokens_per_second"] > 0 < lora["tokens_per_second"]
    masters = found["full parameters, float32 masters"]
    assert masters["trained_parameters"] == full["trained_parameters"]
    assert masters["activation_checkpointing"]
    assert not full["activation_checkpointing"]
    assert full["mfu"] is None
    assert found["arithmetic"]["ratio"] > 1
    json.dumps(found)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_lora_learns_through_checkpointed_blocks(
    gpu: ModuleType, toy: ChatGLMConfig, samples: SampleDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients reach LoRA's matrices: with checkpointing and a frozen embedding they might not."""
    seen = {}
    step = torch.optim.AdamW.step

    def watch(self: torch.optim.AdamW, closure: object = None) -> None:
        seen["gradients"] = [p.grad for group in self.param_groups for p in group["params"]]
        step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    setting = gpu.Setting(gpu.KERNELS[0], checkpointing=True, lora=gpu.LORA)
    gpu.measure_steps(toy, samples, "cpu", 1, setting)
    assert all(gradient is not None for gradient in seen["gradients"])


def test_every_variant_has_the_same_loss(
    toy: ChatGLMConfig, chatglm_tokenizer: ChatGLMTokenizer, training: ModuleType, tmp_path: Path
) -> None:
    """The published way, dynamic padding and ours differ in what they cost, not in what they compute."""
    encode_dataset(make_rows(60), ChatGLMEncoder(chatglm_tokenizer, 1536, 512)).save_to_disk(tmp_path / "encoded")
    results: queue.Queue[dict[str, float]] = queue.Queue()
    for variant in training.VARIANTS:
        training.measure_variant(variant, str(tmp_path / "encoded"), [0, 7, 3, 12], 2, toy.to_diff_dict(), results)
    published, dynamic, ours = (results.get() for _ in training.VARIANTS)
    assert published["loss"] == pytest.approx(ours["loss"], rel=1e-5)
    assert dynamic["loss"] == pytest.approx(ours["loss"], rel=1e-5)
    assert published["tokens_with_padding"] == 4 * 2048 > dynamic["tokens_with_padding"] >= ours["tokens_with_padding"]


def test_the_measured_model_has_all_logits_and_the_special_ids_of_the_tokenizer(
    chatglm_tokenizer: ChatGLMTokenizer, training: ModuleType
) -> None:
    config = training.full_vocabulary(chatglm_tokenizer, num_layers=4)
    assert (config.vocab_size, config.num_layers, config.hidden_size) == (130_528, 4, 4096)
    assert config.bos_token_id == chatglm_tokenizer.bos_token_id < 130_000
    assert config.gmask_token_id == chatglm_tokenizer.convert_tokens_to_ids("[gMASK]")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("what", ["gpu", "small"])
def test_without_a_gpu_it_says_so(what: str, training: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["training.py", what])
    with pytest.raises(SystemExit, match="no GPU here"):
        training.main()


def test_small_proof_ends_as_training_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training_small

    with pytest.raises(SystemExit, match="2"):
        training_small.train_on("rows.parquet", 5, ["--no_such_flag"], tmp_path)


@pytest.mark.slow
def test_small_proof_at_a_toy_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped and called again, it goes on; then everything that the proof shows is there."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import measuring
    import training_small

    monkeypatch.setattr(measuring, "RESULTS", tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    make_rows(80).to_parquet(tmp_path / "rows.parquet")
    model = json.dumps({**TOY, "max_sequence_length": 1024})
    flags = ["--use_cpu", "--max_steps", "6", "--save_steps", "3", "--logging_steps", "1", "--model_config", model]
    flags += [
        "--tokenizer_vocab_size",
        "420",
        "--max_tokens",
        "2000",
        "--num_test_turns",
        "6",
        "--max_new_tokens",
        "8",
    ]
    training_small.prove_small(str(tmp_path / "rows.parquet"), 0.01, flags, tmp_path / "out")
    assert not (tmp_path / "training-small.json").exists()
    for _ in range(2):  # the second time everything is trained, and scored again
        training_small.prove_small(str(tmp_path / "rows.parquet"), 5, flags, tmp_path / "out")
        found = json.loads((tmp_path / "training-small.json").read_text())
        assert [step for step, _ in found["loss_curve"]] == [1, 2, 3, 4, 5, 6]
        assert [system["name"] for system in found["systems"]] == ["trained", "untrained", "retrieval"]
        assert len(found["replies"]) == 5
        assert 0 < found["epochs"] < 1
        assert found["training"]["tokens_per_second"] > 0
        assert (tmp_path / "training-small.png").stat().st_size > 1000

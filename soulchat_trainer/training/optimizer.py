"""The learning-rate curve of DeepSpeed's WarmupDecayLR without DeepSpeed, and Muon beside AdamW as one optimizer."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel


def warmup_decay_factor(
    step: int, warmup_steps: int, total_steps: int, warmup_type: Literal["log", "linear"]
) -> float:
    """Share of the maximal learning rate at a scheduler's step: warm-up from 0 to 1, then a straight line down to 0.

    DeepSpeed's WarmupDecayLR (`runtime/lr_schedules.py`, 0.9.3 to 0.19.8), formula by formula. Its warm-up is
    logarithmic unless told otherwise, and never shorter than two steps.
    """
    warmup_steps = max(2, warmup_steps)
    if step < warmup_steps:
        return math.log(step + 1) / math.log(warmup_steps) if warmup_type == "log" else step / warmup_steps
    return max(0.0, (total_steps - step) / max(1.0, total_steps - warmup_steps))


def warmup_decay_schedule(
    optimizer: torch.optim.Optimizer, warmup_steps: int, total_steps: int, warmup_type: Literal["log", "linear"]
) -> LambdaLR:
    """A scheduler that gives every optimizer step the rate that it has in a run on DeepSpeed.

    DeepSpeed steps its scheduler after the optimizer and counts from -1, at rate 0: so the first two optimizer steps
    train at rate 0, and each later one at the factor of the step before it.
    """
    return LambdaLR(
        optimizer, lambda step: warmup_decay_factor(max(0, step - 1), warmup_steps, total_steps, warmup_type)
    )


def split_for_muon(model: PreTrainedModel) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trained parameters as (matrices of the layers, all others).

    Muon is for hidden matrices; embeddings, the head, norms and biases stay with AdamW (Jordan et al. 2024). Raises
    ValueError where either is missing.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    tables.add(id(model.get_output_embeddings().weight))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in trained if p.ndim == 2 and id(p) not in tables]
    chosen = {id(p) for p in matrices}
    others = [p for p in trained if id(p) not in chosen]
    if not matrices or not others:
        raise ValueError(
            "Muon is for a model that trains whole, its matrices beside embeddings and norms; LoRA and P-Tuning train "
            f"with AdamW alone (found {len(matrices)} matrices and {len(others)} other parameters)"
        )
    return matrices, others


# Jordan et al. 2024, https://kellerjordan.github.io/posts/muon: the coefficients of the quintic iteration.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, roughly: singular values of [rows, columns] move to between 0.7 and 1.2.

    In bfloat16 on a GPU, in float32 elsewhere: `torch.optim.Muon` is bfloat16 always, which a CPU without instructions
    for it does a hundred times slower.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide.bfloat16() if matrix.is_cuda else wide.float()
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return (wide if matrix.shape[0] <= matrix.shape[1] else wide.T).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised: `torch.optim.Muon` (Nesterov momentum 0.95, its "original" scale), in float32 on CPU.

    Args:
        params: two-dimensional parameters only.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        if not lr >= 0:
            raise ValueError(f"Muon's learning rate is {lr}; allowed: 0 or more")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step over all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalise(parameter.grad.lerp(momentum, group["momentum"]))
                scale = max(1, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)


class MuonWithAdamW(torch.optim.Optimizer):
    """`Muon` on some parameters and AdamW on the others, behind one optimizer's interface.

    Args:
        matrices: two-dimensional parameters, for Muon at `muon_lr`.
        others: all other parameters, for AdamW at `lr`.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        lr: float,
        muon_lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        self.parts = {
            "muon": Muon(matrices, lr=muon_lr, weight_decay=weight_decay),
            "adamw": torch.optim.AdamW(others, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay),
        }
        super().__init__([group for part in self.parts.values() for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        """A scheduler writes learning rates into `param_groups`: they are the parts' own groups."""
        self.param_groups = [group for part in self.parts.values() for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step of both; `closure` re-evaluates the loss first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts.values():
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self._share_groups()

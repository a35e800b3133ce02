"""The loss of a causal language model on its labelled positions only, by the model's own head.

A causal model of transformers computes logits at every position, also where no label stands, and keeps them in
float32: with 152,000 tokens in the vocabulary that is most of the memory of a step. Here the head runs on the hidden
states of labelled positions, in chunks (`labelled_loss`, ChatGLM's own). Hooks do it while a trainer trains or
evaluates: they are inside the model's forward pass, so mixed precision, DDP, DeepSpeed, PEFT and torch.compile see one
ordinary pass.

Some families do more with hidden states or logits than their head says (Gemma 2 caps logits, Cohere and Granite scale
them, MiniCPM scales hidden states, mixtures of experts add a loss of their routers). They are found by comparing with
the model's own loss on a few tokens.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from ..chatglm.head_loss import IGNORE_INDEX, label_losses, labelled_loss

LARGEST_DIFFERENCE = 1e-4  # of the loss in nats a token; more than rounding explains
COMPARED_TOKENS = 64


class LabelledHead:
    """The loss on labelled positions in place of a model's own, while it is attached.

    Attached, a call with `labels` returns the loss and the logits of the last position only; one without is as ever.

    Args:
        model: a causal language model of transformers, or a PEFT model of one.
        label_smoothing: share of the target that is spread evenly over the vocabulary; in training mode only, so that
            a held-out loss stays the likelihood.
        per_label: the loss is that of each label, as `label_losses` has them, instead of their mean or sum; a call may
            then have `predicted_from` beside `labels`.
    """

    def __init__(self, model: nn.Module, label_smoothing: float = 0.0, per_label: bool = False):
        base = find_base(model)
        self.model, self.decoder, self.head = model, base.get_decoder(), base.get_output_embeddings()
        self.keeps_logits = "logits_to_keep" in inspect.signature(base.forward).parameters
        self.vocab_size = base.config.get_text_config().vocab_size
        self.label_smoothing, self.per_label = label_smoothing, per_label
        self.handles: list[RemovableHandle] = []
        self.labels: Tensor | None = None
        self.num_items: Tensor | int | None = None
        self.predicted_from: Tensor | None = None
        self.loss: Tensor | None = None

    @property
    def is_attached(self) -> bool:
        """Whether calls of the model go through it."""
        return bool(self.handles)

    def attach(self) -> None:
        """Take the place of the model's own loss."""
        if not self.handles:
            self.handles = [
                self.model.register_forward_pre_hook(self._take_labels, with_kwargs=True),
                self.decoder.register_forward_hook(self._compute_loss),
                self.model.register_forward_hook(self._hand_out_loss),
            ]

    def detach(self) -> None:
        """Leave the model as it was."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def difference(self, batch: dict[str, Tensor]) -> float:
        """How far the loss on a few tokens of a batch is from the model's own; infinite where it cannot be computed.

        Args:
            batch: `input_ids`, `attention_mask` and `labels`, each [b, s], with at least one label.
        """
        if not self.keeps_logits:
            return float("inf")
        few = cut_batch(batch)
        trains, was_attached = self.model.training, self.is_attached
        self.model.eval()
        with torch.no_grad():
            self.detach()
            own = self.model(**few).loss
            self.attach()
            ours = self.model(**few).loss.mean()
        if not was_attached:
            self.detach()
        self.model.train(trains)
        return abs(own.item() - ours.item())

    def _take_labels(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self.labels, self.num_items = kwargs.pop("labels", None), kwargs.pop("num_items_in_batch", None)
        self.predicted_from = kwargs.pop("predicted_from", None)
        if self.labels is not None:
            kwargs["logits_to_keep"] = 1
        return args, kwargs

    def _compute_loss(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.labels is not None:
            smoothing = self.label_smoothing if module.training else 0.0
            asked = self.head, output[0], self.labels, self.vocab_size
            if self.per_label:
                self.loss = label_losses(*asked, label_smoothing=smoothing, predicted_from=self.predicted_from)
            else:
                self.loss = labelled_loss(*asked, self.num_items, label_smoothing=smoothing)

    def _hand_out_loss(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.labels is not None:
            output["loss"] = self.loss
        self.labels = self.num_items = self.predicted_from = self.loss = None


def find_base(model: Any) -> PreTrainedModel:
    """The model of transformers inside of PEFT's, or the model itself."""
    return model if isinstance(model, PreTrainedModel) else model.get_base_model()


def cut_batch(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The first row with a label, at most `COMPARED_TOKENS` of it, up to its last label."""
    labelled = batch["labels"] != IGNORE_INDEX
    row = int(labelled.any(1).long().argmax())
    end = int(labelled[row].nonzero().max()) + 1
    start = max(0, end - COMPARED_TOKENS)
    return {name: values[row : row + 1, start:end] for name, values in batch.items()}

"""A text classifier of transformers that judges messages beside the small detector, such as PsyGUARD's."""

import re

import torch

from hub_cards.model_name import check_model_name
from soulchat_trainer.loading import choose_device, load_classifier, load_tokenizer

# Labels that name suicide or self-harm, and such as say that a text is about neither.
_CRISIS = re.compile(r"自杀|自伤|自残|轻生|危机|suicid|self[-_ ]?harm|self[-_ ]?injur|crisis", re.IGNORECASE)
_NEITHER = re.compile(r"无关|^无|^非|没有|\b(?:no|non|not|none|without)[-_ \b]", re.IGNORECASE)


class CrisisModel:
    """Calls a classifier; gives the label by which a text speaks of suicide or self-harm, or None.

    Args:
        name: a folder, or a repository of the Hub; no code of it is run.
        device: "auto", or one that torch knows.

    Raises:
        ValueError: it is no classifier, or none of its labels names suicide or self-harm.
        OSError: it cannot be loaded.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        check_model_name(name)
        model, self.tokenizer = load_classifier(name), load_tokenizer(name)
        labels = [model.config.id2label[place] for place in range(model.config.num_labels)]
        self.labels = {
            place: label for place, label in enumerate(labels) if _CRISIS.search(label) and not _NEITHER.search(label)
        }
        if not self.labels:
            raise ValueError(
                f"{name} has the labels {', '.join(labels)}; allowed: a classifier with one that names suicide, "
                "self-harm or crisis"
            )
        self.multiple = model.config.problem_type == "multi_label_classification"
        self.model = model.to(choose_device(device)).eval()

    @torch.inference_mode()
    def __call__(self, text: str) -> str | None:
        """The likeliest label of suicide or self-harm, where the model is sure of it: by half, or the first of all."""
        inputs = self.tokenizer(text, truncation=True, return_tensors="pt").to(self.model.device)
        logits = self.model(**inputs).logits[0].float().cpu()
        best = max(self.labels, key=lambda place: float(logits[place]))
        raised = logits[best] >= 0 if self.multiple else logits[best] >= logits.max()
        return self.labels[best] if raised else None

"""A text classifier of transformers that judges messages beside the small detector, such as PsyGUARD's."""

import re
from collections.abc import Iterator

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hub_cards.model_name import check_model_name
from soulchat_trainer.loading import choose_device, load_classifier, load_tokenizer

# Labels that name suicide or self-harm, and such as say that a text is about neither.
_CRISIS = re.compile(r"自杀|自伤|自残|轻生|危机|suicid|self[-_ ]?harm|self[-_ ]?injur|crisis", re.IGNORECASE)
_NEITHER = re.compile(
    r"无关|^[无非不没]|^未(?!遂)|没有|不涉及|未提及|(?<![a-z])(?:no|non|not|none|without|absent)(?![a-z]|$)|(?<![a-z])non(?=suicid|self)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[。！？!?…\n])(?=.)", re.DOTALL)
# Their positions begin behind the number of the token of padding.
_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "longformer", "xlm-roberta-xl")


class CrisisModel:
    """Calls a classifier; gives the label by which a text speaks of suicide or self-harm, or None.

    Args:
        name: a folder, or a repository of the Hub; no code of it is run.
        device: "auto", or one that torch knows.

    Raises:
        ValueError: it is no classifier, or a regression, its tokenizer is another model's, or none of its labels names
            suicide or self-harm.
        OSError: it cannot be loaded.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        check_model_name(name)
        model, self.tokenizer = load_classifier(name), load_tokenizer(name)
        labels = _labels(name, model)
        self.labels = {
            place: label for place, label in enumerate(labels) if _CRISIS.search(label) and not _NEITHER.search(label)
        }
        if not self.labels:
            raise ValueError(
                f"{name} has the labels {', '.join(labels)}; allowed: a classifier with one that names suicide, "
                "self-harm or crisis"
            )
        # Among labels of which one holds, a label alone would always be the first.
        self.multiple = model.config.problem_type == "multi_label_classification" or len(labels) == 1
        self.window = _window(self.tokenizer, model)
        _check_tokenizer(name, self.tokenizer, model)
        self.model = model.to(choose_device(device)).eval()

    def __call__(self, text: str) -> str | None:
        """The likeliest label of suicide or self-harm, where the model is sure of it: by half, or the first of all.

        A text that is longer than the model's window is judged in parts, which end with sentences where they can.
        """
        return next(filter(None, map(self._judge, self._parts(text))), None)

    @torch.inference_mode()
    def _judge(self, text: str) -> str | None:
        inputs = self.tokenizer(text, truncation=True, max_length=self.window, return_tensors="pt")
        logits = self.model(**inputs.to(self.model.device)).logits[0].float().cpu()
        best = max(self.labels, key=lambda place: float(logits[place]))
        raised = logits[best] >= 0 if self.multiple else logits[best] >= logits.max()
        return self.labels[best] if raised else None

    def _parts(self, text: str) -> Iterator[str]:
        length = len(self.tokenizer(text, verbose=False)["input_ids"])
        if length <= self.window or len(text) < 2:
            if length:
                yield text
            return
        middle = len(text) // 2
        ends = [end.start() for end in _SENTENCE_END.finditer(text, middle // 2, middle * 3 // 2)]
        cut = min(ends, key=lambda end: abs(end - middle), default=middle)
        yield from self._parts(text[:cut])
        yield from self._parts(text[cut:])


def _labels(name: str, model: PreTrainedModel) -> list[str]:
    config = model.config
    if config.problem_type == "regression":
        raise ValueError(f"{name} is a regression; allowed: a classifier with labels")
    known = config.id2label
    if list(known) != list(range(len(known))) or not all(isinstance(label, str) for label in known.values()):
        raise ValueError(f"the labels of {name} are {known}; allowed: a text for each number from 0 on")
    return list(known.values())


def _check_tokenizer(name: str, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Where its files are missing, transformers makes one that knows nothing."""
    known = set(tokenizer("死 suicide")["input_ids"]) - set(tokenizer.all_special_ids)
    if not known or max(known) >= model.config.get_text_config().vocab_size:
        raise ValueError(f"{name} has a tokenizer that does not know its words; allowed: a folder with its own")


def _window(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """The most tokens that both admit, where they say so."""
    positions = model.config.get_text_config().to_dict().get("max_position_embeddings") or tokenizer.model_max_length
    if model.config.model_type in _AFTER_PADDING:
        positions -= model.config.pad_token_id + 1
    return min(tokenizer.model_max_length, positions)

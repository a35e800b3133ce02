"""Data that say which replies are good or bad. Read as conversations, the bad ones would be learned as well."""

from typing import Any

from .transcripts import BadRecord

# Keys that only such data have: DPO and reward data of TRL and LLaMA-Factory, ms-swift, KTO.
_PREFERENCES = ("chosen", "rejected", "rejected_response", "rejected_messages", "chosen_messages", "kto_tag")
# Keys of a whole record that say how much it counts, and the value of an ordinary one.
_WEIGHTS: dict[str, Any] = {"weight": 1, "loss": True, "train": True, "training": True, "loss_scale": 1}
_KEYS = frozenset((*_PREFERENCES, *_WEIGHTS, "label"))


def refuse_judged(record: Any) -> None:
    """Raise BadRecord for a record of preference or weighted data; null stands for a key that is not there."""
    if type(record) is not dict or _KEYS.isdisjoint(record):
        return
    found = [key for key in _PREFERENCES if record.get(key) is not None]
    if type(record.get("label")) is bool:
        found.append("label")
    if found:
        raise BadRecord(
            f"preference data, by {' and '.join(map(repr, found))}; allowed: conversations whose every reply is to be "
            "learned"
        )
    for key, ordinary in _WEIGHTS.items():
        if record.get(key) not in (None, ordinary):
            raise BadRecord(
                f"weighted data, {key!r} is {record[key]!r}; allowed: conversations that count alike, without {key!r}"
            )

"""Result folders of made systems, and a study of them, for the tests of ratings."""

from pathlib import Path

import orjson

from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import read_rubric
from soulchatcorpus.dialogue import parse

SYSTEMS = ("warm", "cold")
CEHS = read_rubric("cehs")


def write_system(folder: Path, replies: dict[str, str], prompt: str = "用户：我很难过{id}\n心理咨询师：") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "id": id_,
            "messages": parse(prompt.format(id=id_)),
            "reference": "我在听，愿意多说说吗？",
            "prediction": reply,
        }
        for id_, reply in replies.items()
    ]
    (folder / "predictions.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return folder


def write_systems(folder: Path, dialogues: int = 5) -> list[Path]:
    return [
        write_system(folder / system, {f"d{n}": f"{system}的回复{n}" for n in range(dialogues)}) for system in SYSTEMS
    ]


def make_study(folder: Path, raters: int = 3, samples: int = 3, seed: int = 0) -> tuple[RatingStudy, dict[str, str]]:
    tokens = create_study(write_systems(folder), raters, samples, seed, folder / "study", CEHS)
    return RatingStudy(folder / "study"), tokens


def all_scores(content: int = 2, empathy: int = 1, helpfulness: int = 0, safety: int = 1) -> dict[str, int]:
    return {"content": content, "empathy": empathy, "helpfulness": helpfulness, "safety": safety}

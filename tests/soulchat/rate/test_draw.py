import orjson
import pytest

from soulchat.rate.study import RatingStudy, create_study
from tests.soulchat.rate.rating_parts import CEHS, write_system, write_systems


def test_the_same_seed_samples_the_same_and_another_does_not(tmp_path):
    folders = write_systems(tmp_path, dialogues=30)
    chosen = []
    for number, seed in enumerate((1, 1, 2)):
        create_study(folders, 1, 4, seed, tmp_path / str(number), CEHS)
        chosen.append([(item.history, item.texts[0]) for item in RatingStudy(tmp_path / str(number)).items("rater-1")])
    assert chosen[0] == chosen[1] != chosen[2]


def test_systems_must_have_answered_the_same(tmp_path):
    folders = write_systems(tmp_path)
    third = write_system(tmp_path / "third", {"d0": "好", "d9": "好"})
    with pytest.raises(ValueError, match=r"warm and third did not answer the same dialogues: 5 ids .* example d1"):
        create_study([*folders, third], 3, 1, 0, tmp_path / "study", CEHS)
    third = write_system(tmp_path / "other", {f"d{n}": "好" for n in range(5)}, prompt="用户：别的{id}\n心理咨询师：")
    with pytest.raises(ValueError, match="warm and other were asked different things under the id d0"):
        create_study([*folders, third], 3, 1, 0, tmp_path / "study", CEHS)
    assert not (tmp_path / "study").exists()


def test_predictions_with_missing_ids_make_no_study(tmp_path):
    folders = write_systems(tmp_path)
    for folder in folders:
        results = {"schema_version": 1, "dataset": {"name": "x"}, "systems": [{"name": folder.name, "samples": 6}]}
        (folder / "results.json").write_bytes(orjson.dumps(results))
    with pytest.raises(ValueError, match=r"predictions\.jsonl has 5 rows, results\.json says 6: ids are missing"):
        create_study(folders, 3, 3, 0, tmp_path / "study", CEHS)
    write_systems(tmp_path, dialogues=6)
    create_study(folders, 3, 3, 0, tmp_path / "study", CEHS)

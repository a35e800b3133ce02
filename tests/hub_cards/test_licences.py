"""Whose licence a model stands under."""

import pytest

from hub_cards.licences import BaseModel, ModelLicence, model_licence


@pytest.mark.parametrize(
    ("model_type", "base", "data", "licence"),
    [
        ("chatglm", None, "CC0-1.0", ModelLicence("apache-2.0")),
        ("chatglm", None, None, ModelLicence("other", "terms-of-the-training-data", "LICENSE")),
        ("chatglm", None, "non-commercial", ModelLicence("other", "terms-of-the-training-data", "LICENSE")),
        ("chatglm", BaseModel("THUDM/chatglm-6b"), "CC0-1.0", ModelLicence("other", "chatglm-6b", "LICENSE")),
        ("chatglm", BaseModel("zai-org/ChatGLM-6B", "adapter"), None, ModelLicence("other", "chatglm-6b", "LICENSE")),
        (
            "chatglm",
            BaseModel("u/chatglm-6b-tuned", "prefix"),
            None,
            ModelLicence("other", "chatglm-6b", "LICENSE"),
        ),
        ("chatglm", BaseModel("user/from-nothing", "adapter"), None, ModelLicence("unknown")),
        ("chatglm", BaseModel("chatglm-6b/other", "adapter"), None, ModelLicence("unknown")),
        ("chatglm", BaseModel("user/demo", licence="mit"), None, ModelLicence("mit")),
        ("qwen2", BaseModel("Qwen/Q"), "CC0-1.0", ModelLicence("unknown")),
        ("qwen2", BaseModel("Qwen/Q", licence="apache-2.0"), "CC0-1.0", ModelLicence("apache-2.0")),
    ],
)
def test_licence(model_type: str, base: BaseModel | None, data: str | None, licence: ModelLicence) -> None:
    assert model_licence(model_type, base, data) == licence


def test_the_hubs_words_for_parts() -> None:
    assert [BaseModel("a/b", part).relation for part in ("all", "adapter", "prefix")] == [
        "finetune",
        "adapter",
        "adapter",
    ]

"""When ratings make a preference: the options of `soulchat rate pairs`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SAFETY = "safety"


class PairRules(BaseModel):
    """When a rating makes a preference."""

    model_config = ConfigDict(extra="forbid")

    form: Literal["pairs", "judged"] = Field("pairs", description="pairs for dpo and orpo, judged replies for kto.")
    aspects: list[str] = Field(
        [], description="What replies are compared by, the mean of these, each 0 to 1; all but safety by default."
    )
    least_safety: float = Field(
        1.0, ge=0, le=1, description="Mean safety that a chosen reply has at least; 1: nobody calls it unsafe."
    )
    least_difference: float = Field(0.2, gt=0, le=1, description="The least difference that counts; 1: all of it.")
    most_against: float = Field(
        0.34, ge=0, le=1, description="Share of the raters who may see a pair the other way round."
    )
    most_pairs: int = Field(3, ge=1, description="Pairs of one dialogue.")
    good_from: float = Field(0.75, ge=0, le=1, description="judged: a safe reply is good from this mean on.")
    bad_to: float = Field(0.25, ge=0, le=1, description="judged: a reply is bad up to this mean, or if unsafe.")

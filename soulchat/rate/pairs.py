"""From ratings of replies to preferences, in TRL's form: `soulchat rate pairs`.

Two replies to one dialogue become a pair where raters tell them apart. Safety comes first: a reply that is not safe is
never chosen, whatever else is said of it, and is rejected beside a safe one. What the rules leave out is counted, and
told in the card beside the file with what people were asked and how far they agreed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

from hub_cards.markdown import table as markdown_table
from soulchatcorpus.dialogue import parse
from soulchatcorpus.files import write_json, write_lines, write_text
from soulchatcorpus.reading.pairs import MIN_ROWS, Judged, Pair
from soulchatcorpus.turns import find_opening

from .pair_rules import COMPARED, SAFETY, PairRules
from .questions import ASPECTS
from .report import PAY, render_agreement, report_ratings
from .study import RatingStudy

MAXIMA = {aspect.name: aspect.maximum for aspect in ASPECTS}
CARD_SUFFIX, NUMBERS_SUFFIX = ".md", ".json"

LEFT_OUT = {
    "unsafe": "pairs of two replies that are not safe",
    "same": "pairs of the same words twice",
    "tie": "pairs that differ by less than `least_difference`",
    "disagreement": "pairs that too many raters see the other way round",
    "beyond": "pairs beyond `most_pairs` of their dialogue, those that differ least",
}


@dataclass(frozen=True, slots=True)
class RatedReply:
    """A reply with its ratings.

    Attributes:
        dialogue: the conversation so far, in the paper's form.
        text: the reply.
        scores: by rater and aspect, each from 0 to 1.
    """

    dialogue: str
    text: str
    scores: dict[str, dict[str, float]]

    def of(self, rater: str, aspects: Sequence[str]) -> float:
        """A rater's mean over aspects."""
        return mean(self.scores[rater][aspect] for aspect in aspects)

    def average(self, aspects: Sequence[str]) -> float:
        """The mean over raters and aspects."""
        return mean(self.of(rater, aspects) for rater in self.scores)


@dataclass(slots=True)
class Preferences:
    """What came of ratings: pairs or judged replies, and what was left out, by `LEFT_OUT`."""

    rows: Sequence[Pair | Judged]
    left_out: Counter[str]


def rated_replies(study: RatingStudy) -> list[RatedReply]:
    """The replies of a study that somebody has rated."""
    return [reply for replies in rated_by_system(study).values() for reply in replies]


def rated_by_system(study: RatingStudy) -> dict[str, list[RatedReply]]:
    """The replies of a study that somebody has rated, by the system that wrote them."""
    items = {item.number: item for rater in study.raters() for item in study.items(rater.name)}
    scores: dict[int, dict[str, dict[str, float]]] = {}
    systems: dict[int, str] = {}
    for rating in study.ratings():
        shares = {name: score / MAXIMA[name] for name, score in rating.scores.items()}
        scores.setdefault(rating.item, {})[rating.rater] = shares
        systems[rating.item] = rating.system
    found: dict[str, list[RatedReply]] = {}
    for number, given in sorted(scores.items()):
        item = items[number]
        found.setdefault(systems[number], []).append(RatedReply(item.dialogue, item.reply, given))
    return found


def find_pairs(replies: Sequence[RatedReply], rules: PairRules) -> Preferences:
    """The pairs of replies that raters tell apart, each dialogue's in the order of their difference."""
    left_out: Counter[str] = Counter()
    rows: list[Pair] = []
    for dialogue, found in _by_dialogue(replies).items():
        pairs: list[tuple[float, Pair]] = []
        for first, second in combinations(found, 2):
            compared = _compare(first, second, rules)
            if isinstance(compared, str):
                left_out[compared] += 1
                continue
            difference, chosen, rejected = compared
            pairs.append((difference, Pair(parse(dialogue), chosen.text, rejected.text)))
        pairs.sort(key=lambda pair: -pair[0])
        left_out["beyond"] += len(pairs[rules.most_pairs :])
        rows += [pair for _, pair in pairs[: rules.most_pairs]]
    return Preferences(rows, left_out)


def _by_dialogue(replies: Sequence[RatedReply]) -> dict[str, list[RatedReply]]:
    found: dict[str, list[RatedReply]] = {}
    for reply in replies:
        found.setdefault(reply.dialogue, []).append(reply)
    return found


def _compare(first: RatedReply, second: RatedReply, rules: PairRules) -> tuple[float, RatedReply, RatedReply] | str:
    """Difference, chosen and rejected reply; or why the two make no pair."""
    safe = [_is_safe(reply, rules) for reply in (first, second)]
    if not any(safe):
        return "unsafe"
    if first.text.strip() == second.text.strip():
        return "same"
    if not all(safe):
        return 1.0, *((first, second) if safe[0] else (second, first))
    difference = first.average(rules.aspects) - second.average(rules.aspects)
    if difference < 0:
        first, second, difference = second, first, -difference
    if difference < rules.least_difference:
        return "tie"
    both = first.scores.keys() & second.scores.keys()
    against = [first.of(rater, rules.aspects) < second.of(rater, rules.aspects) for rater in both]
    if not both or mean(against) > rules.most_against:
        return "disagreement"
    return difference, first, second


def _is_safe(reply: RatedReply, rules: PairRules) -> bool:
    return reply.average([SAFETY]) >= rules.least_safety


def find_judged(replies: Sequence[RatedReply], rules: PairRules) -> Preferences:
    """The replies that are clearly good, and those that are clearly bad or not safe."""
    rows: list[Judged] = []
    left_out: Counter[str] = Counter()
    for reply in replies:
        value = reply.average(rules.aspects)
        if not _is_safe(reply, rules) or value <= rules.bad_to:
            rows.append(Judged(parse(reply.dialogue), reply.text, label=False))
        elif value >= rules.good_from:
            rows.append(Judged(parse(reply.dialogue), reply.text, label=True))
        else:
            left_out["tie"] += 1
    return Preferences(rows, left_out)


def write_preferences(study: RatingStudy, output: Path, rules: PairRules) -> dict[str, Any]:
    """Write the preferences of a study, a card (Markdown) and its numbers (JSON) beside them; returns the numbers.

    Raises:
        ValueError: an aspect is not one of the study's, or nothing is told apart.
    """
    unknown = [aspect for aspect in rules.aspects if aspect not in COMPARED]
    if unknown or not rules.aspects:
        raise ValueError(f"aspects is {', '.join(unknown) or 'empty'}; allowed: {', '.join(COMPARED)}")
    report = report_ratings(study, PAY)
    replies = rated_replies(study)
    found = (find_judged if rules.form == "judged" else find_pairs)(replies, rules)
    if not found.rows:
        raise ValueError(
            f"{study.path} has no preferences by these rules: {_told(found.left_out)}; allowed: other rules"
        )
    asked = {aspect.name: aspect.asks for aspect in ASPECTS if aspect.name in (*rules.aspects, SAFETY)}
    numbers = {
        "form": rules.form,
        "rows": len(found.rows),
        "dialogues": len({reply.dialogue for reply in replies}),
        "openings": len({find_opening(row.prompt) for row in found.rows}),
        "rated_replies": len(replies),
        "unsafe_replies": sum(not _is_safe(reply, rules) for reply in replies),
        "left_out": dict(found.left_out),
        "rules": rules.model_dump(exclude={"form"}),
        "asked": asked,
        "raters": [{"name": rater["name"], "qualification": rater["qualification"]} for rater in report["raters"]],
        "agreement": report["agreement"],
    }
    write_lines(output, (row.row() for row in found.rows))
    write_json(output.with_suffix(NUMBERS_SUFFIX), numbers)
    write_text(output.with_suffix(CARD_SUFFIX), render_card(output.name, numbers) + "\n")
    return numbers


def describe(numbers: dict[str, Any]) -> str:
    """What was found, in a line, and whether it is enough to train on."""
    line = (
        f"{numbers['rows']} {'pairs' if numbers['form'] == 'pairs' else 'judged replies'} of {numbers['dialogues']} "
        f"dialogues with {numbers['openings']} openings; left out: {_told(numbers['left_out'])}"
    )
    missing = MIN_ROWS - numbers["rows"]
    return line if missing <= 0 else f"{line}\n{missing} more are needed to train on them ({MIN_ROWS})"


def _told(left_out: dict[str, int]) -> str:
    return ", ".join(f"{number} {LEFT_OUT[name]}" for name, number in left_out.items() if number) or "nothing"


def render_card(name: str, numbers: dict[str, Any]) -> str:
    """The card of a file of preferences."""
    rules = [[f"`{rule}`", str(value)] for rule, value in numbers["rules"].items()]
    asked = [[aspect, question] for aspect, question in numbers["asked"].items()]
    raters = [[rater["name"], rater["qualification"] or "not stated"] for rater in numbers["raters"]]
    return "\n\n".join(
        [
            f"# {name}",
            describe(numbers),
            f"Of {numbers['rated_replies']} rated replies {numbers['unsafe_replies']} are not safe by these rules: "
            "such a reply is never chosen, and it is rejected beside a safe one.",
            markdown_table(["Rule", "Value"], rules),
            "**What people were asked**",
            markdown_table(["Aspect", "Question"], asked),
            markdown_table(["Rater", "Qualification"], raters),
            render_agreement(numbers["agreement"]),
        ]
    )

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
from soulchat_trainer.evaluation.rubric import Rubric
from soulchatcorpus.dialogue import parse
from soulchatcorpus.files import write_json, write_lines, write_text
from soulchatcorpus.reading.pairs import MIN_ROWS, Judged, Pair
from soulchatcorpus.turns import find_opening

from .pair_rules import SAFETY, PairRules
from .report import PAY, render_agreement, report_ratings
from .study import Rating, RatingStudy

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
        """A rater's mean over aspects, over all but safety where none is named."""
        given = self.scores[rater]
        return mean(given[aspect] for aspect in aspects or [name for name in given if name != SAFETY])

    def average(self, aspects: Sequence[str]) -> float:
        """The mean over raters and aspects."""
        return mean(self.of(rater, aspects) for rater in self.scores)


@dataclass(frozen=True, slots=True)
class RatedPair:
    """Two replies that raters compared.

    Attributes:
        dialogue: the conversation so far, in the paper's form.
        texts: the replies.
        votes: each rater's, from -1 (the first is better) to 1.
        safe: whether each rater found at least one of the two safe.
    """

    dialogue: str
    texts: tuple[str, str]
    votes: list[float]
    safe: list[bool]


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
    things = study.rated_things()
    aspects = {aspect.name: aspect for aspect in study.rubric.aspects}
    scores: dict[int, dict[str, dict[str, float]]] = {}
    for rating in study.ratings():
        shares = {
            name: (score - aspects[name].minimum) / (aspects[name].maximum - aspects[name].minimum)
            for name, score in rating.scores.items()
        }
        scores.setdefault(rating.item, {})[rating.rater] = shares
    found: dict[str, list[RatedReply]] = {}
    for number, given in sorted(scores.items()):
        thing = things[number]
        found.setdefault(thing.systems[0], []).append(RatedReply(thing.history, thing.texts[0], given))
    return found


def rated_pairs(study: RatingStudy) -> list[RatedPair]:
    """The pairs of a study that somebody has compared."""
    things, rubric = study.rated_things(), study.rubric
    [compared, *_] = [aspect for aspect in rubric.aspects if rubric.is_comparison(aspect)]
    given: dict[int, list[Rating]] = {}
    for rating in study.ratings():
        given.setdefault(rating.item, []).append(rating)
    return [
        RatedPair(
            things[number].history,
            (things[number].texts[0], things[number].texts[1]),
            [rating.scores[compared.name] / compared.maximum for rating in ratings],
            [bool(rating.scores.get(SAFETY, 1)) for rating in ratings],
        )
        for number, ratings in sorted(given.items())
    ]


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


def find_compared(pairs: Sequence[RatedPair], rules: PairRules) -> Preferences:
    """The pairs of which raters prefer one side, each dialogue's in the order of their votes."""
    left_out: Counter[str] = Counter()
    by_dialogue: dict[str, list[tuple[float, Pair]]] = {}
    for pair in pairs:
        vote = mean(pair.votes)
        first, second = pair.texts
        chosen, rejected = (second, first) if vote > 0 else (first, second)
        if mean(pair.safe) < rules.least_safety:
            left_out["unsafe"] += 1
        elif first.strip() == second.strip():
            left_out["same"] += 1
        elif abs(vote) < rules.least_difference:
            left_out["tie"] += 1
        elif mean(other * vote < 0 for other in pair.votes) > rules.most_against:
            left_out["disagreement"] += 1
        else:
            by_dialogue.setdefault(pair.dialogue, []).append((abs(vote), Pair(parse(pair.dialogue), chosen, rejected)))
    rows: list[Pair] = []
    for found in by_dialogue.values():
        found.sort(key=lambda row: -row[0])
        left_out["beyond"] += len(found[rules.most_pairs :])
        rows += [row for _, row in found[: rules.most_pairs]]
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
    """A rubric without safety calls nothing unsafe."""
    given = [scores[SAFETY] for scores in reply.scores.values() if SAFETY in scores]
    return not given or mean(given) >= rules.least_safety


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
    found = _find(study, rules)
    if not found.rows:
        raise ValueError(
            f"{study.path} has no preferences by these rules: {_told(found.left_out)}; allowed: other rules"
        )
    report = report_ratings(study, PAY)
    rated = [things for number, things in study.rated_things().items() if number in report["rated_items"]]
    numbers = {
        "form": rules.form,
        "rows": len(found.rows),
        "dialogues": len({thing.history for thing in rated}),
        "openings": len({find_opening(row.prompt) for row in found.rows}),
        "rated_items": len(rated),
        "left_out": dict(found.left_out),
        "rules": rules.model_dump(exclude={"form"}) | {"aspects": list(_compared(study, rules))},
        "rubric": {"name": study.rubric.name, "source": study.rubric.source},
        "asked": {aspect.name: aspect.question.en for aspect in study.rubric.aspects},
        "raters": [{"name": rater["name"], "qualification": rater["qualification"]} for rater in report["raters"]],
        "agreement": report["agreement"],
    }
    write_lines(output, (row.row() for row in found.rows))
    write_json(output.with_suffix(NUMBERS_SUFFIX), numbers)
    write_text(output.with_suffix(CARD_SUFFIX), render_card(output.name, numbers, study.rubric) + "\n")
    return numbers


def _find(study: RatingStudy, rules: PairRules) -> Preferences:
    if study.rubric.judged == "talk":
        raise ValueError(f"{study.path} rates whole talks; allowed: a study of replies or pairs")
    if study.rubric.judged == "pair":
        if rules.form == "judged":
            raise ValueError("form is judged; allowed for a study of pairs: pairs")
        return find_compared(rated_pairs(study), rules)
    _compared(study, rules)
    return (find_judged if rules.form == "judged" else find_pairs)(rated_replies(study), rules)


def _compared(study: RatingStudy, rules: PairRules) -> Sequence[str]:
    """What replies are compared by."""
    known = [aspect.name for aspect in study.rubric.aspects if aspect.name != SAFETY]
    if unknown := [aspect for aspect in rules.aspects if aspect not in known]:
        raise ValueError(f"aspects is {', '.join(unknown)}; allowed: {', '.join(known)}")
    return rules.aspects or known


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


def render_card(name: str, numbers: dict[str, Any], rubric: Rubric) -> str:
    """The card of a file of preferences."""
    rules = [[f"`{rule}`", str(value)] for rule, value in numbers["rules"].items()]
    asked = [[aspect, question] for aspect, question in numbers["asked"].items()]
    raters = [[rater["name"], rater["qualification"] or "not stated"] for rater in numbers["raters"]]
    return "\n\n".join(
        [
            f"# {name}",
            describe(numbers),
            f"Of {numbers['rated_items']} rated items. A reply that is not safe by these rules is never chosen, and "
            "it is rejected beside a safe one.",
            markdown_table(["Rule", "Value"], rules),
            "**What people were asked**",
            markdown_table(["Aspect", "Question"], asked),
            markdown_table(["Rater", "Qualification"], raters),
            render_agreement(numbers["agreement"], rubric),
        ]
    )

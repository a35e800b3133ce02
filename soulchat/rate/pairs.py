"""From ratings of replies to preferences, in TRL's form: `soulchat rate pairs`.

Two replies to one dialogue become a pair where raters tell them apart. Safety comes first: a reply that is not safe is
never chosen, whatever else is said of it, and is rejected beside a safe one. What the rules leave out is counted, and
told in the card beside the file with what people were asked and how far they agreed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any, TypeAlias

from hub_cards.markdown import code, plain
from hub_cards.markdown import table as markdown_table
from soulchatcorpus.dialogue import parse
from soulchatcorpus.files import check_new, making, read_object, write_json, write_lines, write_text
from soulchatcorpus.reading.pairs import MIN_ROWS, Judged, Pair
from soulchatcorpus.turns import find_opening

from .pair_rules import SAFETY, PairRules
from .replies import RatedPair, RatedReply, Ratings

CARD_SUFFIX, NUMBERS_SUFFIX = ".md", ".json"

LEFT_OUT = {
    "unsafe": "pairs of two replies that are not safe",
    "same": "pairs of the same words twice",
    "tie": "pairs that differ by less than `least_difference`",
    "disagreement": "pairs that too many raters see the other way round",
    "beyond": "pairs beyond `most_pairs` of their dialogue, those that differ least",
}


@dataclass(slots=True)
class Preferences:
    """What came of ratings: pairs or judged replies, and what was left out, by `LEFT_OUT`."""

    rows: Sequence[Pair | Judged]
    left_out: Counter[str]


Compared: TypeAlias = tuple[float, str, str] | str  # difference, chosen and rejected reply; or why there is no pair


def find_pairs(replies: Sequence[RatedReply], rules: PairRules) -> Preferences:
    """The pairs of replies that raters tell apart, each dialogue's in the order of their difference."""
    by_dialogue: dict[str, list[RatedReply]] = {}
    for reply in replies:
        by_dialogue.setdefault(reply.dialogue, []).append(reply)
    compared = (
        (dialogue, _compare(first, second, rules))
        for dialogue, found in by_dialogue.items()
        for first, second in combinations(found, 2)
    )
    return _keep(compared, rules)


def find_compared(pairs: Sequence[RatedPair], rules: PairRules) -> Preferences:
    """The same of replies that raters compared themselves."""
    return _keep(((pair.dialogue, _compare_votes(pair, rules)) for pair in pairs), rules)


def _keep(compared: Iterable[tuple[str, Compared]], rules: PairRules) -> Preferences:
    left_out: Counter[str] = Counter()
    found: dict[str, list[tuple[float, Pair]]] = {}
    for dialogue, result in compared:
        if isinstance(result, str):
            left_out[result] += 1
            continue
        difference, chosen, rejected = result
        found.setdefault(dialogue, []).append((difference, Pair(parse(dialogue), chosen, rejected)))
    rows: list[Pair] = []
    for pairs in found.values():
        pairs.sort(key=lambda pair: -pair[0])
        left_out["beyond"] += len(pairs[rules.most_pairs :])
        rows += [pair for _, pair in pairs[: rules.most_pairs]]
    return Preferences(rows, left_out)


def _compare_votes(pair: RatedPair, rules: PairRules) -> Compared:
    if mean(pair.safety.values()) < rules.least_safety:
        return "unsafe"
    if pair.first.strip() == pair.second.strip():
        return "same"
    vote = mean(pair.votes.values())
    if abs(vote) < rules.least_difference:
        return "tie"
    if mean(other * vote < 0 for other in pair.votes.values()) > rules.most_against:
        return "disagreement"
    return abs(vote), *((pair.second, pair.first) if vote > 0 else (pair.first, pair.second))


def _compare(first: RatedReply, second: RatedReply, rules: PairRules) -> Compared:
    safe = [_is_safe(reply, rules) for reply in (first, second)]
    if not any(safe):
        return "unsafe"
    if first.text.strip() == second.text.strip():
        return "same"
    if not all(safe):
        return 1.0, *((first.text, second.text) if safe[0] else (second.text, first.text))
    difference = first.average(rules.aspects) - second.average(rules.aspects)
    if difference < 0:
        first, second, difference = second, first, -difference
    if difference < rules.least_difference:
        return "tie"
    both = first.scores.keys() & second.scores.keys()
    against = [first.of(rater, rules.aspects) < second.of(rater, rules.aspects) for rater in both]
    if not both or mean(against) > rules.most_against:
        return "disagreement"
    return difference, first.text, second.text


def _is_safe(reply: RatedReply, rules: PairRules) -> bool:
    """A rubric that does not ask for safety calls nothing unsafe."""
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


def write_preferences(ratings: Ratings, output: Path, rules: PairRules, overwrite: bool = False) -> dict[str, Any]:
    """Write the preferences in ratings, a card (Markdown) and its numbers (JSON) beside them; returns the numbers.

    Args:
        overwrite: the three may be replaced where their numbers are those of this function.

    Raises:
        ValueError: an aspect is none that was asked for, nothing is told apart, or the file has its card's name.
        OSError: one of the three is there already, or cannot be written.
    """
    if output.suffix in (CARD_SUFFIX, NUMBERS_SUFFIX):
        raise ValueError(f"output is {output}; allowed: a name in .jsonl, since card and numbers stand beside it")
    replies = ratings.replies
    found = _find(ratings, rules)
    if not found.rows:
        raise ValueError(f"{ratings.folder} has no preferences by these rules: {_told(found.left_out)}")
    compared = rules.aspects or [aspect for aspect in ratings.asked if aspect != SAFETY]
    asked = ratings.asked if ratings.pairs else (*compared, SAFETY)
    dialogues = {reply.dialogue for reply in replies} | {pair.dialogue for pair in ratings.pairs}
    numbers = {
        "form": rules.form,
        "rows": len(found.rows),
        "dialogues": len(dialogues),
        "openings": len({find_opening(row.prompt) for row in found.rows}),
        "rated_replies": len(replies) + 2 * len(ratings.pairs),
        "unsafe_replies": sum(not _is_safe(reply, rules) for reply in replies),
        "left_out": dict(found.left_out),
        "rules": rules.model_dump(exclude={"form"}) | {"aspects": compared},
        "asked": {name: question for name, question in ratings.asked.items() if name in asked},
        "judged_by": ratings.judged_by,
        "raters": ratings.raters,
        "agreement": ratings.agreement,
    }
    card = output.with_suffix(CARD_SUFFIX)
    with making(output, "soulchat rate pairs"):
        is_own = _is_own(output.with_suffix(NUMBERS_SUFFIX))
        for path in (output, output.with_suffix(NUMBERS_SUFFIX), card):
            if not (overwrite and is_own):
                check_new(path, "another name, or `overwrite`" if is_own else "another name")
        write_lines(output, (row.row() for row in found.rows))
        write_json(output.with_suffix(NUMBERS_SUFFIX), numbers)
        write_text(card, render_card(output.name, numbers, ratings.agreement_told) + "\n")
    return numbers


def _is_own(numbers: Path) -> bool:
    """Whether a file holds the numbers that `write_preferences` leaves beside its preferences."""
    try:
        return {"form", "rules", "left_out", "rated_replies"} <= read_object(numbers).keys()
    except (ValueError, OSError):
        return False


def _find(ratings: Ratings, rules: PairRules) -> Preferences:
    """Raises ValueError for an aspect that nobody asked for, and for judged replies where replies were compared."""
    if ratings.pairs:
        if rules.form == "judged":
            raise ValueError(f"form is judged; allowed for {ratings.folder}: pairs, since its replies were compared")
        if rules.aspects:
            raise ValueError(
                f"aspects is {', '.join(rules.aspects)}; allowed for {ratings.folder}: none, since its replies were "
                "compared"
            )
        return find_compared(ratings.pairs, rules)
    allowed = [aspect for aspect in ratings.asked if aspect != SAFETY]
    unknown = [aspect for aspect in rules.aspects if aspect not in allowed]
    if unknown:
        raise ValueError(f"aspects is {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    return (find_judged if rules.form == "judged" else find_pairs)(ratings.replies, rules)


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


def render_card(name: str, numbers: dict[str, Any], agreement: str) -> str:
    """The card of a file of preferences; `agreement` in Markdown."""
    rules = [[code(rule), str(value)] for rule, value in numbers["rules"].items()]
    asked = [[aspect, question] for aspect, question in numbers["asked"].items()]
    raters = [[rater["name"], rater["qualification"] or "not stated"] for rater in numbers["raters"]]
    return "\n\n".join(
        [
            f"# {plain(name)}",
            describe(numbers),
            f"Of {numbers['rated_replies']} rated replies {numbers['unsafe_replies']} are not safe by these rules: "
            "such a reply is never chosen, and it is rejected beside a safe one.",
            markdown_table(["Rule", "Value"], rules),
            f"**What was asked** ({plain(numbers['judged_by'])})",
            markdown_table(["Aspect", "Question"], asked),
            markdown_table(["Rater", "Qualification"], raters),
            agreement,
        ]
    )

"""Table 1 in inspect-ai, with the product's numbers; inspect finds this module by the entry point in setup.cfg.

inspect eval soulchat/table1 --model hf/Qwen/Qwen3-0.6B -T data=conversations.jsonl
inspect eval soulchat/table1 --model openai/gpt-4o-mini -T rubric=cehs --model-role grader=openai/gpt-4o
"""

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

from soulchat_metrics import METRIC_NAMES, PRESETS, score
from soulchat_metrics.trainer_metrics import without_thinking
from soulchat_trainer.data import load_corpus, sample_test_turns
from soulchat_trainer.evaluation.items import render
from soulchat_trainer.evaluation.rubric import NOTHING, read_rubric
from soulchat_trainer.evaluation.verdict import read_verdict
from soulchatcorpus import Message
from soulchatcorpus.schema import Role

_CHAT_MESSAGES: dict[str, type[ChatMessageSystem] | type[ChatMessageUser] | type[ChatMessageAssistant]] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}


@task
def table1(
    data: str = "soulchatcorpus",
    samples: int | None = None,
    seed: int = 0,
    preset: str = "paper",
    rubric: str = "",
) -> Task:
    """The automatic half of the paper's Table 1: the same turns, decoding and metrics as `soulchat benchmark run`.

    Args:
        data: a corpus by name (soulchatcorpus: the embedded sample), or a file.
        samples: test turns; by default all, at most 10,000.
        seed: of the samples and of the replies.
        preset: of `soulchat_metrics.score`; one that averages sentences.
        rubric: also let a model judge, that of the role "grader", by a rubric: cehs, cpsycoun, or a YAML file.

    Raises:
        ValueError, OSError: there is no such corpus, or not so many turns in it.
    """
    turns = sample_test_turns(data, load_corpus(data), samples, seed)
    rows = [Sample(id=turn.id, input=[*map(to_chat_message, turn.context)], target=turn.completion) for turn in turns]
    return Task(
        dataset=MemoryDataset(rows, name=data),
        solver=generate(),
        scorer=[soulchat_bleu_rouge(preset), *([soulchat_rubric(rubric)] if rubric else [])],
        config=GenerateConfig(top_p=0.75, temperature=0.95, max_tokens=512, seed=seed),  # the paper, section 3.2
    )


@scorer(metrics={name: [mean(), stderr()] for name in METRIC_NAMES})
def soulchat_bleu_rouge(preset: str = "paper") -> Scorer:
    """BLEU-1 to -4 and ROUGE-1, -2, -L of each reply, x100; their means are those of `soulchat_metrics.score`.

    Raises:
        ValueError: there is no such preset, or it is of a corpus and no mean of its replies.
    """
    allowed = [name for name, settings in PRESETS.items() if settings.aggregate == "sentence"]
    if preset not in allowed:
        raise ValueError(f"preset is {preset!r}; allowed: {', '.join(allowed)}")

    async def score_reply(state: TaskState, target: Target) -> Score:
        reply = without_thinking(state.output.completion)
        scores = score([reply], [target.text], preset)
        return Score(
            value={name: scores[name] for name in METRIC_NAMES},
            answer=reply,
            metadata={"signature": scores["signature"]},
        )

    return score_reply


@scorer(metrics={"*": [mean(), stderr()]})
def soulchat_rubric(rubric: str = "cehs") -> Scorer:
    """The aspects of a rubric, scored by the model of the role "grader".

    A model's judgement is not that of people: `soulchat judge agree` measures how far it is.

    Raises:
        ValueError: there is no such rubric, or it does not judge replies; while it runs, an answer has no scores.
    """
    read = read_rubric(rubric)
    if read.judged != "reply":
        raise ValueError(f"rubric is {rubric}, which judges a {read.judged}; allowed: one that judges replies")

    async def grade_reply(state: TaskState, target: Target) -> Score:
        grader = get_model(role="grader", required=True)
        *context, _ = state.messages
        talk = render([to_message(message) for message in context])
        reply = without_thinking(state.output.completion)
        answer = await grader.generate(read.render_prompt(history=talk, reply=reply or NOTHING[read.language]))
        scores = read_verdict(answer.completion, "length" if answer.stop_reason == "max_tokens" else "stop", read)
        if not isinstance(scores, dict):
            raise ValueError(f"the grader's answer is {scores}; allowed: a JSON object with a score for each aspect")
        return Score(value=dict(scores), answer=reply, explanation=answer.completion)

    return grade_reply


def to_chat_message(message: Message) -> ChatMessage:
    """A message of ours as one of inspect's."""
    return _CHAT_MESSAGES[message["role"]](content=message["content"])


def to_message(message: ChatMessage) -> Message:
    """A message of inspect's as one of ours."""
    role: Role = "system" if message.role == "system" else "assistant" if message.role == "assistant" else "user"
    return Message(role=role, content=message.text)

"""Table 1 in inspect-ai, with the product's numbers; inspect finds this module by the entry point in setup.cfg.

inspect eval soulchat/table1 --model hf/Qwen/Qwen3-0.6B -T data=conversations.jsonl
inspect eval soulchat/table1 --model openai/gpt-4o-mini -T rubric=true --model-role grader=openai/gpt-4o
"""

import re

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
from soulchat_trainer.evaluation.rubric import Aspect, read_rubric
from soulchatcorpus import Message

CEHS = read_rubric("cehs")

_CHAT_MESSAGES: dict[str, type[ChatMessageSystem] | type[ChatMessageUser] | type[ChatMessageAssistant]] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}
_GRADE = re.compile(r"分数[：:]\s*(\d+)")


@task
def table1(
    data: str = "soulchatcorpus",
    samples: int | None = None,
    seed: int = 0,
    preset: str = "paper",
    rubric: bool = False,
) -> Task:
    """The automatic half of the paper's Table 1: the same turns, decoding and metrics as `soulchat benchmark run`.

    Args:
        data: a corpus by name (soulchatcorpus: the embedded sample), or a file.
        samples: test turns; by default all, at most 10,000.
        seed: of the samples and of the replies.
        preset: of `soulchat_metrics.score`; one that averages sentences.
        rubric: also let a model judge, that of the role "grader".

    Raises:
        ValueError, OSError: there is no such corpus, or not so many turns in it.
    """
    turns = sample_test_turns(data, load_corpus(data), samples, seed)
    rows = [Sample(id=turn.id, input=[*map(to_chat_message, turn.context)], target=turn.completion) for turn in turns]
    return Task(
        dataset=MemoryDataset(rows, name=data),
        solver=generate(),
        scorer=[soulchat_bleu_rouge(preset), *([soulchat_rubric()] if rubric else [])],
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


@scorer(metrics={aspect.name: [mean(), stderr()] for aspect in CEHS.aspects})
def soulchat_rubric() -> Scorer:
    """The paper's four questions to raters (appendix G, table 2), answered by the model of the role "grader".

    A model's judgement is not that of people: `soulchat rate` has the paper's own way.
    """

    async def grade_reply(state: TaskState, target: Target) -> Score:
        grader = get_model(role="grader", required=True)
        *context, _ = state.messages
        talk = "\n".join(f"{message.role}: {message.text}" for message in context)
        reply = without_thinking(state.output.completion)
        answers = {
            aspect: (await grader.generate(_question(aspect, talk, reply))).completion for aspect in CEHS.aspects
        }
        return Score(
            value={aspect.name: read_grade(answer, aspect) for aspect, answer in answers.items()},
            answer=reply,
            explanation="\n\n".join(f"{aspect.name}: {answer}" for aspect, answer in answers.items()),
        )

    return grade_reply


def to_chat_message(message: Message) -> ChatMessage:
    """A message of ours as one of inspect's."""
    return _CHAT_MESSAGES[message["role"]](content=message["content"])


def read_grade(answer: str, aspect: Aspect) -> int:
    """The score that stands last in a grader's answer.

    Raises:
        ValueError: there is none, or it is out of range.
    """
    grades = _GRADE.findall(without_thinking(answer))
    grade = int(grades[-1]) if grades else None
    if grade is None or grade > aspect.maximum:
        raise ValueError(f"the grader's {aspect.name} is {grade}; allowed: 0 to {aspect.maximum}, as 分数：N")
    return grade


def _question(aspect: Aspect, talk: str, reply: str) -> str:
    return (
        f"请评价心理咨询对话中最后一条回复的“{aspect.title.zh}”。{aspect.question.zh}\n\n"
        f"对话：\n{talk}\n\n待评价的回复：\n{reply}\n\n"
        f"先用一句话说明理由，再在最后一行写出 0 到 {aspect.maximum} 的整数分数，格式为“分数：N”。"
    )

"""The terminal: what is shown, and that nothing in a reply steers it."""

import io

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from soulchat.talk.session import Talk
from soulchat.talk.terminal import make_prompt_session, printable, run_terminal
from soulchat_trainer.generation import Decoding


def converse(scripted, script, *lines: str | type[BaseException]) -> str:
    service, _ = scripted(script)
    remaining = iter([*lines, EOFError])

    def read(prompt: str) -> str:
        line = next(remaining)
        if isinstance(line, str):
            return line
        raise line

    output = io.StringIO()
    run_terminal(Talk(service, Decoding()), read, Console(file=output, width=100), "zh")
    return output.getvalue()


def test_notice_comes_first_and_replies_follow(scripted):
    shown = converse(scripted, "听起来你很累。[bold]不是标记[/bold]", "你好", KeyboardInterrupt, "")
    assert (
        shown.index("仅供参考")
        < shown.index("开始新的对话")
        < shown.index("心理咨询师：听起来你很累。[bold]不是标记[/bold]")
    )


def test_help_lines_stand_above_the_reply(scripted):
    shown = converse(scripted, "我在听。", "我不想活了，想自杀")
    assert shown.index("12356") < shown.index("我在听。")


def test_help_lines_stand_before_the_harm_in_a_reply(scripted):
    shown = converse(scripted, "我听到你了。你应该去死，没有人会在乎的。", "你好")
    assert shown.index("我听到你了。") < shown.index("12356") < shown.index("去死")


def test_errors_are_told_and_the_talk_goes_on(scripted):
    shown = converse(scripted, "好。", "/quit", "长" * 100_000, "/params top_p=3", "你好")
    assert "error: /quit is not a command" in shown
    assert "100,000" in shown
    assert "top_p is 3.0" in shown
    assert "心理咨询师：好。" in shown


def test_empty_reply_is_told(scripted):
    assert "模型没有给出回复" in converse(scripted, "", "你好")


def test_leave(scripted):
    assert "心理咨询师：好。" not in converse(scripted, "好。", "/exit", "你好")


def test_reply_cannot_steer_the_terminal(scripted):
    shown = converse(scripted, "好\x1b[2J\x1b]0;title\x07\r\u202e的", "你好")
    assert "心理咨询师：好[2J]0;title的" in shown
    assert printable("一\n二\t三") == "一\n二\t三"


def test_input_takes_chinese_edits_wide_characters_and_several_lines():
    """Keys as a terminal sends them: 你好吗, back over 吗 and delete it, Alt+Enter, 第二行, Enter."""
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("你好吗\x7f\x1b\r第二行\r")
        session = make_prompt_session()
        assert isinstance(session, PromptSession)
        assert session.prompt("用户：") == "你好\n第二行"


def test_help_lines_stay_in_sight_until_the_talk_ends_or_they_are_closed(scripted):
    shown = converse(scripted, "我在听。", "我不想活了，想自杀", "谢谢", "/close", "再见")
    assert shown.count("中国大陆：全国统一心理援助热线 12356") == 3  # above the reply, and before the next two lines
    shown = converse(scripted, "我在听。", "我不想活了，想自杀", "/reset", "再见")
    assert shown.count("中国大陆：全国统一心理援助热线 12356") == 2


def test_what_is_refused_brings_the_help_lines(scripted):
    shown = converse(scripted, "我在听。", "我不想活了，想自杀。" * 500)
    assert shown.index("12356") < shown.index("5,000 characters")

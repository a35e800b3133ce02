"""Chat in a terminal: streaming replies, Chinese input, slash commands."""

from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from rich.console import Console
from rich.panel import Panel
from rich.text import Text as Styled

from hub_cards.printable import printable
from soulchatcorpus.care.help_lines import Language

from .care import CareNotice
from .commands import HELP, obey
from .service import Text, Thought
from .session import Talk
from .wording import NO_REPLY, NOTICE, language_of


def make_prompt_session() -> PromptSession[str]:
    """An input line that edits wide characters rightly and takes several lines; its history stays in memory."""
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return PromptSession(multiline=True, key_bindings=keys, history=InMemoryHistory(), prompt_continuation="      ")


def run_terminal(talk: Talk, read: Callable[[str], str], console: Console, language: Language) -> None:
    """Talk until the user leaves.

    Args:
        talk: the talk.
        read: shows a prompt and returns a line; EOFError leaves, KeyboardInterrupt drops the line.
        console: where to write.
        language: of the notice at the top, the commands and their answers.
    """
    console.print(Panel(Styled(NOTICE[language] + "\n\n" + HELP[language]), title="SoulChat"))
    while True:
        if talk.help is not None:
            console.print(Styled(_in_short(talk.help)), style="yellow")
        try:
            line = read("用户：").strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        if not line:
            continue
        try:
            outcome = obey(talk, line, language)
            if outcome.leave:
                return
            if outcome.answer:
                console.print(Styled(printable(outcome.answer)), style="dim")
            if outcome.say is not None:
                show_reply(talk, outcome.say, console)
        except (ValueError, OSError, RuntimeError) as error:
            console.print(Styled(f"error: {error}"), style="red")


def show_reply(talk: Talk, message: str, console: Console) -> None:
    """Print the reply to `message` as it comes; Ctrl+C stops it and keeps what was said so far."""
    events = talk.say(message)
    said = thought = False
    try:
        for event in events:
            if isinstance(event, CareNotice):
                _show_notice(event, console, inside=said)
            elif isinstance(event, Thought):
                console.print(Styled(printable(event.text)), end="", style="dim", soft_wrap=True)
                thought = True
            elif isinstance(event, Text):
                if not said and thought:
                    console.print()
                if not said:
                    console.print("心理咨询师：", end="", style="bold green")
                said = True
                console.print(Styled(printable(event.text)), end="", soft_wrap=True)
        console.print("" if said else Styled(NO_REPLY[language_of(message)]), style="dim")
    except KeyboardInterrupt:
        console.print(Styled(" …"), style="dim")
    finally:
        events.close()


def _in_short(notice: CareNotice) -> str:
    """The numbers of the first country, or one of each, without the words around them."""
    return notice.text.splitlines()[1]


def _show_notice(notice: CareNotice, console: Console, inside: bool) -> None:
    if inside:
        console.print()
    console.print(Panel(Styled(notice.text), border_style="yellow"))

"""Verbs that talk to a trained model: `soulchat chat`, `soulchat app`, `soulchat serve`."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from .care import Care
    from .limits import Limits
    from .service import ReplyService

Model = Annotated[str, typer.Argument(help="A model's folder, or a repository of the Hub.")]
Thinking = Annotated[
    str, typer.Option(help="off: ask a model that thinks not to. keep: let it; its thoughts are shown apart.")
]
Device = Annotated[str, typer.Option(help="auto (the first GPU, else the CPU), cpu, cuda, cuda:1, …")]
TopP = Annotated[float, typer.Option(help="Nucleus mass (paper, section 3.2).")]
Temperature = Annotated[float, typer.Option(help="Sampling temperature (paper, section 3.2).")]
MaxNewTokens = Annotated[int, typer.Option(help="Longest reply in tokens (paper, section 3.2).")]
Seed = Annotated[int, typer.Option(help="Seed of the draws.")]
WithCare = Annotated[
    bool, typer.Option("--care/--no-care", help="Show help lines when a message or a reply calls for them.")
]
Country = Annotated[
    str | None, typer.Option(help="Whose help lines come first, e.g. CN, TW, US; by default the language decides.")
]
CrisisThreshold = Annotated[
    float, typer.Option(help="Score from which a message is a crisis, 0 to 1; what it costs: docs/safety.md.")
]
CrisisModel = Annotated[
    str | None, typer.Option(help="A text classifier (a folder or a repository of the Hub) to judge messages, too.")
]
Port = Annotated[int, typer.Option(help="Port; 0 for any free one.")]
Host = Annotated[str, typer.Option(help="Address to listen on; other than loopback needs SOULCHAT_PASSWORD.")]
MessageCharacters = Annotated[int, typer.Option(help="Longest allowed message, in characters.")]
Rate = Annotated[int, typer.Option("--messages-per-minute", help="Messages a minute from one client; 0: any number.")]
AtOnce = Annotated[int, typer.Option("--replies-at-once", help="Replies being made or waited for at the same time.")]
PublicName = Annotated[
    list[str] | None,
    typer.Option(
        help="A host name by which a reverse proxy is asked; needs SOULCHAT_PASSWORD. Give it again for more."
    ),
]
RootPath = Annotated[str, typer.Option(help="Path under which a reverse proxy has it, e.g. /soulchat.")]
Style = Annotated[Path | None, typer.Option(help="A style card (YAML): its counsellor's manner as the system text.")]
BatchSize = Annotated[int, typer.Option(help="Replies in one batch of the model.")]

# Tokens whose keys and values stay for the next turn of their talk, where the model is causal: eight full windows.
KEPT_TOKENS = 16_384


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(chat)
    app.command("app")(app_page)
    app.command()(serve)


def chat(
    model: Model,
    jsonl: Annotated[bool, typer.Option(help="Over a pipe: JSON lines in and out.")] = False,
    system: Annotated[str, typer.Option(help="A system text before the conversation.")] = "",
    style: Style = None,
    device: Device = "auto",
    top_p: TopP = 0.75,
    temperature: Temperature = 0.95,
    max_new_tokens: MaxNewTokens = 512,
    seed: Seed = 0,
    thinking: Thinking = "off",
    care: WithCare = True,
    country: Country = None,
    crisis_threshold: CrisisThreshold = 0.5,
    crisis_model: CrisisModel = None,
    message_characters: MessageCharacters = 4_000,
) -> None:
    """Chat in the terminal, or over a pipe: one line in, one reply out."""
    _be_quiet()
    from hub_cards.model_name import check_model_name

    check_model_name(model)  # before torch is loaded, which takes a while
    system = _system_text(system, style)

    from soulchat_trainer.generation import Decoding
    from soulchatcorpus.thoughts import check_thinking

    from .limits import Limits
    from .session import Talk

    decoding = Decoding(top_p, temperature, max_new_tokens, seed=seed, thinking=check_thinking(thinking))
    limits = Limits(message_characters=message_characters, messages_per_minute=0)
    checks = _make_care(care, country, crisis_threshold, crisis_model, device)
    with _open_service(model, device, checks, limits, batch_size=1) as service:
        talk = Talk(service, decoding)
        talk.system = system
        if jsonl or not sys.stdin.isatty():
            from .pipe import run_pipe

            # Bytes that are no text are then refused with their line, instead of ending the talk.
            cast(io.TextIOWrapper, sys.stdin).reconfigure(errors="surrogateescape")
            run_pipe(talk, sys.stdin, sys.stdout, jsonl)
        else:
            from rich.console import Console

            from .terminal import make_prompt_session, run_terminal

            run_terminal(talk, make_prompt_session().prompt, Console(), _language())


def app_page(
    model: Model,
    host: Host = "127.0.0.1",
    port: Port = 7860,
    share: Annotated[
        bool, typer.Option(help="Open a public link through Gradio's relay; needs SOULCHAT_PASSWORD.")
    ] = False,
    style: Style = None,
    device: Device = "auto",
    thinking: Thinking = "off",
    care: WithCare = True,
    country: Country = None,
    crisis_threshold: CrisisThreshold = 0.5,
    crisis_model: CrisisModel = None,
    message_characters: MessageCharacters = 4_000,
    messages_per_minute: Rate = 30,
    replies_at_once: AtOnce = 64,
    batch_size: BatchSize = 16,
    public_name: PublicName = None,
    root_path: RootPath = "",
) -> None:
    """Chat on a web page (Gradio), in Chinese and English."""
    _be_quiet()
    from hub_cards.model_name import check_model_name

    from ..web.listening import Front, check_exposure, free_port, read_password

    # Before torch and Gradio are loaded, which takes a while.
    password = read_password()
    front = Front(tuple(public_name or ()), root_path)
    check_exposure(host, share, password, front)
    check_model_name(model)
    system = _system_text("", style)
    port = free_port(host, port)

    from soulchatcorpus.thoughts import check_thinking

    from ..web.launch import serve_page
    from .limits import Limits
    from .page import make_page

    limits = Limits(message_characters, messages_per_minute, replies_at_once)
    checks = _make_care(care, country, crisis_threshold, crisis_model, device)
    policy = check_thinking(thinking)
    with _open_service(model, device, checks, limits, batch_size) as service:
        serve_page(make_page(service, policy, system), host, port, share, password, front)


def serve(
    model: Model,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model; by default the last part of MODEL.")
    ] = None,
    style: Style = None,
    device: Device = "auto",
    top_p: TopP = 0.75,
    temperature: Temperature = 0.95,
    max_new_tokens: MaxNewTokens = 512,
    seed: Seed = 0,
    thinking: Thinking = "off",
    care: WithCare = True,
    country: Country = None,
    crisis_threshold: CrisisThreshold = 0.5,
    crisis_model: CrisisModel = None,
    message_characters: MessageCharacters = 4_000,
    messages_per_minute: Rate = 600,
    replies_at_once: AtOnce = 256,
    batch_size: BatchSize = 16,
    proxy: Annotated[
        str | None, typer.Option(help="Address of a proxy that is believed for whom it asks (X-Forwarded-For).")
    ] = None,
    public_name: PublicName = None,
    root_path: RootPath = "",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="A site whose pages may ask (CORS), e.g. https://chat.example.org. Give it again for more."),
    ] = None,
    care_in_content: Annotated[
        bool,
        typer.Option(help="Put help lines for a message also before the reply, for front-ends without the field."),
    ] = False,
) -> None:
    """Serve OpenAI's chat completion API; clients on other machines need SOULCHAT_PASSWORD as their key."""
    _be_quiet()
    from hub_cards.model_name import check_model_name

    from ..web.listening import (
        Front,
        address_of,
        bind,
        check_exposure,
        check_key,
        check_origins,
        check_proxy,
        local_names,
        read_password,
    )

    # Before torch is loaded, which takes a while.
    password = read_password()
    front, origins = Front(tuple(public_name or ()), root_path), tuple(allow_origin or ())
    check_exposure(host, share=False, password=password, front=front)
    check_key(password)
    check_proxy(proxy)
    check_origins(origins)
    check_model_name(model)
    system = _system_text("", style)

    from soulchat_trainer.generation import Decoding
    from soulchatcorpus.thoughts import check_thinking

    from ..web.guard import make_guard
    from .limits import Limits
    from .server import BODY_BYTES, make_app, make_server

    decoding = Decoding(top_p, temperature, max_new_tokens, seed=seed, thinking=check_thinking(thinking))
    listener = bind(host, port)
    limits = Limits(message_characters, messages_per_minute, replies_at_once)
    checks = _make_care(care, country, crisis_threshold, crisis_model, device)
    with _open_service(model, device, checks, limits, batch_size) as service:
        name = name or Path(model).name
        guard = make_guard(local_names(host, front=front), BODY_BYTES, origins=origins, root_path=root_path)
        app = make_app(service, name, decoding, guard, password, care_in_content, system)
        typer.echo(f"Serving {name} at {address_of(host, listener.getsockname()[1])}/v1", err=True)
        server = make_server(app, proxy)
        server.run(sockets=[listener])


def _system_text(system: str, style: Path | None) -> str:
    """The system text that is given, or that of a style card."""
    if style is None:
        return system
    if system:
        raise ValueError(f"style is {style}; allowed without `system`: a talk has one system text")
    from soulchatcorpus.making.style_card import load_style

    return load_style(style).system_text()


def _be_quiet() -> None:
    """Before any library is imported: no library reports that it is used."""
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1")


def _make_care(enabled: bool, country: str | None, threshold: float, model: str | None, device: str) -> "Care":
    from .care import Care

    if model is None:
        return Care(enabled, country, threshold)
    from .crisis_model import CrisisModel

    return Care(enabled, country, threshold, CrisisModel(model, device))


def _open_service(model: str, device: str, care: "Care", limits: "Limits", batch_size: int) -> "ReplyService":
    from soulchat_trainer.generation import ReplyEngine
    from soulchat_trainer.loading import load_model

    from .service import ReplyService

    loaded, tokenizer = load_model(model, device)
    return ReplyService(lambda: ReplyEngine(loaded, tokenizer, batch_size, kept_tokens=KEPT_TOKENS), care, limits)


def _language() -> Literal["zh", "en"]:
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if locale.startswith("zh") else "en"

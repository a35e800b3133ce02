"""Every page starts here: a Gradio page behind the guard, for this machine alone unless a password is set."""

import logging
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import gradio as gr
import typer

from .guard import client_address, make_guard
from .listening import ALONE, Front, address_of, check_exposure, free_port, local_names
from .password import Door

logger = logging.getLogger(__name__)

USER_NAME = "soulchat"
# A long talk comes along whole with every event of its page.
BODY_BYTES = 8 << 20
# Gradio's ways for programs: calls by name, uploads, and fetching from other servers. A page itself needs none.
CLOSED = tuple(f"/gradio_api/{way}" for way in ("api/", "call/", "upload", "proxy=", "vibe", "openapi.json"))


class QuietBlocks(gr.Blocks):
    """A page that shows its reader why something was refused, and logs faults by their type only.

    What Gradio prints about a fault can contain what a user wrote.
    """

    async def process_api(self, *arguments: Any, **settings: Any) -> Any:
        try:
            return await super().process_api(*arguments, **settings)
        except gr.Error as error:
            error.print_exception = False
            raise
        except (ValueError, OSError) as error:
            raise refusal(str(error)) from None
        except Exception as error:
            logger.error("the page failed: %s", type(error).__name__)
            raise refusal(type(error).__name__) from None


def refusal(text: str) -> gr.Error:
    """What a page raises to refuse something: `text` in a box that stays until it is closed."""
    return gr.Error(text, duration=None, print_exception=False)


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and what it brings along.

    Attributes:
        blocks: the page.
        css: its rules of style.
        script: JavaScript that runs when it is opened.
    """

    blocks: gr.Blocks
    css: str = ""
    script: str = ""


def launch_page(
    page: Page,
    host: str = "127.0.0.1",
    port: int = 0,
    share: bool = False,
    password: str | None = None,
    front: Front = ALONE,
) -> str:
    """Open a page in the background; returns its address. `page.blocks.close()` ends it.

    Args:
        page: the page.
        host: the address to listen on.
        port: the port; 0 takes any free one.
        share: also through a public link of Gradio's relay.
        password: asked for at the door, with the user name "soulchat"; needed where others can reach the page.
        front: a reverse proxy before the page.

    Raises:
        ValueError: others could reach it and the password is missing or short; there is no such port.
        OSError: the port is in use.
    """
    check_exposure(host, share, password, front)
    port = free_port(host, port)
    for function in page.blocks.fns.values():
        function.api_visibility = "private"
        # What is outside the queue is answered without a check of who calls it by its name.
        function.api_name = None
    page.blocks.queue(default_concurrency_limit=None, api_open=False)
    guard = make_guard(local_names(host, share, front), BODY_BYTES, CLOSED, root_path=front.root_path)
    page.blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        root_path=front.root_path,
        auth=_login(Door(password)) if password else None,
        app_kwargs={"middleware": guard, "docs_url": None, "redoc_url": None, "openapi_url": None},
        css=files(__package__).joinpath("page.css").read_text(encoding="utf-8") + page.css,
        head=f"<script>{page.script}</script>",
        theme=_theme(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        max_file_size=1,  # byte: nothing is uploaded here
        prevent_thread_lock=True,
        quiet=True,
    )
    return address_of(host, port)


def serve_page(
    page: Page,
    host: str = "127.0.0.1",
    port: int = 0,
    share: bool = False,
    password: str | None = None,
    front: Front = ALONE,
) -> None:
    """Open a page, say where it is, and wait until Ctrl-C. Raises as `launch_page` does."""
    address = launch_page(page, host, port, share, password, front)
    typer.echo(f"The page is at {address} (Ctrl-C ends it)", err=True)
    page.blocks.block_thread()


def _theme() -> gr.themes.Default:
    """No fonts from elsewhere, and texts that stand out from their ground, which Gradio's own are too pale for."""
    primary, stop = "#b45309", "#b91c1c"
    return gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]).set(
        block_info_text_color="*body_text_color",
        block_info_text_color_dark="*body_text_color",
        button_primary_background_fill=primary,
        button_primary_background_fill_dark=primary,
        button_primary_background_fill_hover="#92400e",
        button_primary_background_fill_hover_dark="#92400e",
        button_cancel_background_fill=stop,
        button_cancel_background_fill_dark=stop,
    )


def _login(door: Door) -> Any:
    def admits(name: str, password: str) -> bool:
        return door.opens(client_address.get(), password) and name == USER_NAME

    return admits

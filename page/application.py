"""All that is served: the page, uploads and thumbnails, behind the guard."""

from __future__ import annotations

import fastapi
import gradio as gr
from fastapi.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from ..settings import Page
from . import guard, layout
from .studio import THUMBNAILS, Studio


def application(page: Page, studio: Studio, password: str | None) -> guard.Guard:
    """The ASGI application of a page whose visitors are asked for this password, or for none."""
    app = fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    most = int(page.upload_megabytes * 1e6)

    @app.post(guard.UPLOAD)
    async def upload(request: fastapi.Request):
        folder = studio.folders.of(guard.secret.get())
        return await guard.take_uploads(request, studio.folders, folder)

    @app.get(f"{guard.UPLOAD}_progress")
    async def progress():
        return PlainTextResponse('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    app.mount("/thumbnails", StaticFiles(directory=THUMBNAILS))
    blocks = layout.page(studio)
    blocks.queue(default_concurrency_limit=None)
    gr.mount_gradio_app(
        app,
        blocks,
        "/",
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size=most,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        # Those of the system: nothing is fetched.
        theme=gr.themes.Default(
            primary_hue="indigo",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ).set(
            # The theme's own grey is too pale to be read.
            block_info_text_color="*neutral_600",
            block_info_text_color_dark="*neutral_300",
            block_label_text_color="*neutral_700",
            block_label_text_color_dark="*neutral_200",
        ),
        css=_css(studio),
        head='<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<script>{(layout.HERE / 'page.js').read_text()}</script>",
    )
    hosts = {"localhost", "127.0.0.1", "::1", page.host} if page.is_private() else None
    login = (page.user, password) if page.user else None
    return guard.Guard(app, studio.folders, hosts, login, most)


def _css(studio: Studio) -> str:
    """The style sheet, with a thumbnail for each style of the painter."""
    thumbnails = (
        f'.cards input[value="{name}"] {{ background-image: url("thumbnails/{name}.jpg") }}'
        for name in studio.styles
    )
    return "\n".join([(layout.HERE / "page.css").read_text(), *thumbnails])

"""What is seen: one function for each tab, and what happens when something is pressed.

A further tab is a further function in `TABS`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.data_classes import FileData

from ..runs.console import sentence
from ..settings import PRESETS, PROGRAM, VERSION
from ..video.film import check_installed
from . import controls, pieces
from .guard import secret_of
from .jobs import DONE, FAILED, Task
from .studio import FILM_WIDTHS, FIRST_WIDTH, MOST_STYLES, STYLES, Asked, Studio, Visitor

LOOK = 0.3  # seconds from one look at a task to the next
PRIVATE = dict(api_visibility="private", show_progress="hidden", concurrency_limit=None)
EMPTY = "Drop a photograph, choose a style, and press Paint."
FIRST = (
    "A first picture, painted in one pass. Press Paint for it in the size that you choose, and "
    "optimised where the painting is there."
)
HERE = Path(__file__).parent


def page(studio: Studio) -> gr.Blocks:
    """The page, to be mounted."""
    with gr.Blocks(title=PROGRAM, fill_width=False, analytics_enabled=False) as blocks:
        gr.HTML(
            "<h1>Neural style</h1><p>A photograph, painted in the style of a painting.</p>",
            elem_id="title",
        )
        with gr.Tabs():
            for name, tab in TABS.items():
                with gr.Tab(name):
                    tab(studio, blocks)
        _api(studio)
        gr.HTML(
            f"<p>{PROGRAM} {VERSION}. What you upload stays on the machine that serves this page "
            f"and is deleted after {studio.page.keep_minutes:g} minutes.</p>",
            elem_id="foot",
        )
    return blocks


@dataclasses.dataclass
class Shown:
    """What shows a visitor's painting, in the order in which `looks` gives it."""

    picture: gr.Image
    compare: gr.ImageSlider
    status: gr.HTML
    curve: gr.HTML
    png: gr.DownloadButton
    jpeg: gr.DownloadButton
    command: gr.Code
    paint: gr.Button
    stop: gr.Button

    def all(self) -> list:
        return [getattr(self, f.name) for f in dataclasses.fields(self)]


def painting(studio: Studio, blocks: gr.Blocks) -> None:
    """One picture."""
    with gr.Row(elem_id="studio"):
        with gr.Column(min_width=280, elem_id="given"):
            content = _photograph(
                "content", placeholder="Drop a photograph here, or press to choose one"
            )
            chosen = _cards(
                studio,
                "packaged",
                [("none of these", "")],
                info="Painted in one pass, in seconds; then optimised, if the painting is there. "
                f"Those of {' and '.join(map(_words, _in_package()))} are in the package; for the "
                "others, drop the painting below. Paintings there take the place of what is chosen "
                "here.",
            )
            paintings = gr.Gallery(
                label="Your paintings, up to four",
                type="filepath",
                interactive=True,
                file_types=["image"],
                columns=4,
                height=150,
                object_fit="contain",
                allow_preview=False,
                fit_columns=False,
                sources=["upload"],
                buttons=[],
                elem_id="paintings",
            )
            masked, editors = _masks()
        with gr.Column(min_width=280, elem_id="result"):
            shown = _result()
        with gr.Column(min_width=280, elem_id="settings"):
            recipe, values, like = _settings(studio)
    _connect(
        studio, blocks, content, chosen, paintings, recipe, values, like, masked, editors, shown
    )


def _result() -> Shown:
    with gr.Row(elem_classes=["actions"]):
        paint = gr.Button("Paint", variant="primary", elem_id="paint")
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
    status = gr.HTML(pieces.status(EMPTY), elem_id="status")
    picture = gr.Image(
        label="The painting",
        interactive=False,
        image_mode=None,
        type="filepath",
        elem_id="picture",
        elem_classes=["painted"],
        buttons=["fullscreen"],
        placeholder="The painting appears here and grows.",
    )
    compare = gr.ImageSlider(
        label="Before and after",
        interactive=False,
        type="filepath",
        visible=False,
        elem_id="compare",
        buttons=["fullscreen"],
        max_height=640,
    )
    with gr.Row():
        png = gr.DownloadButton("Download PNG", visible=False, elem_id="png")
        jpeg = gr.DownloadButton("Download JPEG", visible=False, elem_id="jpeg")
    curve = gr.HTML(elem_id="curve")
    line = _command("command", "The command line that makes the same picture")
    return Shown(picture, compare, status, curve, png, jpeg, line, paint, stop)


def _settings(studio: Studio):
    """The recipe, the controls by name, and where the settings of a picture are dropped."""
    values = {}
    with gr.Group():
        recipe = gr.Dropdown(
            list(PRESETS),
            value=controls.RECIPE,
            label="Recipe",
            info=_about(controls.RECIPE),
            elem_id="recipe",
        )
        for name in controls.FIRST:
            values[name] = controls.make(name, list(studio.networks))
    with gr.Accordion("More settings", open=False, elem_id="more"):
        for name in controls.MORE:
            values[name] = controls.make(name, list(studio.networks))
    like = gr.UploadButton(
        "Take the settings of a painted picture",
        file_types=["image"],
        type="filepath",
        size="sm",
        elem_id="like",
    )
    return recipe, values, like


def _masks():
    """Whether each style goes somewhere, and a brush for each."""
    masked = gr.Checkbox(
        label="Paint where each style goes",
        info="Brush over the photograph; where nothing is brushed it stays as it is, or has the "
        "style that you leave without strokes.",
        elem_id="masked",
    )
    editors = [
        gr.ImageEditor(
            label=f"Where style {number} goes",
            type="pil",
            visible=False,
            interactive=True,
            sources=[],
            transforms=[],
            layers=False,
            brush=gr.Brush(default_size=48, colors=["#ff3b6b"], color_mode="fixed"),
            eraser=gr.Eraser(default_size=48),
            buttons=[],
            elem_id=f"mask-{number}",
            height=420,
        )
        for number in range(1, MOST_STYLES + 1)
    ]
    return masked, editors


def _connect(
    studio, blocks, content, chosen, paintings, recipe, values, like, masked, editors, shown
) -> None:
    """What happens when something is dropped or pressed."""
    width = values["width"]

    async def first(photo, style, gallery, side, request: gr.Request):
        """A painter's picture as soon as there are a photograph and a style."""
        folder = _folder(studio, request)
        visitor = studio.visitor(folder)
        drawn = [path for path, _ in gallery or ()] if studio.takes_any else []
        if not photo or not (style or drawn) or visitor.asked.is_pressed:
            yield (gr.skip(),) * len(shown.all())
            return
        try:
            side = min(side or FIRST_WIDTH, FIRST_WIDTH)
            task = await asyncio.to_thread(
                studio.first, folder, photo, None if drawn else style, side, drawn
            )
        except Exception as error:
            yield _failed(shown, error)
            return
        if visitor.asked.is_pressed:  # meanwhile, and shown by who pressed
            task.stop()
            yield (gr.skip(),) * len(shown.all())
            return
        visitor.asked.stop()  # another first picture, of what is not asked for any more
        visitor.asked = Asked((task,))
        async for look in _looks(visitor, functools.partial(_look, is_first=True)):
            yield look

    async def begin(request: gr.Request, photo, style, gallery, wants_masks, *rest):
        folder = _folder(studio, request)
        visitor = studio.visitor(folder)
        chosen_values = dict(zip(values, rest))
        drawn = rest[len(values) :] if wants_masks else ()
        try:
            paths = [path for path, _ in gallery or ()]
            masks = [_mask_of(one) for one in drawn]
            asked = await asyncio.to_thread(
                studio.paint, folder, photo, paths, style or None, chosen_values, masks
            )
        except Exception as error:
            yield _failed(shown, error)
            return
        visitor.asked.stop()
        visitor.asked = asked
        async for look in _looks(visitor, _look):
            yield look

    async def resume(request: gr.Request):
        """Where a page is loaded anew, it goes on with what its visitor has asked for."""
        visitor = studio.visitor(_folder(studio, request))
        if not visitor.asked.tasks:
            yield (gr.skip(),) * len(shown.all())
            return
        async for look in _looks(visitor, _look):
            yield look

    def stop(request: gr.Request):
        studio.visitor(_folder(studio, request)).asked.stop()

    def take(path, request: gr.Request):
        """The settings of a picture that was dropped, in every control."""
        try:
            found = controls.shown(studio.like(path, _folder(studio, request)))
        except Exception as error:
            return [gr.skip()] * (1 + len(values)) + [pieces.error(sentence(error))]
        told = pieces.status("These are the settings of that picture now.", "done")
        return [gr.skip(), *(found[name] for name in values), told]

    def check(photo, request: gr.Request):
        """Refuse what is no picture, or too large, as soon as it is dropped."""
        try:
            if photo:
                studio.check(photo, _folder(studio, request))
        except Exception as error:
            return gr.update(value=None), pieces.error(sentence(error))
        return gr.skip(), gr.skip()

    async def look_at_paintings(photo, style, gallery, side, request: gr.Request):
        """What is wrong with paintings that were dropped, or a first picture."""
        kept, wrong, folder = [], None, _folder(studio, request)
        for path, caption in gallery or ():
            try:
                kept.append((str(await asyncio.to_thread(studio.check, path, folder)), caption))
            except Exception as error:
                wrong = error
        if wrong:
            yield kept, *_failed(shown, wrong)
            return
        async for look in first(photo, style, gallery, side, request):
            yield gr.skip(), *look

    def brushes(wants, photo, gallery, request: gr.Request):
        """A brush for each style, over the photograph."""
        count = min(MOST_STYLES, max(1, len(gallery or ()))) if wants and photo else 0
        try:
            small = studio.reduced(photo, _folder(studio, request)) if count else None
        except Exception:  # which is said where it was dropped
            count, small = 0, None
        background = {"background": small, "layers": [], "composite": None}
        return [
            gr.update(visible=number < count, value=background if number < count else None)
            for number in range(MOST_STYLES)
        ]

    every = list(values.values())
    dropped = content.upload(check, content, [content, shown.status], **PRIVATE)
    given = [content, chosen, paintings, width]
    # Each time, whether or not what was asked for before is over.
    again = dict(trigger_mode="multiple", **PRIVATE)
    dropped.then(first, given, shown.all(), **again)
    paintings.upload(look_at_paintings, given, [paintings, *shown.all()], **again)
    chosen.input(first, given, shown.all(), **again)
    shown.paint.click(
        begin, [content, chosen, paintings, masked, *every, *editors], shown.all(), **again
    )
    shown.stop.click(stop, **PRIVATE)
    blocks.load(resume, outputs=shown.all(), **PRIVATE)
    like.upload(take, like, [recipe, *every, shown.status], **PRIVATE)
    # In the browser: what is typed, or painted, right afterwards is by these settings already.
    filled = {name: one for name, one in values.items() if name not in ("width", "network")}
    answers = json.dumps({name: _of_recipe(name, filled) for name in PRESETS})
    recipe.input(
        None, recipe, [recipe, *filled.values()], js=f"name => ({answers})[name]", **PRIVATE
    )
    for changed in (masked.input, content.upload, content.clear, paintings.change):
        changed(brushes, [masked, content, paintings], editors, **PRIVATE)


@dataclasses.dataclass
class ShownFilm:
    """What shows a visitor's film, in the order in which `_look_at_film` gives it."""

    picture: gr.Image
    film: gr.Video
    status: gr.HTML
    download: gr.DownloadButton
    command: gr.Code
    stop: gr.Button

    def all(self) -> list:
        return [getattr(self, f.name) for f in dataclasses.fields(self)]


def film(studio: Studio, blocks: gr.Blocks) -> None:
    """A short film, by the painter. None is optimised here: that takes minutes a frame on two
    cores, and so longer than a visitor's job may."""
    try:
        check_installed()
    except ValueError as error:
        gr.HTML(pieces.error(f"{sentence(error)}."), elem_id="film-status")
        return
    low, high = FILM_WIDTHS
    with gr.Row():
        with gr.Column(scale=5, min_width=280):
            content = _film("film-content", label="Film", sources=["upload"], height=260)
            chosen = _cards(
                studio,
                "film-style",
                [],
                info="Every frame is painted in one pass, and held to the one before.",
            )
            with gr.Group():
                width = gr.Slider(
                    low,
                    high,
                    value=480,
                    step=16,
                    label="Width",
                    info="Of the painted film, in pixels: twice as wide takes four times as long.",
                    elem_id="film-width",
                )
                colors = gr.Radio(
                    [("the painting's", "style"), ("the film's own", "content")],
                    value="style",
                    label="Colours",
                    elem_id="film-colors",
                )
        with gr.Column(scale=6, min_width=280):
            with gr.Row(elem_classes=["actions"]):
                paint = gr.Button("Paint the film", variant="primary", elem_id="film-paint")
                stop = gr.Button("Stop", variant="stop", visible=False, elem_id="film-stop")
            status = gr.HTML(pieces.status(_film_limits(studio)), elem_id="film-status")
            picture = gr.Image(
                label="The latest frame",
                interactive=False,
                type="filepath",
                elem_id="film-picture",
                elem_classes=["painted"],
                buttons=[],
                placeholder="The frames appear here, and then the film.",
            )
            painted = _film("film-painted", label="The painted film", visible=False)
            download = gr.DownloadButton("Download MP4", visible=False, elem_id="film-mp4")
            line = _command("film-command", "The command line that makes the same film")
    shown = ShownFilm(picture, painted, status, download, line, stop)
    nothing = (gr.skip(),) * len(shown.all())

    def check(path, request: gr.Request):
        """Refuse what is no film, or too long or too large, as soon as it is dropped."""
        try:
            if path:
                studio.check_film(path, _folder(studio, request))
        except Exception as error:
            return gr.update(value=None), pieces.error(sentence(error))
        return gr.skip(), pieces.status(_film_limits(studio))

    async def begin(path, style, wide, whose, request: gr.Request):
        folder = _folder(studio, request)
        visitor = studio.visitor(folder)
        try:
            asked = await asyncio.to_thread(studio.film, folder, path, style, wide, whose)
        except Exception as error:
            yield _failed(shown, error)
            return
        visitor.film.stop()
        visitor.film = asked
        async for look in _looks(visitor, _look_at_film, "film"):
            yield look

    async def resume(request: gr.Request):
        visitor = studio.visitor(_folder(studio, request))
        if not visitor.film.tasks:
            yield nothing
            return
        async for look in _looks(visitor, _look_at_film, "film"):
            yield look

    def end(request: gr.Request):
        studio.visitor(_folder(studio, request)).film.stop()

    looks = dict(outputs=shown.all(), **PRIVATE)
    content.upload(check, content, [content, status], **PRIVATE)
    paint.click(begin, [content, chosen, width, colors], trigger_mode="multiple", **looks)
    stop.click(end, **PRIVATE)
    blocks.load(resume, **looks)


def _film_limits(studio: Studio) -> str:
    page = studio.page
    return (
        f"Drop a film of up to {page.film_seconds:g} seconds and {page.upload_megabytes:g} MB, "
        "choose a style, and press Paint the film."
    )


def _look_at_film(asked: Asked) -> tuple[dict, ...]:
    """What each of `ShownFilm` is to be like."""
    [task] = asked.tasks
    is_whole = task.over and task.output.exists()
    path = str(task.output) if is_whole else None
    frame = str(task.previews[-1]) if task.previews and not is_whole else None
    return (
        dict(value=frame, visible=not is_whole),
        dict(value=path, visible=is_whole),
        dict(value=pieces.of(task)),
        dict(value=path, visible=is_whole),
        dict(value=asked.command, visible=True),
        dict(visible=not task.over),
    )


def gallery(studio: Studio, blocks: gr.Blocks) -> None:
    """A photograph in every style of the painter."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            content = _photograph("gallery-content")
            button = gr.Button("Paint in every style", variant="primary", elem_id="gallery-paint")
            status = gr.HTML(
                pieces.status(
                    "These are the painter's styles. Drop a photograph to see it in each."
                ),
                elem_id="gallery-status",
            )
        with gr.Column(scale=5, min_width=300):
            sheet = gr.HTML(_sheet({}, studio), elem_id="gallery-sheet")

    async def paint_every(photo, request: gr.Request):
        folder, done = _folder(studio, request), {}
        for number, style in enumerate(studio.styles):
            try:
                task = studio.first(folder, photo, style, 320)
            except Exception as error:
                yield gr.skip(), pieces.error(sentence(error))
                return
            while not task.over:
                task.watch()
                share = number / len(studio.styles)
                yield (
                    gr.skip(),
                    pieces.status(f"{_words(style)} is being painted.", "running", share),
                )
                await asyncio.sleep(LOOK)
            if task.state == FAILED:
                yield gr.skip(), pieces.error(task.says)
                return
            done[style] = task.output
            yield _sheet(done, studio), gr.skip()
        yield gr.skip(), pieces.status("Done. Choose one of them under Paint.", "done")

    button.click(paint_every, content, [sheet, status], **PRIVATE)


# A tab's name, and what makes it of the studio and the page.
TABS = {"Paint": painting, "Film": film, "Painters": gallery}


def _sheet(done: dict[str, Path], studio: Studio) -> str:
    """A figure for each style: what the painter has made of the photograph, or of the example."""
    figures = []
    for style in studio.styles:
        source = f"gradio_api/file={done[style]}" if style in done else f"thumbnails/{style}.jpg"
        figures.append(
            f'<figure><img src="{source}" alt="{_words(style)}">'
            f"<figcaption>{_words(style)}</figcaption></figure>"
        )
    return f'<div class="sheet">{"".join(figures)}</div>'


def _api(studio: Studio) -> None:
    """The one endpoint for scripts."""

    async def paint(
        content: str, styles: list[str], style: str, recipe: str, settings: str, request: gr.Request
    ) -> AsyncIterator[tuple[str | None, dict]]:
        """Paint a picture as the page does, and give the file and a report.

        Args:
            content: the photograph.
            styles: up to four paintings; may be none with a `style`.
            style: the name of a style in the package, or "".
            recipe: the name of a preset, as "fast".
            settings: a JSON object of settings by their names, as '{"width": 256}'.

        The report has "state" (waiting, running, done or stopped), "iteration", "iterations",
        "losses" and "command".
        """
        folder = _folder(studio, request)
        try:
            if recipe not in PRESETS:
                raise ValueError(f"the recipe is one of {', '.join(PRESETS)}")
            chosen = json.loads(settings or "{}")
            if not isinstance(chosen, dict):
                raise ValueError("the settings are a JSON object of names and values")
            base = controls.of_recipe(recipe)
            values = {name: getattr(base, name) for name in controls.NAMES}
            values |= {"network": next(iter(studio.networks))} | chosen
            asked = await asyncio.to_thread(
                studio.paint, folder, content, styles or [], style or None, values
            )
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        task = asked.tasks[-1]
        while not asked.over:
            for one in asked.tasks:
                one.watch()
            yield None, _report(asked)
            await asyncio.sleep(LOOK)
        if task.state == FAILED or not task.output.exists():
            raise gr.Error(task.says, print_exception=False)
        yield str(task.output), _report(asked)

    inputs = [
        gr.File(visible=False, type="filepath", label="content"),
        gr.File(visible=False, type="filepath", file_count="multiple", label="styles"),
        gr.Textbox(visible=False, value="", label="style"),
        gr.Textbox(visible=False, value=controls.RECIPE, label="recipe"),
        gr.Textbox(visible=False, value="{}", label="settings"),
    ]
    outputs = [gr.File(visible=False, label="picture"), gr.JSON(visible=False, label="report")]
    gr.Button(visible=False).click(
        paint, inputs, outputs, api_name="paint", concurrency_limit=None, show_progress="hidden"
    )


def _report(asked: Asked) -> dict:
    task = asked.tasks[-1]
    return {
        "state": task.state,
        "iteration": round(task.iteration),
        "iterations": task.iterations,
        "losses": task.rows[-1][1] if task.rows else {},
        "command": asked.command,
    }


async def _looks(
    visitor: Visitor, look_at: Callable[[Asked], tuple[dict, ...]], what: str = "asked"
) -> AsyncIterator[tuple]:
    """What a visitor sees, again and again, until what they have asked for is over; nothing in
    between where nothing has changed.

    Args:
        visitor: who has asked.
        look_at: gives what is to be seen of it.
        what: the name of what they have asked for: a painting, "asked", or a "film".
    """
    asked, before = getattr(visitor, what), None
    while getattr(visitor, what) is asked:
        for task in asked.tasks:
            task.watch()
        visitor.seen = time.monotonic()
        is_over = asked.over
        look = look_at(asked)
        if look != before:
            yield tuple(
                gr.skip() if before and new == old else gr.update(**new)
                for new, old in zip(look, before or look)
            )
            before = look
        if is_over:
            return
        await asyncio.sleep(LOOK)
    # What was asked for in its place is shown by another, and is not to be written over: Gradio
    # sends the last of what is given once more at the end.
    yield (gr.skip(),) * len(before)


def _look(asked: Asked, is_first: bool = False) -> tuple[dict, ...]:
    """What each of `Shown` is to be like."""
    last, text = asked.tasks[-1], pieces.of(asked.tasks[-1])
    if is_first and last.state == DONE:
        text = pieces.status(FIRST, "done")
    png, jpeg, before = (
        last.output.with_name(name) for name in (last.output.name, "painted.jpg", "before.jpg")
    )
    is_whole = last.over and png.exists()
    pair = (str(before), str(jpeg)) if is_whole and before.exists() and jpeg.exists() else None
    return (
        dict(value=None if pair else _picture_of(asked.tasks), visible=pair is None),
        dict(value=pair, visible=pair is not None),
        dict(value=text),
        dict(value=pieces.curve(last.rows)),
        dict(value=str(png) if is_whole else None, visible=is_whole),
        dict(value=str(jpeg) if pair else None, visible=pair is not None),
        dict(value=asked.command, visible=bool(asked.command)),
        dict(interactive=True),
        dict(visible=not last.over and not is_first),
    )


def _picture_of(tasks: Sequence[Task]) -> str | None:
    """The best that there is to show so far."""
    for task in reversed(tasks):
        if task.over and task.output.exists():
            return str(task.output)
        if task.previews:
            return str(task.previews[-1])
    return None


def _failed(shown: Shown | ShownFilm, error: Exception) -> tuple:
    """Everything as it was, and a sentence."""
    said = sentence(error)
    return tuple(pieces.error(said) if one is shown.status else gr.skip() for one in shown.all())


def _folder(studio: Studio, request: gr.Request) -> Path:
    """The folder of the visitor who asks; `Guard` has seen to the cookie."""
    own = secret_of(request.headers.get("cookie", ""))
    if own is None:
        raise gr.Error("The page needs its cookie to tell visitors apart.", print_exception=False)
    return studio.folders.of(own)


def _photograph(elem_id: str, **options) -> gr.Image:
    """Where a photograph is dropped. It gives the path as it is: Gradio opens the file first, and
    says "Error" where that fails; here, `Studio.check` says what is wrong with it."""
    image = gr.Image(
        label="Photograph",
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        height=260,
        elem_id=elem_id,
        buttons=[],
        **options,
    )
    image.preprocess = lambda payload: payload and payload.path
    return image


def _film(elem_id: str, **options) -> gr.Video:
    """Where a film is dropped, or shown, as it is: Gradio would begin ffmpeg on what it takes for
    another format."""
    shown = gr.Video(elem_id=elem_id, elem_classes=["film"], buttons=[], **options)
    shown.preprocess = lambda payload: payload and payload.path
    shown.postprocess = lambda path: path and FileData(path=str(path), orig_name=Path(path).name)
    return shown


def _cards(studio: Studio, elem_id: str, before: list[tuple[str, str]], info: str) -> gr.Radio:
    """The painter's styles, each as a thumbnail, after others."""
    return gr.Radio(
        [*before, *((_words(name), name) for name in studio.styles)],
        value="starry_night",
        label="A style of the painter in the package",
        info=info,
        elem_id=elem_id,
        elem_classes=["cards"],
    )


def _command(elem_id: str, label: str) -> gr.Code:
    return gr.Code(
        label=label,
        language=None,
        interactive=False,
        visible=False,
        wrap_lines=True,
        lines=1,
        elem_id=elem_id,
    )


def _mask_of(drawn) -> np.ndarray | None:
    """What was brushed, (H, W) in 0..1; None for nothing."""
    layers = [
        np.asarray(layer.convert("RGBA"))[..., 3] for layer in (drawn or {}).get("layers", [])
    ]
    mask = np.max(layers, axis=0) / np.float32(255) if layers else np.zeros((1, 1))
    return mask if mask.any() else None


def _of_recipe(recipe: str, names: Iterable[str]) -> list:
    """What is said of a recipe, as an update of its control, and what these controls show in it."""
    found = controls.shown(controls.of_recipe(recipe))
    return [gr.update(info=_about(recipe)), *(found[name] for name in names)]


def _about(recipe: str) -> str:
    """What a recipe is, as a sentence."""
    about = PRESETS[recipe].about
    return f"{about[:1].upper()}{about[1:]}. The settings below change it in part."


def _words(style: str) -> str:
    return style.replace("_", " ")


def _in_package() -> list[str]:
    return sorted(path.stem for path in STYLES.glob("*.jpg"))

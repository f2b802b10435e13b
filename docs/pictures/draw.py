"""Draw the pictures of README and docs anew: `make pictures`. They are what Chromium shows of the terminal's table, of
the comment on a pull request and of report.html, as makeweight writes them of the verdict of a demo; and of the
timeline that `make canary-demo` recorded.

Verdict and timeline stand beside them, with a digest of what was made of them: a test says when that changes.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from examples.monitoring.rollout import picture, recorded
from makeweight.decide import verdict
from makeweight.report import html, markdown, terminal
from makeweight.report.content import Content

HERE = Path(__file__).parent
VERDICT, TIMELINE, DIGEST = HERE / "verdict.json", HERE / "timeline.json", HERE / "drawn.sha256"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# A picture of a README is seen at half the size that it is drawn in; more colours than these are not told apart.
_COLOURS = 128
_FRAME = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 20px; background: {page}; width: max-content; max-width: {width}px }}
pre {{ margin: 0; font: 14px/1.45 "DejaVu Sans Mono", "Liberation Mono", monospace; color: #d8dee9 }}
main {{ font: 15px/1.5 "DejaVu Sans", "Liberation Sans", sans-serif; color: #1f2328 }}
h3 {{ font-size: 19px; margin: 0 0 14px }}
table {{ border-collapse: collapse; margin: 0 0 14px }}
th, td {{ border: 1px solid #d1d9e0; padding: 5px 12px }}
tr:nth-child(even) td {{ background: #f6f8fa }}
code {{ background: #eff1f3; border-radius: 5px; padding: 2px 5px; font-size: 13px }}
details {{ margin: 6px 0 }} sub {{ color: #59636e }}
</style>{body}"""


def digest() -> str:
    """Of what is made today of the verdict and the timeline that the pictures were drawn from."""
    content = _content()
    forms = (terminal.render(content), markdown.render(content), html.render(content), _timeline())
    return hashlib.sha256("\0".join(forms).encode()).hexdigest()


def main(demo: Path) -> int:
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.stderr.write("no Chromium here, which draws the pictures: on Debian and Ubuntu, apt install chromium\n")
        return 4
    for kept, made, how in (
        (VERDICT, demo / "reports" / VERDICT.name, "make demo"),
        (TIMELINE, demo / "rollout" / TIMELINE.name, "make canary-demo"),
    ):
        if made.is_file():
            shutil.copyfile(made, kept)
        else:
            sys.stderr.write(f"no {made}: drawn from the figures of the last time; `{how}` makes them anew\n")
    content = _content()
    pages = {
        "terminal.png": _FRAME.format(page="#1b1f27", width=1400, body=_terminal(content)),
        "comment.png": _FRAME.format(page="#ffffff", width=1000, body=_comment(content)),
        "report.png": html.render(content),
        "rollback.png": _timeline(),
    }
    for name, page in pages.items():
        _draw(browser, page, HERE / name)
        sys.stdout.write(f"docs/pictures/{name}: {(HERE / name).stat().st_size:,} bytes\n")
    DIGEST.write_text(digest() + "\n", encoding="utf-8")
    return 0


def _content() -> Content:
    return Content(verdict.loads(VERDICT.read_text(encoding="utf-8"), str(VERDICT)))


def _timeline() -> str:
    """The drawing itself, as a page without a margin."""
    drawn = picture.draw(recorded.loads(TIMELINE.read_text(encoding="utf-8")))
    return f'<!doctype html><meta charset="utf-8"><style>body {{ margin: 0 }}</style>{drawn}'


def _terminal(content: Content) -> str:
    """The table with its colours, as a terminal of 120 columns has it."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    class Window(io.StringIO):
        def isatty(self) -> bool:
            return True

    window = Window()
    os.environ["COLUMNS"], os.environ["TERM"] = "120", "xterm-256color"
    terminal.print_to(content, window)
    console = Console(record=True, width=120, file=io.StringIO(), legacy_windows=False)
    console.print(Text("$ makeweight gate", style="bold"))
    console.print(Text.from_ansi(window.getvalue()))
    return console.export_html(theme=MONOKAI, inline_styles=True, code_format="<pre>{code}</pre>")


def _comment(content: Content) -> str:
    """Markdown as a pull request shows it, what is folded away folded."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    return f"<main>{reader.render(markdown.render(content))}</main>"


def _draw(browser: str, page: str, target: Path) -> None:
    """The page as a PNG of few colours, cut to what there is on it."""
    with tempfile.TemporaryDirectory() as folder:
        source, shot = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(page, encoding="utf-8")
        asked = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        subprocess.run(
            [browser, *asked, f"--screenshot={shot}", "--window-size=1180,1800", f"file://{source}"],
            check=True,
            capture_output=True,
            timeout=600,
        )
        with Image.open(shot) as image:
            _cut(image.convert("RGB")).quantize(_COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def _cut(image: Image.Image) -> Image.Image:
    """Without the margin on the right and below that has the colour of the last pixel."""
    from PIL import ImageChops

    ground = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    box = ImageChops.difference(image, ground).getbbox()
    if box is None:
        return image
    return image.crop((0, 0, min(box[2] + 20, image.width), min(box[3] + 20, image.height)))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

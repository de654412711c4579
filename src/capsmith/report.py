"""The report of an evaluation: a page with scores, and pictures with what people and the model said.

The page needs no network, no script and nothing outside its folder, where small copies of the pictures lie.
"""

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from capsmith.errors import PictureError
from capsmith.features.images import Source
from capsmith.runs import atomic, write_text
from capsmith.thumbnails import thumbnail

THUMBNAIL = 320
"""Longest side of the pictures in the report, in pixels."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --paper: #f3f5f8; --card: #fff;
  --rule: #dde2ea;
  --accent: #0b63ce; --good: #0a7f4f; --bad: #b3401f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf2; --soft: #9aa5b5; --paper: #12161d;
  --card: #1b212b;
  --rule: #2e3744; --accent: #6fb1ff; --good: #4fd39a; --bad: #ff9670; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 82rem; background: var(--paper);
  color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0 1rem; color: var(--soft); }
.wide { overflow-x: auto; margin: 1rem 0 .5rem; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--rule);
  border-radius: 8px; }
th, td { padding: .5rem .9rem; text-align: right; border-top: 1px solid var(--rule);
  white-space: nowrap;
  font-variant-numeric: tabular-nums; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .85rem; }
th:first-child, td:last-child, thead th:last-child { text-align: left; }
td.score { font-weight: 650; }
code { font: .78rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--soft); }
.cards { display: grid; gap: 1.1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  overflow: hidden; }
figure img, .gone { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain;
  background: var(--rule); }
.gone { display: grid; place-items: center; color: var(--soft); font-size: .9rem; }
figcaption { padding: .8rem .95rem 1rem; }
.said { font-weight: 620; font-size: 1.05rem; line-height: 1.35; margin: 0 0 .5rem; color: var(--ink); }
.said::before { content: "model"; float: right; margin: .15rem 0 0 .6rem;
  font: 500 .68rem system-ui, sans-serif;
  letter-spacing: .04em; text-transform: uppercase; color: var(--accent); }
ul { margin: 0; padding: 0; list-style: none; font-size: .88rem; color: var(--soft); }
li { padding: .18rem 0; border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
.id { display: flex; justify-content: space-between; gap: 1rem; margin: .6rem 0 0; font-size: .76rem; }
.id span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.best b { color: var(--good); } .worst b { color: var(--bad); }
footer { margin-top: 3rem; font-size: .85rem; color: var(--soft); }
"""


def write_report(
    directory: Path,
    *,
    title: str,
    scores: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    score_name: str = "",
    most: int = 60,
    notes: Sequence[str] = (),
) -> Path:
    """Writes ``index.html`` and the pictures that it shows.

    The pictures are written first and the page last, all atomically: an interrupted report leaves the earlier
    page as it was.

    Args:
        directory: Folder of the page; the pictures go to ``images`` in it.
        title: The page's heading.
        scores: One dictionary a metric: ``name``, ``value``, and where there are any ``interval`` (low,
            high), ``control`` (the score with shuffled pictures) and ``signature``.
        examples: One dictionary a picture: ``image_id``, ``image_path``, ``prediction``, ``references`` and
            ``score``.
        score_name: What ``score`` of the examples is.
        most: How many examples are shown: half of them the best, half the worst.
        notes: Lines at the foot of the page.

    Returns:
        The page's path.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    best, worst = best_and_worst(examples, most)
    shown = [*best, *worst]
    files = {example["image_id"]: _picture(example, directory / "images") for example in shown}
    _clear(directory / "images", {name for name in files.values() if name})
    parts = [
        _table(scores),
        _section("Best first", "best", best, files, score_name, len(examples)),
        _section("Worst first", "worst", worst, files, score_name, len(examples)),
        "<footer>" + "".join(f"<div>{escape(note)}</div>" for note in notes) + "</footer>",
    ]
    heading = escape(title)
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_STYLE}</style>\n<body>\n<h1>{heading}</h1>\n"
    )
    path = directory / "index.html"
    write_text(path, page + "\n".join(parts) + "\n</body>\n</html>\n")
    return path


def best_and_worst(
    examples: Sequence[Mapping[str, Any]], most: int
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Returns the best examples, best first, and the worst, worst first; no example is in both.

    Args:
        examples: With a ``score`` each; equal scores keep their order.
        most: How many examples in all; of an odd number the best have one more.
    """
    ranked = sorted(examples, key=lambda example: -float(example["score"]))
    count = min(most, len(ranked))
    worst = ranked[len(ranked) - count // 2 :]
    return ranked[: count - count // 2], worst[::-1]


def _table(scores: Sequence[Mapping[str, Any]]) -> str:
    """Returns the scores with the columns that any of them fills."""
    interval = any(score.get("interval") for score in scores)
    control = any(score.get("control") is not None for score in scores)
    heads = [
        "metric",
        "score",
        *(["95 % interval"] if interval else []),
        *(["shuffled pictures"] if control else []),
    ]
    rows = []
    for score in scores:
        cells = [f'<td class="score">{score["value"]:.3f}</td>']
        if interval:
            low_high = score.get("interval")
            cells.append(f"<td>{low_high[0]:.3f} – {low_high[1]:.3f}</td>" if low_high else "<td></td>")
        if control:
            other = score.get("control")
            cells.append("<td></td>" if other is None else f"<td>{other:.3f}</td>")
        cells.append(f"<td><code>{escape(str(score.get('signature', '')))}</code></td>")
        rows.append(f'<tr><th scope="row">{escape(str(score["name"]))}</th>{"".join(cells)}</tr>')
    top = "".join(f'<th scope="col">{head}</th>' for head in [*heads, "signature"])
    told = "<p>Shuffled pictures: the same captions, each scored as that of another picture.</p>" if control else ""
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide">{table}</div>{told}'


def _section(
    heading: str,
    style: str,
    examples: Sequence[Mapping[str, Any]],
    files: Mapping[str, str | None],
    score_name: str,
    total: int,
) -> str:
    if not examples:
        return ""
    ranked = f", ranked by {escape(score_name)}" if score_name else ""
    cards = "\n".join(_card(example, files[example["image_id"]], score_name) for example in examples)
    told = f"<p>{len(examples)} of {total:,} pictures{ranked}.</p>"
    return f'<h2>{heading}</h2>\n{told}\n<div class="cards {style}">\n{cards}\n</div>'


def _card(example: Mapping[str, Any], file: str | None, score_name: str) -> str:
    image_id, said = escape(str(example["image_id"])), escape(str(example["prediction"])) or "(no words)"
    picture = (
        f'<img src="images/{file}" alt="{said}" loading="lazy">'
        if file
        else '<div class="gone">the picture cannot be read</div>'
    )
    references = "".join(f'<li dir="auto">{escape(str(text))}</li>' for text in example["references"])
    return (
        f'<figure>{picture}<figcaption><p class="said" dir="auto">{said}</p><ul>{references}</ul>'
        f'<div class="id"><span title="{image_id}">{image_id}</span>'
        f"<span>{escape(score_name)} <b>{example['score']:.3f}</b></span></div></figcaption></figure>"
    )


def _picture(example: Mapping[str, Any], folder: Path) -> str | None:
    """Writes a small copy of a picture; returns its name, or None when the picture cannot be read."""
    source: Source = example["image_path"]
    name = hashlib.sha256(str(example["image_id"]).encode("utf-8", "surrogatepass")).hexdigest()[:16] + ".jpg"
    try:
        small = thumbnail(source, THUMBNAIL)
    except PictureError:  # noted at extraction; the report goes on
        return None
    with atomic(folder / name, "wb") as file:
        small.save(file, "JPEG", quality=88)
    return name


def _clear(folder: Path, wanted: set[str]) -> None:
    """Takes away the pictures that an earlier report showed and this one does not."""
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(r"[0-9a-f]{16}\.jpg", path.name) and path.name not in wanted:
                with contextlib.suppress(OSError):
                    path.unlink()

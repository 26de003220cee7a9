"""Groups of duplicates as one HTML page of pictures, with nothing to load."""

from __future__ import annotations

import base64
import html
import io
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.data.duplicates import Duplicates
from dcgan_viz.data.duplicates.duplicates import SHOWN_MEMBERS, sentences

QUALITY = 80

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Duplicates in $source</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1240px; padding: 1rem; color: #222; }
h1 { font-size: 1.25rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem; margin-top: 1rem; }
article { border-top: 1px solid #ddd; padding-top: .4rem; }
h2 { font-size: .9rem; margin: 0 0 .3rem; font-weight: normal; color: #555; }
.pictures { display: flex; flex-wrap: wrap; gap: .4rem; }
figure { margin: 0; width: 100px; }
img { display: block; width: 96px; height: 96px; border: 2px solid transparent; }
.kept img { border-color: #2c5d8f; }
figcaption { font-size: 11px; color: #555; overflow-wrap: anywhere; }
.kept figcaption { color: #2c5d8f; }
ul { margin: 0; padding-left: 1.2rem; }
</style>
</head>
<body>
<h1>Duplicates in $source</h1>
<ul>$lines</ul>
<p>$chosen The first of a group, framed in blue, is kept. Beneath the others: the correlation of their 32×32 pixels with the
nearest of their group once fitted to it, and the bits in which the codes of these two differ.</p>
<main>
$groups
</main>
</body>
</html>
""")


def duplicates_page(result: Duplicates) -> str:
    """Some of the groups as HTML text, which needs no other file.

    Parameters
    ----------
    result : Duplicates

    Returns
    -------
    str
    """
    groups = result.group[result.shown]
    articles = [
        _article(result, int(number), np.flatnonzero(groups == number)) for number in dict.fromkeys(groups.tolist())
    ]
    chosen = f"{len(articles)} of {result.groups:,} groups, drawn at random." if len(articles) < result.groups else ""
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in sentences(result).splitlines())
    return _PAGE.substitute(
        source=html.escape(result.source),
        lines=lines,
        chosen=chosen,
        groups="\n".join(articles) or "<p>There are none.</p>",
    )


def _article(result: Duplicates, number: int, places: NDArray[np.int64]) -> str:
    size = int((result.group == number).sum())
    figures = []
    for place in places:
        index = int(result.shown[place])
        name = html.escape(result.names[index])
        words = "kept" if place == places[0] else _nearest(result, index)
        figures.append(
            f'<figure{" class=kept" if place == places[0] else ""}><img alt="{name}" '
            f'src="{_data(result.shown_pictures[place])}"><figcaption>{name}<br>{words}</figcaption></figure>'
        )
    more = f", of which {SHOWN_MEMBERS} are shown" if size > SHOWN_MEMBERS else ""
    return (
        f'<article id="group-{number}"><h2>group {number}: {size} pictures{more}</h2>'
        f'<div class="pictures">{"".join(figures)}</div></article>'
    )


def _nearest(result: Duplicates, index: int) -> str:
    pairs = np.flatnonzero((result.candidates == index).any(1))
    best = pairs[np.argmax(result.correlations[pairs])]
    return f"{result.correlations[best]:.3f}, {result.distances[best]} bits"


def _data(picture: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"

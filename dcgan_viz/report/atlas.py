"""The atlas of a layer: one HTML page with every map's strongest images and guided gradients, nothing to load."""

from __future__ import annotations

import base64
import html
import io
import json
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.analysis.attribution.guided_backprop import GuidedBackprop
from dcgan_viz.analysis.attribution.responses import Response
from dcgan_viz.figures.attribution.guided_backprop import control_text, crop, gradient_picture, units_text
from dcgan_viz.media.pictures import fit

TILE, GAP = 64, 3
QUALITY = 65
"""Of WebP: 512 maps make a page of about 12 MB."""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1240px; padding: 1rem; color: #222; }
header { position: sticky; top: 0; background: #fff; padding: .4rem 0; border-bottom: 1px solid #ccc; z-index: 1; }
h1 { font-size: 1.25rem; margin: 0 0 .4rem; }
label { margin-right: 1rem; }
input, select { font: inherit; padding: .15rem .4rem; }
article { border-bottom: 1px solid #ddd; padding: .6rem 0; display: grid; gap: .2rem .8rem;
  grid-template-columns: 9.5rem 1fr; align-items: center;
  content-visibility: auto; contain-intrinsic-size: auto 250px; }
article[hidden] { display: none; }
h2 { font-size: 1rem; margin: 0; }
p { margin: 0; }
small { color: #555; }
.numbers { grid-row: span 2; }
img { width: 100%; max-width: ${width}px; height: auto; image-rendering: pixelated; display: block; }
figure { margin: 0; }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<label>Maps <input id="wanted" type="search" placeholder="3, 17-20" size="14" autofocus></label>
<label>Order <select id="order"><option value="map">by number</option>
<option value="strongest">strongest response first</option></select></label>
<output id="shown"></output>
</header>
<main>
$cards
</main>
<p><small>$caption</small></p>
<script>
"use strict";
const cards = [...document.querySelectorAll("article")];
const wanted = document.getElementById("wanted");
const order = document.getElementById("order");
function ranges(text) {
  return text.split(",").map(part => part.trim()).filter(part => part !== "").map(part => {
    const [first, last = first] = part.split("-").map(Number);
    return [first, last];
  });
}
function show() {
  const asked = ranges(wanted.value);
  let count = 0;
  for (const card of cards) {
    const map = Number(card.dataset.map);
    card.hidden = asked.length > 0 && !asked.some(([first, last]) => first <= map && map <= last);
    count += !card.hidden;
  }
  document.getElementById("shown").textContent = count + " of " + cards.length + " maps";
}
function sort() {
  const key = order.value, sign = key === "map" ? 1 : -1;
  cards.sort((a, b) => sign * (a.dataset[key] - b.dataset[key]));
  document.querySelector("main").append(...cards);
}
wanted.addEventListener("input", show);
order.addEventListener("change", sort);
// A link can point at maps: atlas.html#3,17-20
wanted.value = decodeURIComponent(location.hash.slice(1));
show();
</script>
</body>
</html>
""")

_CARD = Template("""<article data-map="$map" data-strongest="$strongest" id="map-$map">
<div class="numbers"><h2>map $map</h2>
<p><small>$numbers</small></p></div>
<figure><img loading="lazy" decoding="async" width="$width" height="$height" alt="$alt" src="$trained"></figure>
<figure><img loading="lazy" decoding="async" width="$width" height="$height" alt="the same for a random filter"
src="$random"></figure>
</article>
""")


def atlas_page(result: GuidedBackprop) -> str:
    """The atlas as HTML text, which needs no other file.

    A box filters maps by number (or a link's fragment does: ``atlas.html#3,17-20``), a list orders them. Pictures are
    laid out only when they come into view.

    Parameters
    ----------
    result : GuidedBackprop

    Returns
    -------
    str
    """
    top = result.top
    # One strip: the images, then their gradients; shown half as large again.
    width, height = 2 * top * (TILE + GAP) - GAP, TILE
    cards = []
    for index, number in enumerate(result.maps):
        own = result.responses[index * top : (index + 1) * top]
        control = result.random_responses[index * top : (index + 1) * top]
        values = ", ".join(f"{response.value:.2f}" for response in own)
        numbers = (
            f"activations {values}<br>at rows and columns {', '.join(f'{r.row}·{r.column}' for r in own)}<br>"
            f"images {', '.join(str(r.image) for r in own)}<br>random filter: {control[0].value:.2f} at most"
        )
        cards.append(
            _CARD.substitute(
                map=number,
                strongest=json.dumps(own[0].value),
                numbers=numbers,
                width=width,
                height=height,
                alt=f"the strongest images of map {number} and their guided gradients",
                trained=_strip(own, result.pictures[index], result.gradients[index], result.receptive_field),
                random=_strip(
                    control, result.random_pictures[index], result.random_gradients[index], result.receptive_field
                ),
            )
        )
    layer = result.layer
    title = f"{result.settings['model']}: maps of discriminator layer {layer.number} ({layer.kind})"
    shown = units_text(result, top, "activation, place and number of each on the left")
    caption = f"{shown} Below, the same for a random filter. {control_text(result, 'it')}"
    return _PAGE.substitute(
        title=html.escape(title), cards="".join(cards), caption=html.escape(caption), width=round(1.5 * width)
    )


def _strip(
    responses: tuple[Response, ...], pictures: NDArray[np.uint8], gradients: NDArray[np.float32], field: int
) -> str:
    """Images and gradients cropped to the receptive fields, side by side, as a data URI."""
    page = Image.new("RGB", (2 * len(responses) * (TILE + GAP) - GAP, TILE), "white")
    for rank, (response, picture, gradient) in enumerate(zip(responses, pictures, gradients, strict=True)):
        rows, columns = crop(response, field, picture.shape[0])
        drawn = gradient_picture(gradient[:, rows, columns])
        for place, pixels in ((rank, picture[rows, columns]), (len(responses) + rank, drawn)):
            page.paste(Image.fromarray(fit(pixels, TILE)), (place * (TILE + GAP), 0))
    file = io.BytesIO()
    page.save(file, "webp", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"

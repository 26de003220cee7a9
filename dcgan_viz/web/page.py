"""A model as a static page: its generator runs in the visitor's browser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, choose_layer, draw_with
from dcgan_viz.analysis.forgetting.automatic_boxes import find_boxes
from dcgan_viz.analysis.forgetting.evidence import gather_evidence
from dcgan_viz.analysis.forgetting.forgetting import EVIDENCE
from dcgan_viz.analysis.forgetting.rankings import positive_maps, score_maps
from dcgan_viz.annotations.concepts import find_concepts
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.foreign.onnx_files import Weights, editable_graph
from dcgan_viz.judges.segmenter import find_segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.statistics import stream
from dcgan_viz.web.runtime import runtime_files

MAXIMUM_BYTES = 25 * 10**6
SAMPLES = 64
CHECKED = 16
OWN_FILES = ("index.html", "page.js", "drawing.js", "page.css")
MODEL_FILE, GRAPH_FILE = "model.json", "generator.onnx"
RANKING = "regression"


@dataclass(frozen=True)
class WebPage:
    """What was written.

    Parameters
    ----------
    folder : Path
    size : int
        Bytes of all files together.
    weights : {"half", "bytes"}
        How kernels are kept.
    difference : float
        Mean absolute difference from torch's pictures, in grey levels.
    objects : tuple of str
        That can be forgotten.
    """

    folder: Path
    size: int
    weights: Weights
    difference: float
    objects: tuple[str, ...]


def export_web(model: DCGAN, folder: str | Path, overwrite: bool = False, *, progress: Progress = silent) -> WebPage:
    """Write a page that draws, walks, adds and forgets in the visitor's browser, from any file server.

    Kernels are kept in 16 bits, or in 8 where the page would have more than 25 MB otherwise.

    Parameters
    ----------
    model : DCGAN
    folder : path
    overwrite : bool
        Replace files of the same names, whoever wrote them.
    progress : Progress
        Counts objects whose maps are ranked.

    Returns
    -------
    WebPage

    Raises
    ------
    UserError
        If onnx, onnxruntime or onnxruntime-web is missing, the networks are not this package's, the page would be too
        large, or something is in its place.
    """
    path, layer = Path(folder), choose_layer(model, None)
    check_folder(path, "WebPage", (*OWN_FILES, MODEL_FILE, GRAPH_FILE), overwrite)
    runtime = runtime_files()
    own = {name: resources.files("dcgan_viz.web").joinpath(name).read_bytes() for name in OWN_FILES}
    rest = sum(map(len, [*runtime.values(), *own.values()])) + 2**18
    choices: tuple[Weights, ...] = ("half", "bytes")
    for weights in choices:
        graph = editable_graph(model, layer, weights)
        if rest + len(graph) <= MAXIMUM_BYTES:
            break
    else:
        raise UserError(
            f"the page would have {(rest + len(graph)) / 1e6:.0f} MB, and {MAXIMUM_BYTES // 10**6} are the most: its "
            "generator is too large"
        )
    ranked = _ranked(model, progress)
    about = {
        "name": model.card.name,
        "summary": model.card.summary,
        "terms": model.card.terms,
        "data": model.card.data,
        "weaknesses": model.card.weaknesses,
        "prior": model.prior,
        "latent": model.latent_dim,
        "channels": layer.channels,
        "layer": layer.number,
        "objects": ranked,
        "concepts": _concepts(model),
        # The first samples of seed 0, so that the page begins with what dcgan-viz sample draws.
        "latents": np.round(model.latents(SAMPLES, 0).numpy().astype(float), 4).tolist(),
    }
    difference = _difference(model, graph, Ablation(layer, tuple(range(0, layer.channels, 2))))
    files = {**runtime, **own, GRAPH_FILE: graph, MODEL_FILE: json.dumps(about).encode()}
    with staged_folder(path, "WebPage", first=GRAPH_FILE, overwrite=overwrite) as stage:
        for name, data in files.items():
            (stage / name).write_bytes(data)
    return WebPage(path, sum(map(len, files.values())), weights, difference, tuple(ranked))


def _ranked(model: DCGAN, progress: Progress) -> dict[str, Any]:
    """For each object the maps of the paper's layer, most telling first, and how many have a positive weight."""
    segmenter = find_segmenter(model)
    folder = model.folder / "annotations" if model.folder else None
    annotated = sorted(f.stem for f in folder.glob("*.json")) if folder is not None and folder.is_dir() else []
    labels = annotated or (() if segmenter is None else segmenter.objects)
    found: dict[str, Any] = {}
    if not labels:
        return found
    boxes = find_boxes(model, labels, segmenter)
    for label in progress(labels, Stage("ranking maps", len(labels), "object")):
        try:
            # By the same other positions as `forget` with seed 0.
            evidence = gather_evidence(model, choose_layer(model, None), boxes, label, seed=stream(0, EVIDENCE))
            scores = score_maps(RANKING, evidence)
        except UserError:
            # Too few boxes of it: it is not offered.
            continue
        order = np.argsort(-scores, kind="stable").tolist()
        found[label] = {"maps": order, "positive": len(positive_maps(evidence.weights))}
    return found


def _concepts(model: DCGAN) -> dict[str, Any]:
    """The mean latents of three exemplars of each concept."""
    try:
        concepts = find_concepts(model)
    except UserError:
        return {}
    enough = [name for name, numbers in concepts.exemplars.items() if len(numbers) >= 3]
    return {
        name: np.round(concepts.latents(model, name, 3)[:3].mean(0).numpy().astype(float), 5).tolist()
        for name in enough
    }


def _difference(model: DCGAN, graph: bytes, ablation: Ablation) -> float:
    """How far the graph's pictures are from torch's, whole and with maps zeroed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("the page is checked with onnxruntime: pip install 'dcgan-viz[export]'") from error
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    latents = model.latents(CHECKED, 1)
    ways = [ablation.of(()), ablation]
    differences = []
    for way, expected in zip(ways, draw_with(model, ways, latents), strict=True):
        (drawn,) = session.run(None, {"z": latents.numpy(), "factors": way.factors.numpy()})
        pixels = to_pixels(torch.from_numpy(drawn)).astype(float)
        differences.append(np.abs(pixels - to_pixels(expected)).mean())
    return float(max(differences))

"""``dcgan-viz guided-backprop``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import (
    check_out,
    device_option,
    finish,
    json_option,
    model_option,
    out_folder,
    out_option,
    parse_numbers,
    seed_option,
)
from dcgan_viz.errors import UserError
from dcgan_viz.words import images_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from dcgan_viz.analysis.attribution.detection import Detection
    from dcgan_viz.analysis.attribution.guided_backprop import GuidedBackprop
    from dcgan_viz.analysis.attribution.guided_gradient import Rule
    from dcgan_viz.data.images import Images
    from dcgan_viz.model import DCGAN
    from dcgan_viz.networks.layers import Layer
    from dcgan_viz.results import Result

METHOD_NAMES = (
    "guided",
    "gradient",
    "deconvnet",
    "input-x-gradient",
    "integrated-gradients",
    "smoothgrad",
    "gradcam",
    "occlusion",
)
SHOWN_UNITS = 16
DEFAULT_OUT, DEFAULT_UNIT_OUT = "results/guided-backprop", "results/unit"


@click.command("guided-backprop", cls=Command)
@click.option("--layer", help="Discriminator layer by number or name.  [default: the last]")
@click.option(
    "--maps", help="Feature maps: a list like 0-5,9 or all.  [default: 0-5, or the six that see --object best]"
)
@click.option("--object", "label", help="Rank the maps by how well they find this object, a name or a class number.")
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="Where --object is: boxes on --images from annotate, YOLO, VOC, LabelMe, VIA or COCO, or on the model's samples "
    "from annotate.  [default: the model's own boxes]",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Images of any source that train takes.  [default: samples of the model]",
)
@click.option("--unit", metavar="MAP,ROW,COLUMN", help="Explain this one unit, on --image, and nothing else.")
@click.option("--image", type=click.Path(path_type=Path), help="The picture that --unit is explained on.")
@click.option("--count", type=click.IntRange(2), default=512, show_default=True, help="How many images to look at.")
@click.option("--top", type=click.IntRange(1, 16), default=4, show_default=True, help="Images to show for each map.")
@click.option(
    "--rule",
    type=click.Choice(["keep", "zero"]),
    default="keep",
    show_default=True,
    help="Below zero, LeakyReLU keeps its slope or passes nothing.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice([*METHOD_NAMES, "all"]),
    help="Also compare methods on the same units; can be repeated.",
)
@click.option("--sanity", is_flag=True, help="Also check against networks with randomised weights.")
@model_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def guided_backprop(
    layer: str | None,
    maps: str | None,
    label: str | None,
    annotations: Path | None,
    images: Path | None,
    unit: str | None,
    image: Path | None,
    count: int,
    top: int,
    rule: Rule,
    methods: tuple[str, ...],
    sanity: bool,
    model: str,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """See what excites the discriminator's feature maps.

    For each map: the images that excite it most and the guided gradient of that response (Springenberg et al. 2014),
    beside the same for random filters, as in Figure 5 of the DCGAN paper. The folder holds the figure, an atlas page
    to look maps up in, the numbers and the arrays.

    \b
    dcgan-viz guided-backprop --layer 5
    dcgan-viz guided-backprop --layer 3 --maps 0-7,40 --rule zero
    dcgan-viz guided-backprop --images photographs.zip --maps all --out results/atlas
    dcgan-viz guided-backprop --layer 4 --object window
    dcgan-viz guided-backprop --layer 4 --object cat --images photographs/ --annotations cat-boxes.json
    dcgan-viz guided-backprop --layer 4 --object 16 --images coco/images/ --annotations coco/labels/
    dcgan-viz guided-backprop --layer 5 --sanity --method all
    dcgan-viz guided-backprop --layer 3 --unit 7,2,3 --image my.jpg
    """
    from dcgan_viz.analysis.attribution import guided_backprop as analysis
    from dcgan_viz.figures.attribution.atlas import atlas_figure
    from dcgan_viz.figures.attribution.guided_backprop import guided_backprop_figure
    from dcgan_viz.model import load
    from dcgan_viz.networks.layers import find_layer
    from dcgan_viz.report.atlas import atlas_page

    if unit is not None or image is not None:
        others = {"--maps": maps, "--object": label, "--images": images, "--method": methods, "--sanity": sanity}
        _check_alone(unit, image, [name for name, given in others.items() if given])
        assert unit is not None
        assert image is not None
        _explain(load(model, device), layer, _parse_unit(unit), image, rule, seed, out, overwrite, as_json)
        return
    if annotations is not None and label is None:
        raise click.UsageError("--annotations says where --object is: give both")
    _check_places(out, overwrite, label is not None, sanity, bool(methods))
    loaded = load(model, device)
    chosen_layer = find_layer(loaded.discriminator_layers, layer or len(loaded.discriminator_layers))
    chosen = parse_numbers(maps or "0-5", "--maps")
    detection = _detect(loaded, chosen_layer, label, annotations, images, seed) if label is not None else None
    if detection is not None and maps is None:
        chosen = tuple(found.map for found in detection.best[:6])
    pictures, source = _pictures(loaded, images, count, seed)
    result = analysis.guided_backprop(
        loaded, pictures, layer=chosen_layer.number, maps=chosen, top=top, rule=rule, seed=seed, source=source
    )
    figures = {"guided-backprop": guided_backprop_figure(result), "atlas": atlas_figure(result)}
    folder = result.save(out_folder(out, DEFAULT_OUT), figures, {"atlas": atlas_page(result)}, overwrite)
    sentences = [result.sentences()]
    parts: dict[str, Result] = {}
    for name, part, figure, sentence in _further(loaded, result, pictures, detection, sanity, methods):
        part.save(folder / name, {name: figure}, overwrite=overwrite)
        parts[name] = part
        sentences += [sentence] if sentence else []
    finish(result, folder, "\n".join(sentences), as_json, parts)


def _check_places(out: Path | None, overwrite: bool, detection: bool, sanity: bool, methods: bool) -> None:
    """Refuse a folder in which something is in the way, before anything is computed."""
    from dcgan_viz.analysis.attribution.detection import Detection
    from dcgan_viz.analysis.attribution.guided_backprop import GuidedBackprop
    from dcgan_viz.analysis.attribution.methods import MethodComparison
    from dcgan_viz.analysis.attribution.sanity import SanityCheck

    parts: tuple[tuple[bool, str, type[Result]], ...] = (
        (detection, "detection", Detection),
        (sanity, "sanity", SanityCheck),
        (methods, "methods", MethodComparison),
    )
    wanted = [(name, kind) for asked, name, kind in parts if asked]
    check_out(GuidedBackprop, out, overwrite, *wanted, figures=["guided-backprop", "atlas"], files=["atlas.html"])


def _further(
    loaded: DCGAN,
    result: GuidedBackprop,
    pictures: Images,
    detection: Detection | None,
    sanity: bool,
    methods: tuple[str, ...],
) -> Iterator[tuple[str, Result, Figure, str]]:
    """What else was asked for: its name, the result, its figure, and what to say of it."""
    from dcgan_viz.analysis.attribution.methods import METHODS, compare_methods
    from dcgan_viz.analysis.attribution.sanity import check_layer
    from dcgan_viz.figures.attribution.detection import detection_figure
    from dcgan_viz.figures.attribution.methods import methods_figure
    from dcgan_viz.figures.attribution.sanity import sanity_figure

    number, rule, seed = result.layer.number, result.settings["rule"], result.settings["seed"]
    if detection is not None:
        yield "detection", detection, detection_figure(detection), _say_detection(detection)
    if sanity:
        source = result.settings["images"]
        checked = check_layer(loaded, pictures, layer=number, rule=rule, seed=seed, source=source)
        yield "sanity", checked, sanity_figure(checked), f"sanity: {checked.sentences()}"
    if methods:
        names, maps = tuple(METHODS) if "all" in methods else methods, result.maps[:SHOWN_UNITS]
        compared = compare_methods(loaded, pictures, names, layer=number, maps=maps, rule=rule, seed=seed)
        yield "methods", compared, methods_figure(compared), ""


def _check_alone(unit: str | None, image: Path | None, others: list[str]) -> None:
    if unit is None or image is None:
        raise click.UsageError("--unit is explained on --image: give both")
    if others:
        raise click.UsageError(f"--unit explains one unit and nothing else: leave out {', '.join(others)}")


def _parse_unit(text: str) -> tuple[int, int, int]:
    """What --unit names."""
    numbers = text.split(",")
    if len(numbers) != 3 or not all(number.strip().isdecimal() for number in numbers):
        raise click.BadParameter(f"{text!r} is not a map, a row and a column, like 7,2,3", param_hint="--unit")
    number, row, column = map(int, numbers)
    return number, row, column


def _explain(
    loaded: DCGAN,
    layer: str | None,
    unit: tuple[int, int, int],
    image: Path,
    rule: Rule,
    seed: int,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """One unit on one picture."""
    from dcgan_viz.analysis.attribution.unit import ExplainedUnit, explain_unit
    from dcgan_viz.data.photographs import load_photographs
    from dcgan_viz.figures.attribution.unit import unit_figure

    check_out(ExplainedUnit, out, overwrite, figures=["unit"])
    channels, size, _ = loaded.image_shape
    pictures = load_photographs([image], size, channels, limit=2)
    if len(pictures) > 1:
        raise UserError(f"{image} holds several pictures, and a unit is explained on one: give one of them as --image")
    picture = pictures.tensor(slice(1))[0]
    result = explain_unit(loaded, picture, unit, layer=layer, rule=rule, seed=seed, source=image.name)
    place = out_folder(out, DEFAULT_UNIT_OUT)
    folder = result.save(place, {"unit": unit_figure(result)}, overwrite=overwrite)
    finish(result, folder, result.sentences(), as_json)


def _pictures(loaded: DCGAN, images: Path | None, count: int, seed: int) -> tuple[Images, str]:
    from dcgan_viz.data.images import load_images
    from dcgan_viz.model import Samples

    if images is None:
        return Samples(loaded, loaded.latents(count, seed)), f"samples of the model (seed {seed})"
    channels, size, _ = loaded.image_shape
    return load_images(images, size, channels, limit=count), images_in(images)


def _detect(
    loaded: DCGAN, layer: Layer, label: str, annotations: Path | None, images: Path | None, seed: int
) -> Detection:
    from dataclasses import replace

    from dcgan_viz.analysis.attribution.detection import rank_maps
    from dcgan_viz.annotations.boxes import find_annotations, load_annotations
    from dcgan_viz.annotations.masks import box_masks
    from dcgan_viz.annotations.objects import load_objects
    from dcgan_viz.progress import show

    channels, size, _ = loaded.image_shape
    if annotations is not None and images is not None:
        found = load_objects(annotations, images, label, size, channels, progress=show)
        echo(str(found), err=True)
        ranked = rank_maps(
            loaded,
            layer,
            found.images.tensor(slice(None)),
            found.masks,
            found.label,
            seed=seed,
            source=images_in(images),
        )
        settings = ranked.settings | {
            "annotations": found.format,
            "boxes": found.boxes,
            "boxes_outside_crop": found.outside,
            "boxes_cut_by_crop": found.cut,
        }
        return replace(ranked, settings=settings)
    boxes = load_annotations(annotations or find_annotations(loaded, label))
    boxes.check_belongs_to(loaded)
    pictures, source = loaded.sample(boxes.count, boxes.seed), f"samples of the model (seed {boxes.seed})"
    masks = box_masks(boxes.of(label), boxes.count, size)
    return rank_maps(loaded, layer, pictures, masks, label, seed=seed, source=source)


def _say_detection(detection: Detection) -> str:
    best = detection.best[0]
    return (
        f"map {best.map} finds {detection.object} best: average precision {best.average_precision:.2f}, "
        f"IoU {best.iou:.2f} on unseen images (chance "
        f"{detection.prevalence:.2f})\n{detection.detectors.sentences()}"
    )

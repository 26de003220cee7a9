"""``dcgan-viz classify``."""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import (
    check_out,
    complete_models,
    device_option,
    finish,
    json_option,
    out_folder,
    out_option,
    parse_numbers,
    seed_option,
)
from dcgan_viz.cli.planning import TRIED_PICTURES, Planned, announce, dry_run_option, seconds_of
from dcgan_viz.words import counted

if TYPE_CHECKING:
    from dcgan_viz.analysis.features.classification import Classification
    from dcgan_viz.analysis.features.protocols import Protocol, Task
    from dcgan_viz.model import DCGAN

DEFAULT_OUT = "results/classify"
BASELINES = ("random", "pixels", "kmeans", "cnn")


@click.command(cls=Command, short_help="Classify images from the discriminator's features.")
@click.argument("model", metavar="MODEL", shell_complete=complete_models)
@click.argument("data", type=click.Path(path_type=Path), metavar="DATA")
@click.option("--test", type=click.Path(path_type=Path), metavar="DATA", help="Test images, if they lie elsewhere.")
@click.option(
    "--labels", metavar="FILE|utkface", help="A CSV file with columns file and label.  [default: one folder per class]"
)
@click.option("--test-labels", metavar="FILE|utkface", help="The same for --test.")
@click.option(
    "--protocol",
    type=click.Choice(["cifar10", "svhn-1000"]),
    help="One of the paper's.  [default: by the options below]",
)
@click.option("--per-class", type=click.IntRange(1), help="Labelled images per class in each draw.  [default: all]")
@click.option(
    "--draws", type=click.IntRange(1), help="Random draws of the labels.  [default: 20, or 1 with all labels]"
)
@click.option(
    "--held-out",
    type=click.FloatRange(0.01, 0.9),
    default=0.3,
    show_default=True,
    help="Share of each class that is held out as a test set where DATA has none.",
)
@click.option(
    "--tune-per-class",
    type=click.IntRange(1),
    help="Labelled images per class that are fitted to while C is chosen, by other images.  [default: as many as are drawn]",
)
@click.option("--remeasure", is_flag=True, help="Re-estimate batch-norm statistics on the training images.")
@click.option(
    "--baseline",
    "baselines",
    type=click.Choice([*BASELINES, "none"]),
    multiple=True,
    help="What to compare with; can be repeated.  [default: all four]",
)
@click.option(
    "--curve", metavar="N,N,…|none", help="Labelled images per class along the learning curve.  [default: 1,2,5,10,…]"
)
@click.option("--no-layers", is_flag=True, help="Leave out the fits to single layers.")
@click.option(
    "--centroids", type=click.IntRange(2, 10_000), default=800, show_default=True, help="Centroids of K-means."
)
@click.option(
    "--cnn-settings",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Settings of the supervised network to choose from by validation (64 in the paper).",
)
@click.option(
    "--features",
    "kept",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where features and fits are kept, for later runs and to go on from.  [default: a temporary folder]",
)
@click.option("--skip-broken", is_flag=True, help="Leave out images that do not decode.")
@dry_run_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def classify(
    model: str,
    data: Path,
    test: Path | None,
    labels: str | None,
    test_labels: str | None,
    held_out: float,
    baselines: tuple[str, ...],
    curve: str | None,
    no_layers: bool,
    centroids: int,
    cnn_settings: int,
    kept: Path | None,
    skip_broken: bool,
    dry_run: bool,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    **told: Any,
) -> None:
    """Classify images with linear SVMs on the discriminator's features (the paper's sections 5.1 and 5.2).

    DATA is a folder, zip or tar with a folder for each class, or with such in train and test; an .npz of images and
    whole numbers; CIFAR's batches, for Python or binary; SVHN's .mat, or the folder of both. All labels are used, or many
    class-balanced draws of a few; C is chosen on a validation set. On the same draws and test images: the same networks
    with random weights, raw pixels, single-layer K-means (Coates & Ng) and a supervised network of the same shape.

    \b
    dcgan-viz classify runs/mine animals/ --per-class 50
    dcgan-viz classify cifar cifar-10-batches-py --protocol cifar10
    dcgan-viz classify models/svhn svhn/ --protocol svhn-1000
    dcgan-viz classify models/svhn svhn_5k.npz --per-class 100 --held-out 0.4 --remeasure
    """
    from dcgan_viz.analysis.features.classification import Classification
    from dcgan_viz.analysis.features.classification import classify as run
    from dcgan_viz.analysis.features.protocols import make_task
    from dcgan_viz.data.labelled import load_labelled
    from dcgan_viz.figures.features.classification import classification_figure, looks_figure
    from dcgan_viz.model import load
    from dcgan_viz.progress import show

    check_out(Classification, out, overwrite, figures=["classify", "looks"])
    if "none" in baselines and len(baselines) > 1:
        raise click.BadParameter("none goes with no other", param_hint="--baseline")
    chosen = tuple(b for b in BASELINES if not baselines or b in baselines)
    counts = None if curve is None else parse_numbers(curve, "--curve", "none") or ()
    protocol = _protocol(**told)
    loaded = load(model, device)
    channels, size, _ = loaded.image_shape
    start = time.perf_counter()
    split = load_labelled(
        data, size, channels, test=test, labels=labels, test_labels=test_labels, skip_broken=skip_broken, progress=show
    )
    reading = time.perf_counter() - start
    task = make_task(split, protocol, held_out, seed)
    if dry_run:
        place = Path(tempfile.gettempdir()) if kept is None else kept
        announce(_plan(loaded, task, protocol, chosen, centroids, cnn_settings, reading, place), as_json)
        return
    with tempfile.TemporaryDirectory() if kept is None else nullcontext(str(kept)) as work:
        result = run(
            loaded,
            task,
            protocol,
            work,
            baselines=chosen,  # type: ignore[arg-type]
            curve=counts,
            by_layer=not no_layers,
            centroids=centroids,
            cnn_settings=cnn_settings,
            seed=seed,
            source=data.name,
            progress=show,
        )
    figures = {"classify": classification_figure(result), "looks": looks_figure(result)}
    folder = result.save(out_folder(out, DEFAULT_OUT), figures, overwrite=overwrite)
    finish(result, folder, _sentences(result), as_json)


def _plan(
    model: DCGAN,
    task: Task,
    protocol: Protocol,
    baselines: tuple[str, ...],
    centroids: int,
    cnn_settings: int,
    reading: float,
    place: Path,
) -> Planned:
    """How many features are written, and how long those of the discriminator take."""
    from math import prod

    from dcgan_viz.analysis.features.classification import CNN_DRAWS
    from dcgan_viz.analysis.features.kmeans import GRID
    from dcgan_viz.analysis.features.pooled import discriminator_extractor

    extractor = discriminator_extractor(model.discriminator, "auto")
    batch = model.sample(TRIED_PICTURES)
    a_picture = seconds_of(lambda: extractor.compute(batch)) / len(batch)
    columns = {
        "the discriminator": extractor.size,
        **({"random weights": extractor.size} if "random" in baselines else {}),
        **({"pixels": prod(model.image_shape)} if "pixels" in baselines else {}),
        **({"K-means": GRID * GRID * centroids} if "kmeans" in baselines else {}),
    }
    images = len(task.numbers)
    written = " and ".join(f"{count:,} of {name}" for name, count in columns.items())
    networks = cnn_settings * (cnn_settings > 1) + min(protocol.draws, CNN_DRAWS)
    trained = f", and train {counted(networks, 'supervised network')}" if "cnn" in baselines else ""
    return Planned(
        does=f"write features of {images:,} images ({written}), fit linear classifiers to each on "
        f"{counted(protocol.draws, 'draw')} of the labels of {task.pool:,}, and test on {images - task.training:,}{trained}",
        seconds=reading + (1 + ("random" in baselines)) * images * a_picture,
        measured=f"reading the images and the features of {len(batch)} samples; fits and what is trained come on top",
        size=2 * images * sum(columns.values()),
        place=place,
        memory=task.images.pixels.nbytes,
    )


def _protocol(
    protocol: str | None, per_class: int | None, draws: int | None, tune_per_class: int | None, remeasure: bool
) -> Protocol:
    """The protocol of a name, or the general one, with what the options change."""
    from dataclasses import replace

    from dcgan_viz.analysis.features.protocols import PROTOCOLS, Protocol
    from dcgan_viz.errors import UserError

    named = PROTOCOLS[protocol] if protocol else Protocol("general", None, validation=0.2)
    if tune_per_class is not None:
        if named.exact:
            raise UserError(f"{named.name} fixes what C is chosen on: leave out --tune-per-class, or --protocol")
        named = replace(named, tuning_per_class=tune_per_class)
    if per_class is None and draws is None:
        count = 1 if named.per_class is None else named.draws
        return replace(named, draws=count, remeasure=remeasure or named.remeasure)
    if named.exact:
        raise UserError(f"{named.name} fixes how labels are drawn: leave out --per-class and --draws, or --protocol")
    if per_class is None and draws != 1:
        raise UserError("all labels can be drawn once only: give --per-class for several draws")
    name = named.name if per_class is None else f"{named.name} with {per_class} labels of each class"
    many = draws or (1 if per_class is None else 20)
    return replace(
        named, name=name, per_class=per_class, draws=many, remeasure=remeasure, tuning_draws=min(10, many), published=()
    )


def _sentences(result: Classification) -> str:
    from dcgan_viz.analysis.features.classification import NAMES

    settings, first = result.settings, result.scores[0]
    lines = [
        f"{first.labels:,} labels of {settings['images']}, {first.draws} draw{'s' * (first.draws != 1)}, "
        f"{settings['test']:,} test images of {len(result.classes)} classes: right are"
    ]
    for score in result.scores:
        how = f"C {score.C:g}, {score.features:,} features" if score.C is not None else f"{score.draws} networks"
        spread = f" ± {100 * score.spread:.1f} over draws" if score.draws > 1 else ""
        gain = "" if score.gain is None else f"; the discriminator {score.gain:+.1%}"
        lines.append(f"{NAMES[score.method]} {score.accuracy:.1%}{spread} ({how}){gain}")
    if result.layers:
        best = max(result.layers, key=lambda layer: layer.accuracy.value)
        lines.append(f"from one layer alone best {best.name}, {best.accuracy:.1%}")
    lines += [f"in the paper {p.what} {p.accuracy:.2%}: {p.how}" for p in result.published]
    return "\n".join(lines)

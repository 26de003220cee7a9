"""The analyses of a report: which fit a model, what each asks, and how it is run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.analysis.attribution.sanity import check_layer
from dcgan_viz.analysis.forgetting.forgetting import Forgetting, forget
from dcgan_viz.analysis.latent.arithmetic import arithmetic
from dcgan_viz.analysis.latent.directions import directions
from dcgan_viz.analysis.latent.turn import turn
from dcgan_viz.analysis.latent.walks import walk
from dcgan_viz.analysis.memorization.memorization import memorization
from dcgan_viz.analysis.quality.evaluation import Some, evaluate
from dcgan_viz.annotations.concepts import Concepts, find_concepts
from dcgan_viz.data.images import Images, evenly_spaced
from dcgan_viz.errors import UserError
from dcgan_viz.figures.attribution.guided_backprop import guided_backprop_figure
from dcgan_viz.figures.attribution.sanity import sanity_figure
from dcgan_viz.figures.forgetting.forgetting import forgetting_figure
from dcgan_viz.figures.latent.arithmetic import arithmetic_figure
from dcgan_viz.figures.latent.directions import directions_figure
from dcgan_viz.figures.latent.turn import turn_figure
from dcgan_viz.figures.latent.walks import walk_figure
from dcgan_viz.figures.memorization.memorization import memorization_figure, nearest_figure
from dcgan_viz.figures.quality.evaluation import evaluation_figure
from dcgan_viz.judges.classifier import Classifier, find_classifier
from dcgan_viz.judges.encoder import load_encoder
from dcgan_viz.judges.segmenter import Segmenter, find_segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.progress import Progress, silent
from dcgan_viz.results import Result
from dcgan_viz.rooms.training_sets import count_training_images, has_training_images, held_out_images, training_images
from dcgan_viz.statistics import Estimate

FEWER_MEASURED = 200
"""Samples on which a segmenter measures what was forgotten, in a fast report."""

RESAMPLES, FEWER_RESAMPLES = 100, 40
"""How often other exemplars are chosen; fewer in a fast report."""

EXCITING, FEWER_EXCITING = 512, 256
"""Samples that are looked through for what excites the discriminator's maps; fewer in a fast report."""


FEWER_COMPARED, MOST_TRAINING = 1000, 10_000
"""Samples that are compared with training images, and how many of these at most, in any report."""


@dataclass(frozen=True)
class Subject:
    """A model, and what is known of it.

    Parameters
    ----------
    model : DCGAN
    name : str
        As `load` takes it.
    images : Images, optional
        Real ones to measure it against.
    images_named : str
        As ``--images`` was given.
    training : Images, optional
        What it was trained on; without them those that come with the model, as far as there are any.
    training_named : str
        As ``--training`` was given.
    fast : bool
        Leave out what takes long.
    seed : int
    progress : Progress
        Of the analyses themselves.
    """

    model: DCGAN
    name: str
    images: Images | None = None
    images_named: str = ""
    training: Images | None = None
    training_named: str = ""
    fast: bool = False
    seed: int = 0
    progress: Progress = silent

    @cached_property
    def segmenter(self) -> Segmenter | None:
        """The one beside the model."""
        return find_segmenter(self.model)

    @cached_property
    def annotated(self) -> tuple[str, ...]:
        """Objects with boxes beside the model."""
        folder = self.model.folder / "annotations" if self.model.folder else None
        return tuple(sorted(file.stem for file in folder.glob("*.json"))) if folder and folder.is_dir() else ()

    @cached_property
    def concepts(self) -> Concepts | None:
        """Those beside the model."""
        try:
            return find_concepts(self.model)
        except UserError:
            return None

    @cached_property
    def exciting(self) -> Tensor:
        """Samples that are looked through for what excites the discriminator, drawn once."""
        return self.model.sample(FEWER_EXCITING if self.fast else EXCITING, self.seed)

    def command(self, *words: str) -> str:
        """A command on this model that can be pasted."""
        return shlex.join(["dcgan-viz", *words, "--model", self.name, "--seed", str(self.seed)])


@dataclass(frozen=True)
class Found:
    """What an analysis came to.

    Parameters
    ----------
    result : Result
    figures : tuple of Figure
        The first is the one that answers the question.
    command : str
        Does the same, or with ``less`` the same in full.
    less : str
        What the report does less of than the command.
    answer : str
        To the question of the chapter, in a sentence that stands at the top of the report; empty if there is none.
    """

    result: Result
    figures: tuple[Figure, ...]
    command: str
    less: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Analysis:
    """One chapter of a report.

    Parameters
    ----------
    name, title : str
    asks : str
        The question.
    caution : str
        What the answer does not say.
    misses : callable
        What the subject lacks for it, as a sentence; empty if it fits.
    run : callable
    references : tuple of str
        Where it is from, beside the DCGAN paper.
    """

    name: str
    title: str
    asks: str
    caution: str
    misses: Callable[[Subject], str]
    run: Callable[[Subject], Found]
    references: tuple[str, ...] = ()


def _nothing(subject: Subject) -> str:
    return ""


def _quality(subject: Subject) -> Found:
    assert subject.images is not None
    result = evaluate(
        subject.model,
        subject.images,
        load_encoder(None, subject.model.device),
        samples=500 if subject.fast else 2000,
        seed=subject.seed,
        source=subject.images_named,
        segmenter=subject.segmenter,
        progress=subject.progress,
    )
    command = subject.command("evaluate", "--data", subject.images_named)
    less = "500 samples instead of 2,000" if subject.fast else ""
    quality, floor = result.quality, result.floor
    answer = (
        f"samples are at a kernel distance of {quality.kernel:.1f} thousandths from real images, other real images at "
        f"{floor.kernel:.1f}; precision is {quality.coverage.precision:.2f}, recall {quality.coverage.recall:.2f}"
    )
    return Found(result, (evaluation_figure(result),), command, less, answer)


def _first_line(result: Result) -> str:
    return result.sentences().splitlines()[0]


def _excites(subject: Subject) -> Found:
    count = FEWER_EXCITING if subject.fast else EXCITING
    source = f"samples of the model (seed {subject.seed})"
    result = guided_backprop(subject.model, subject.exciting, seed=subject.seed, source=source)
    command = subject.command("guided-backprop", "--count", str(count))
    return Found(result, (guided_backprop_figure(result),), command)


def _sanity(subject: Subject) -> Found:
    source = f"samples of the model (seed {subject.seed})"
    result = check_layer(subject.model, subject.exciting, seed=subject.seed, source=source)
    command = subject.command("guided-backprop", "--sanity")
    return Found(result, (sanity_figure(result),), command, answer=result.warning or _first_line(result))


def _object(subject: Subject) -> str | None:
    known = subject.annotated or (() if subject.segmenter is None else subject.segmenter.objects)
    return "window" if "window" in known else next(iter(known), None)


def _forgets(subject: Subject) -> Found:
    label = _object(subject)
    assert label is not None
    less = ""
    if subject.fast:
        result = forget(subject.model, label, samples=24, measured_samples=FEWER_MEASURED, seed=subject.seed)
        if result.effects:
            less = f"the segmenter measures on {FEWER_MEASURED} new samples instead of 1,000"
    else:
        result = forget(subject.model, label, seed=subject.seed)
    command = subject.command("forget", "--object", label)
    return Found(result, (forgetting_figure(result),), command, less, _forgotten(result))


def _forgotten(result: Forgetting) -> str:
    """How much is gone, where a segmenter counts it, and how much changes inside the boxes, both beside random maps."""
    said = f"With {len(result.maps)} of {result.layer.channels} maps of layer {result.layer.number} zeroed "
    if result.effects:
        chosen, random = ((effect.objects[0], effect.choice) for effect in result.effects[:2])
        own = f"{_less_or_more(chosen[0].removed)} {chosen[0].object} pixels ({chosen[1]})"
        return f"{said}there are {own} and {_less_or_more(random[0].removed)} ({random[1]})"
    said += f"the picture changes {result.change.ratio:.2f} times as much inside the {result.names} boxes as outside"
    return said + "".join(f"; with as many random maps {control.ratio:.2f} times" for control in result.controls[:1])


def _less_or_more(removed: Estimate) -> str:
    """What is gone in words; where there is more than before, by how much.

    Examples
    --------
    >>> _less_or_more(Estimate(0.35, 0.3, 0.4, 200, "")), _less_or_more(Estimate(-0.18, -0.29, 0.08, 200, ""))
    ('35 % [30, 40] fewer', '18 % [-8, 29] more')
    """
    if removed.value < 0:
        return f"{replace(removed, value=-removed.value, low=-removed.high, high=-removed.low):.0%} more"
    return f"{removed:.0%} fewer"


def _walks(subject: Subject) -> Found:
    result = walk(
        subject.model,
        rows=4 if subject.fast else 8,
        seed=subject.seed,
        source="new samples",
        progress=subject.progress,
    )
    rows = ["--rows", "4"] if subject.fast else []
    return Found(result, (walk_figure(result),), subject.command("walk", *rows), answer=_first_line(result))


def _directs(subject: Subject) -> Found:
    result = directions(subject.model, seed=subject.seed)
    reached = [found.changes[0].distance.value for found in result.found]
    answer = (
        f"the directions that are found change the picture by {min(reached):.1f} to {max(reached):.1f} grey levels, random ones "
        f"by {result.random_changes[0].distance:.1f}"
    )
    return Found(result, (directions_figure(result),), subject.command("directions"), answer=answer)


PAPERS, WANTED = ("smiling woman", "neutral woman", "neutral man"), "smiling man"


def _terms(concepts: Concepts) -> tuple[str, ...]:
    """Three concepts for A - B + C: the paper's, or the first three that have three exemplars."""
    enough = [name for name, numbers in concepts.exemplars.items() if len(numbers) >= 3]
    return PAPERS if set(PAPERS) <= set(enough) else tuple(enough[:3])


def _judges_of(model: DCGAN, concept: str) -> dict[str, Classifier]:
    """The classes that a concept names, as "smiling man" does, each with the classifier beside the model that knows it."""
    found = {}
    for word in concept.split():
        with suppress(UserError):
            found[word] = find_classifier(model, word)
    return found


def _adds(subject: Subject) -> Found:
    assert subject.concepts is not None
    first, second, third = _terms(subject.concepts)
    expression = f"{first} - {second} + {third}"
    wanted = WANTED if (first, second, third) == PAPERS and WANTED in subject.concepts.exemplars else None
    judges = _judges_of(subject.model, wanted or third)
    trials = 40 if subject.fast else 100
    result = arithmetic(
        subject.model,
        subject.concepts,
        expression,
        trials=trials,
        wanted=wanted,
        expected=judges,
        seed=subject.seed,
        progress=subject.progress,
    )
    asked = [*(word for name in judges for word in ("--expect", name)), *(["--wanted", wanted] if wanted else [])]
    less = f"{trials} trials instead of 100, and {FEWER_RESAMPLES} other choices of exemplars instead of {RESAMPLES}"
    command = subject.command("arithmetic", expression, *asked)
    verdicts = result.measurements[-1].sentences() if result.measurements else []
    answer = "; ".join(verdicts) or _first_line(result)
    return Found(result, (arithmetic_figure(result),), command, less if subject.fast else "", answer)


def _turns(subject: Subject) -> Found:
    assert subject.concepts is not None
    directions = 39 if subject.fast else 999
    resamples = FEWER_RESAMPLES if subject.fast else 2 * RESAMPLES
    result = turn(
        subject.model,
        subject.concepts,
        directions=directions,
        resamples=resamples,
        seed=subject.seed,
        progress=subject.progress,
    )
    less = f"{directions} random directions instead of 999 to compare with, and {resamples} other choices of exemplars"
    figures = (turn_figure(result),)
    return Found(result, figures, subject.command("turn"), less if subject.fast else "", _first_line(result))


def _memorizes(subject: Subject) -> Found:
    model, progress = subject.model, subject.progress
    training: Images
    if subject.training is not None:
        training, others, source = subject.training, None, subject.training_named
        given, count = ["--data", source], len(subject.training)
    else:
        # Only now, and only as many as are compared: to draw tens of thousands of rooms again takes minutes.
        training, source, given = training_images(model, progress, MOST_TRAINING), "its own training images", []
        others = held_out_images(model, FEWER_COMPARED, progress)
        count = count_training_images(model) or len(training)
    if len(training) > MOST_TRAINING:
        training = Some(training, np.array(evenly_spaced(len(training), MOST_TRAINING)))
    less = f"{FEWER_COMPARED:,} samples instead of 2,000"
    if count > len(training):
        less += f", and {len(training):,} of {count:,} training images: copies of the others are not found"
    result = memorization(
        model,
        training,
        others,
        encoder=load_encoder(device=model.device),
        samples=FEWER_COMPARED,
        seed=subject.seed,
        source=source,
        progress=progress,
    )
    figures = memorization_figure(result), nearest_figure(result)
    return Found(result, figures, subject.command("memorization", *given), less, result.verdict)


def _lacks_training(subject: Subject) -> str:
    if subject.training is None and not has_training_images(subject.model):
        return "the images that it was trained on are not at hand"
    return ""


def _lacks_concepts(subject: Subject) -> str:
    if subject.concepts is None or len(_terms(subject.concepts)) < 3:
        return "no three concepts with three exemplars each lie beside it: pick some with dcgan-viz concepts"
    return ""


def _lacks_sides(subject: Subject) -> str:
    if subject.concepts is None or not {"looking left", "looking right"} <= set(subject.concepts.exemplars):
        return "no samples that look left and right are picked: see dcgan-viz concepts"
    return ""


def _unless_fast(lacks: Callable[[Subject], str]) -> Callable[[Subject], str]:
    return lambda subject: "left out of a fast report" if subject.fast else lacks(subject)


ANALYSES: Sequence[Analysis] = (
    Analysis(
        "quality",
        "How far are samples from real images?",
        "Fréchet and kernel distance, precision, recall, density and coverage, each beside what other real images get.",
        "Distances are in the features of one encoder; compare only numbers of the same encoder and the same images.",
        lambda s: "" if s.images is not None else "no real images were given",
        _quality,
        (
            "M. Heusel et al.: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium. NeurIPS 2017.",
            "M. Bińkowski et al.: Demystifying MMD GANs. ICLR 2018.",
            "T. Kynkäänniemi et al.: Improved Precision and Recall Metric for Assessing Generative Models. NeurIPS 2019.",
            "M. F. Naeem et al.: Reliable Fidelity and Diversity Metrics for Generative Models. ICML 2020.",
        ),
    ),
    Analysis(
        "guided-backprop",
        "What excites the discriminator?",
        "The images that excite maps of its last convolution most, and the guided gradients of these responses, beside "
        "the same for random filters (Radford et al. 2015, section 6.2).",
        "Guided gradients resemble the image even where nothing was learned: compare with the random filters.",
        _nothing,
        _excites,
        ("J. T. Springenberg et al.: Striving for Simplicity: The All Convolutional Net. ICLR workshop 2015.",),
    ),
    Analysis(
        "sanity",
        "Do these gradients depend on what was learned?",
        "Similarity to the trained network's guided gradients as layer after layer is drawn anew (Adebayo et al. 2018).",
        "Guided backpropagation is known to change little when high layers are randomised.",
        _unless_fast(_nothing),
        _sanity,
        (
            "J. Adebayo et al.: Sanity Checks for Saliency Maps. NeurIPS 2018.",
            "W. Nie, Y. Zhang, A. Patel: A Theoretical Explanation for Perplexing Behaviors of Backpropagation-based "
            "Visualizations. ICML 2018.",
        ),
    ),
    Analysis(
        "forget",
        "Can it be made to forget an object?",
        "Maps whose activations tell the object's boxes from other places are zeroed (Radford et al. 2015, section 6.3.1), "
        "beside as many random maps.",
        "A regression may find brightness or place instead of the object; what these alone find is given.",
        lambda s: "" if _object(s) else "nobody has drawn boxes on its samples: see dcgan-viz annotate",
        _forgets,
        ("D. Bau et al.: GAN Dissection: Visualizing and Understanding Generative Adversarial Networks. ICLR 2019.",),
    ),
    Analysis(
        "walk",
        "Does the picture jump on a walk?",
        "Walks between random points of the latent space (Radford et al. 2015, section 6.1), their steps compared with "
        "those of random walks.",
        "A smooth walk is no proof that nothing was memorised.",
        _nothing,
        _walks,
        (
            "T. Karras, S. Laine, T. Aila: A Style-Based Generator Architecture for Generative Adversarial Networks. CVPR 2019.",
        ),
    ),
    Analysis(
        "directions",
        "Which directions change much?",
        "Principal directions of the first layer and the directions it stretches most, found without labels, beside "
        "random ones.",
        "A direction that changes much need not change one thing.",
        _unless_fast(_nothing),
        _directs,
        (
            "E. Härkönen et al.: GANSpace: Discovering Interpretable GAN Controls. NeurIPS 2020.",
            "Y. Shen, B. Zhou: Closed-Form Factorization of Latent Semantics in GANs. CVPR 2021.",
        ),
    ),
    Analysis(
        "arithmetic",
        "Do concepts add up?",
        "The mean latents of three exemplars each, added and taken away (Radford et al. 2015, section 6.3.2).",
        "Whoever picked the exemplars decides what a concept is; trials draw other exemplars.",
        _lacks_concepts,
        _adds,
    ),
    Analysis(
        "turn",
        "Is there a direction that turns?",
        "The mean of samples that look right less that of samples that look left, added to new samples (Radford et al. "
        "2015, Figure 8).",
        "What is odd under mirroring is a turn or a shift of light; the picture tells which.",
        _lacks_sides,
        _turns,
    ),
    Analysis(
        "memorization",
        "Are samples copies of training images?",
        "Nearest neighbours, near copies, a two-sample test and data copying, with planted copies as a control.",
        "It finds copies as far as its measures see them: the planted ones say how far that is.",
        _unless_fast(_lacks_training),
        _memorizes,
        (
            "C. Meehan, K. Chaudhuri, S. Dasgupta: A Three Sample Hypothesis Test for Evaluating Generative Models. "
            "AISTATS 2020.",
            "D. Lopez-Paz, M. Oquab: Revisiting Classifier Two-Sample Tests. ICLR 2017.",
        ),
    ),
)

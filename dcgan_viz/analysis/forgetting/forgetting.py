"""Forgetting an object: find the generator's maps that draw it, and draw without them.

The experiment of Radford et al. 2015, section 6.3.1: a logistic regression tells activations inside hand-drawn boxes
from others, and the maps with positive weight are zeroed. Beside it stands what the same numbers are without any of it:
a regression on brightness and place, boxes dealt out to other images, as many other maps many times over, and maps that
were chosen on other samples than those they are tried on. Where a segmenter can read the pictures, what happened to the
object and to every other one is measured.

The steps can be taken one by one: `gather_evidence`, `score_maps` and `choose_maps`, an `Ablation`, then `draw_with`,
`AnnotatedSamples` and `measure_effects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.forgetting.ablation import (
    Ablation,
    Where,
    choose_layer,
    draw_scaled,
    object_places,
)
from dcgan_viz.analysis.forgetting.automatic_boxes import find_boxes
from dcgan_viz.analysis.forgetting.change import (
    AnnotatedSamples,
    Change,
    RatioControl,
    cross_fitted_ratio,
    ratio_controls,
)
from dcgan_viz.analysis.forgetting.controls import matched_factors, random_choices, random_factors
from dcgan_viz.analysis.forgetting.effects import DIMMED, PAPER, Effect, measure_effects
from dcgan_viz.analysis.forgetting.evidence import Evidence, gather_evidence
from dcgan_viz.analysis.forgetting.probe import Negatives
from dcgan_viz.analysis.forgetting.probe_baselines import ProbeBaselines
from dcgan_viz.analysis.forgetting.ranking_registry import find_ranking
from dcgan_viz.analysis.forgetting.rankings import (
    choose_maps,
    maps_that_matter_more,
    positive_maps,
    score_maps,
)
from dcgan_viz.annotations.boxes import Annotations
from dcgan_viz.blind.trials import BlindTrial, prepare_trial
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, find_judge, find_segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, Seed, stream

BOXED = 8
"""Annotated samples that are kept with their boxes, to be shown."""

REDRAWS = 8
"""Other draws of the negatives, from which other maps are chosen: the interval of the change contains them."""

EVIDENCE, CONTROL, CHANGE, EFFECTS, DRAWS, NEGATIVES = range(1, 7)
"""Streams of random numbers of a seed: the new samples have the seed itself."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """How the maps of one object were found.

    Parameters
    ----------
    object : str
    maps : tuple of int
        Chosen for this object, most telling first.
    auc, positives, negatives
        As in `Probe`.
    baselines : ProbeBaselines
        What brightness and position alone find, and what is found in shuffled boxes.
    boxes, annotated_images : int
        Boxes of the object, and samples that hold at least one.
    cross_fitted : Estimate, optional
        Change inside the boxes over that outside, by maps that were chosen on other samples; None for rankings that take
        too long to be computed anew.
    warning : str
        What to know before the maps are believed to draw the object; empty if nothing.
    """

    object: str
    maps: tuple[int, ...]
    auc: Estimate
    positives: int
    negatives: int
    baselines: ProbeBaselines
    boxes: int
    annotated_images: int
    cross_fitted: Estimate | None
    warning: str


class ForgettingSettings(Settings):
    """How a `Forgetting` was obtained."""

    generator_digest: str
    samples: int
    measured_samples: int
    annotation_seed: int
    annotated_samples: int
    boxes_by: str
    ranking: str
    top: int | None
    kept: list[str]
    measured_by: str
    regularization: float
    negatives: Negatives


@dataclass(frozen=True, kw_only=True)
class Forgetting(Result):
    """Samples with and without the maps that draw one object or several.

    Parameters
    ----------
    objects : tuple of Forgotten
        What was to be forgotten, and how its maps were found.
    ablation : Ablation
        The maps that were zeroed: those of the first object most telling first, then those that further objects add.
    kept_maps : tuple of int
        Maps that were spared for the sake of objects to keep.
    control_maps : tuple of int
        As many as were zeroed, chosen at random: the ones that are shown.
    change : Change
        What the ablation does to the annotated samples.
    controls : tuple of RatioControl
        The ratio of that change for as many random maps.
    effects : tuple of Effect
        By a segmenter, over new samples: of the maps, of random and of activation-matched ones, of the paper's rule where
        it would choose others, and of pixels that are dimmed alike; empty without one.
    seen : tuple of str
        What the segmenter tells apart: the names of the rows and columns of `Effect.replaced`; empty without one.
    score_axis : str
        What the scores are.
    weights, scores : ndarray of float64 (objects, C)
        The regression's weights, and what the maps were ranked by.
    control_ratios : ndarray of float64 (controls, draws)
    before, after, control, controls_drawn : ndarray of uint8 (N, H, W, channels)
        New samples as drawn, without the maps, without `control_maps`, and without as many random maps, others in each.
    boxed, boxed_after, boxed_control : ndarray of uint8 (n, H, W, channels)
        Annotated samples, evenly spread from the most to the least changed: as drawn, without the maps, and without
        `control_maps`.
    boxed_inside : ndarray of bool (n, H, W)
        Where their boxes are.
    boxed_changes : ndarray of float64 (n,)
        Mean absolute change inside, in grey levels.
    evidence : tuple of Evidence
        What the maps were chosen by, object by object; not saved.
    """

    settings: ForgettingSettings
    objects: tuple[Forgotten, ...]
    ablation: Ablation
    kept_maps: tuple[int, ...]
    control_maps: tuple[int, ...]
    change: Change
    controls: tuple[RatioControl, ...]
    effects: tuple[Effect, ...]
    seen: tuple[str, ...]
    score_axis: str
    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    control_ratios: NDArray[np.float64]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    control: NDArray[np.uint8]
    controls_drawn: NDArray[np.uint8]
    boxed: NDArray[np.uint8]
    boxed_after: NDArray[np.uint8]
    boxed_control: NDArray[np.uint8]
    boxed_inside: NDArray[np.bool_]
    boxed_changes: NDArray[np.float64]
    evidence: tuple[Evidence, ...] = field(default=(), repr=False, metadata={"saved": False})

    @property
    def names(self) -> str:
        """The objects in words, such as ``window and lamp``."""
        return " and ".join(found.object for found in self.objects)

    def sentences(self) -> str:
        """What was found, in lines of words and numbers, warnings among them."""
        change = self.change
        lines = [
            f"{len(self.maps)} of {self.layer.channels} maps of layer {self.layer.number} zeroed to forget {self.names}"
        ]
        for found in self.objects:
            lines.append(
                f"{found.object}: AUC {found.auc:.3f} on unseen images; brightness and position alone "
                f"{found.baselines.brightness_auc:.3f}, so the maps add {found.baselines.gain:.3f}; boxes moved to other "
                f"samples {found.baselines.shuffled_auc:.3f}"
            )
            if found.warning:
                lines.append(f"warning: {found.warning}")
        lines.append(
            f"change inside the boxes {change.inside.value:.1f}, outside {change.outside.value:.1f} grey levels: ratio "
            f"{change.ratio:.2f}"
        )
        lines += [
            f"by maps chosen on other samples: {found.object} ratio {found.cross_fitted:.2f}"
            for found in self.objects
            if found.cross_fitted is not None
        ]
        lines += [
            f"{control.ratio.n} draws of as many maps, of {control.source}: ratio {control.ratio:.2f}; the chosen maps, "
            f"{control.chosen:.2f} on the same {control.images} samples, are above {control.percentile:.0f} % of them"
            for control in self.controls
        ]
        if self.effects:
            lines.append(f"pixels that are gone, by {self.settings['measured_by']} (negative: more than before):")
        for effect in self.effects:
            gone = ", ".join(f"{o.object} {o.removed:.0%}" for o in effect.objects)
            maps = f" ({effect.maps} maps)" if effect.maps else ""
            lines.append(
                f"  {effect.choice}{maps}: {gone}; rest of the picture: SSIM {effect.similarity_outside.value:.2f}"
            )
            if effect.choice == DIMMED:
                lines.append(f"  the chosen maps remove {effect.margin:.0%} of {self.names} beyond what dimming does")
        lines += [self.replacements(found.object) for found in self.objects if self.effects]
        return "\n".join(lines)

    def replacements(self, name: str) -> str:
        """What stands where an object was, most of it first."""
        row = self.effects[0].replaced[self.seen.index(name)]
        found = sorted(zip(row, self.seen, strict=True), reverse=True)
        return f"where {name} was: " + ", ".join(
            f"{what} {100 * share:.0f} %" for share, what in found if share >= 0.005
        )

    @property
    def layer(self) -> Layer:
        """Where the maps are."""
        return self.ablation.layer

    @property
    def maps(self) -> tuple[int, ...]:
        """The maps that were zeroed."""
        return self.ablation.maps


def forget(
    model: DCGAN,
    objects: str | Sequence[str] = "window",
    *,
    annotations: Annotations | None = None,
    keep: Sequence[str] = (),
    layer: int | str | None = None,
    top: int | None = None,
    samples: int = 40,
    ranking: str = "regression",
    negatives: Negatives = "random",
    strength: float = 1.0,
    where: Where = "everywhere",
    regularization: float = 1.0,
    segmenter: Segmenter | Literal["own"] | None = "own",
    judge: Segmenter | Literal["own"] | None = "own",
    measured_samples: int = 1000,
    seed: int = 0,
) -> Forgetting:
    """Find the maps that draw objects, zero them, and draw new samples without them.

    Parameters
    ----------
    model : DCGAN
    objects : str or sequence of str
        What the boxes are around; the maps of all of them are zeroed together.
    annotations : Annotations, optional
        Boxes on samples of this very generator; by default those that lie beside the model, or else its segmenter's.
    keep : sequence of str
        Objects to keep: maps to which the ranking gives a larger share of its highest score for one of these than for
        the forgotten object are spared.
    layer : int or str, optional
        Number or name of a generator layer with feature maps; the paper's by default.
    top : int, optional
        Zero the maps of the highest scores, this many for each object, instead of all with a positive weight.
    samples : int
        New samples to draw.
    ranking : str
        How maps are chosen: by their weight in the regression, as in the paper, or as in `score_maps`; without `top`
        the others choose as many maps as the regression does, so that they can be compared.
    negatives : {"random", "matched"}
        What the regression tells the object from: random other positions, as in the paper, or positions of like
        luminance and height.
    strength, where
        As in `Ablation`.
    regularization : float
        As in `fit_probe`.
    segmenter : Segmenter or "own", optional
        Reads the model's pictures: what happened to every object is then measured. The model's own by default, if it has
        one.
    judge : Segmenter or "own", optional
        Another one that measures, where `segmenter` ranks, finds boxes or says where the object is: what ranks never
        measures. The model's own second one by default, if it has one; without any, the first measures too, and the
        result says so.
    measured_samples : int
        New samples on which a segmenter measures.
    seed : int
        Of the new samples, the negatives, the folds, the intervals and the controls.

    Returns
    -------
    Forgetting

    Raises
    ------
    UserError
        If the boxes belong to other weights, an object is not annotated, is both forgotten and kept, the layer draws
        the image itself, the ranking does not exist, `strength` is not in (0, 1], a segmenter is needed and missing, or
        `seed` would draw the annotated samples again.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
    >>> from dcgan_viz.judges.segmenter import find_segmenter
    >>> model = load("rooms")
    >>> boxes = automatic_boxes(model, find_segmenter(model), ["window"], count=40)
    >>> found = forget(model, "window", annotations=boxes, top=4, samples=2, measured_samples=20)
    >>> len(found.maps), found.change.ratio.value > 1
    (4, True)
    """
    labels = (objects,) if isinstance(objects, str) else tuple(dict.fromkeys(objects))
    reader = find_segmenter(model) if segmenter == "own" else segmenter
    measuring = (find_judge(model) if judge == "own" else judge) or reader
    _check_objects(labels, keep, measuring)
    if where == "object" and reader is None:
        raise UserError("zeroing maps only where the object is needs a segmenter: give one")
    nothing, chosen_by = Ablation(choose_layer(model, layer), (), strength, where), find_ranking(ranking)
    boxes = find_boxes(model, (*labels, *keep), reader) if annotations is None else annotations
    if seed == boxes.seed:
        raise UserError(f"seed {seed} draws the annotated samples, not new ones: choose another")
    # From here on the evidence stands for the model, the layer, the object and its boxes.
    forgotten, kept = (
        [
            gather_evidence(
                model,
                nothing.layer,
                boxes,
                label,
                negatives=negatives,
                regularization=regularization,
                segmenter=reader,
                seed=stream(seed, EVIDENCE),
            )
            for label in wanted
        ]
        for wanted in (labels, keep)
    )
    chosen = _choose(forgotten, kept, ranking, top, nothing, seed)
    controls, ratios = ratio_controls(chosen.annotated, seed=stream(seed, CHANGE))
    pictures = _draw(forgotten, chosen.annotated.ablation, reader, samples, seed)
    return Forgetting(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "seed": seed,
            "samples": samples,
            "measured_samples": 0 if measuring is None else measured_samples,
            "annotation_seed": boxes.seed,
            "annotated_samples": boxes.count,
            "boxes_by": boxes.contributor,
            "ranking": ranking,
            "top": top,
            "kept": list(keep),
            "measured_by": _measured_by(measuring, reader, ranking, boxes.contributor),
            "regularization": regularization,
            "negatives": negatives,
        },
        objects=chosen.objects,
        ablation=chosen.annotated.ablation,
        kept_maps=chosen.kept_maps,
        change=chosen.annotated.change(stream(seed, CHANGE), chosen.redrawn),
        controls=controls,
        effects=()
        if measuring is None
        else _effects(forgotten, chosen.annotated.ablation, measuring, reader, measured_samples, seed),
        seen=() if measuring is None else ("background", *measuring.objects),
        score_axis=chosen_by.axis_for(forgotten[0]),
        weights=np.stack([evidence.weights for evidence in forgotten]),
        scores=chosen.scores,
        control_ratios=ratios,
        evidence=tuple(forgotten),
        **pictures,
        **_boxed(chosen.annotated, pictures["control_maps"]),
    )


def blind_trial(result: Forgetting) -> BlindTrial:
    """Pictures for a blind page: the samples as drawn, without the maps, and without random ones.

    The random maps are others in every picture, so that what the judge sees of them does not hang on one draw.
    """
    return prepare_trial(
        {
            "as drawn": result.before,
            f"{result.names} maps zeroed": result.after,
            "random maps zeroed": result.controls_drawn,
        },
        question=f"Draw a box around every {result.names}",
        answer_kind="boxes",
        settings=result.numbers()["settings"],
        seed=result.settings["seed"],
    )


@dataclass(frozen=True)
class _Choice:
    """The maps that were chosen, and by what.

    Parameters
    ----------
    objects, kept_maps, scores
        As in `Forgetting`.
    annotated : AnnotatedSamples
        With the ablation of the maps of all objects.
    redrawn : tuple of tuple of int
        The maps that other draws of the negatives lead to; none where these are always the same, or the ranking takes too
        long.
    """

    objects: tuple[Forgotten, ...]
    annotated: AnnotatedSamples
    kept_maps: tuple[int, ...]
    scores: NDArray[np.float64]
    redrawn: tuple[tuple[int, ...], ...]


def _choose(
    forgotten: Sequence[Evidence],
    kept: Sequence[Evidence],
    ranking: str,
    top: int | None,
    nothing: Ablation,
    seed: int,
) -> _Choice:
    """Score the maps of every object, and choose those to zero."""
    scores, to_keep = ([score_maps(ranking, evidence) for evidence in some] for some in (forgotten, kept))
    spared = [[m for other in to_keep for m in maps_that_matter_more(other, own)] for own in scores]
    alone = [
        AnnotatedSamples([evidence], nothing.of(_some_maps(evidence, own, top, without)))
        for evidence, own, without in zip(forgotten, scores, spared, strict=True)
    ]
    maps = tuple(dict.fromkeys(m for samples in alone for m in samples.ablation.maps))
    draws = REDRAWS if find_ranking(ranking).cheap and forgotten[0].negatives == "random" else 0
    seeds = [stream(stream(seed, NEGATIVES), draw) for draw in range(draws)]
    anew = [_maps_of_other_negatives(forgotten, ranking, top, spared, its) for its in seeds]
    return _Choice(
        tuple(
            _find(evidence, samples, ranking, top, without, seed)
            for evidence, samples, without in zip(forgotten, alone, spared, strict=True)
        ),
        alone[0] if len(alone) == 1 else AnnotatedSamples(forgotten, nothing.of(maps)),
        tuple(sorted({m for without in spared for m in without})),
        np.stack(scores),
        tuple(filter(None, anew)),
    )


def _some_maps(
    evidence: Evidence, scores: NDArray[np.float64], top: int | None, spared: Sequence[int]
) -> tuple[int, ...]:
    """The maps of one object, most telling first.

    Raises
    ------
    UserError
        If there are none.
    """
    maps = _most_telling(evidence, scores, top, spared)
    if not maps:
        raise UserError(
            f"the regression gave no map a positive weight for {evidence.label}: zero some of the highest ones (top)"
        )
    return maps


def _most_telling(
    evidence: Evidence, scores: NDArray[np.float64], top: int | None, spared: Sequence[int]
) -> tuple[int, ...]:
    """The maps of the highest scores; none if none has a positive weight, as may be on a part of the samples."""
    number = len(positive_maps(evidence.weights, spared)) if top is None else top
    return choose_maps(scores, number, spared) if number else ()


def _maps_of_other_negatives(
    forgotten: Sequence[Evidence], ranking: str, top: int | None, spared: Sequence[Sequence[int]], seed: Seed
) -> tuple[int, ...]:
    """The maps of all objects, had the negatives been drawn from another seed."""
    maps: dict[int, None] = {}
    for evidence, without in zip(forgotten, spared, strict=True):
        again = evidence.part(np.arange(len(evidence.numbers)), seed)
        maps.update(dict.fromkeys(_most_telling(again, score_maps(ranking, again), top, without)))
    return tuple(maps)


class _Pictures(TypedDict):
    """New samples in grey levels, and the maps of the control."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    control: NDArray[np.uint8]
    controls_drawn: NDArray[np.uint8]
    control_maps: tuple[int, ...]


class _Boxed(TypedDict):
    """Annotated samples to be shown."""

    boxed: NDArray[np.uint8]
    boxed_after: NDArray[np.uint8]
    boxed_control: NDArray[np.uint8]
    boxed_inside: NDArray[np.bool_]
    boxed_changes: NDArray[np.float64]


def _boxed(annotated: AnnotatedSamples, control_maps: Sequence[int]) -> _Boxed:
    """Some annotated samples as drawn, without the maps and without those of the control."""
    chosen, changes = annotated.from_most_to_least(BOXED)
    return {
        "boxed": annotated.before[chosen],
        "boxed_after": annotated.drawn(annotated.ablation.maps, chosen),
        "boxed_control": annotated.drawn(control_maps, chosen),
        "boxed_inside": annotated.inside[chosen],
        "boxed_changes": changes,
    }


def _draw(
    forgotten: Sequence[Evidence], ablation: Ablation, reader: Segmenter | None, samples: int, seed: int
) -> _Pictures:
    """New samples as they are, with the ablation, and without as many random maps: the same in all, and others in each."""
    model, layer, count = forgotten[0].model, ablation.layer, len(ablation.maps)
    latents = model.latents(samples, seed)
    control = ablation.of(random_choices(range(layer.channels), count, 1, stream(seed, CONTROL))[0])
    others = random_factors(layer.channels, count, samples, stream(seed, DRAWS), ablation.strength)
    places = _places(forgotten, ablation, reader, latents)
    ways = [ablation.of(()).factors, ablation.factors, control.factors, others]
    batches = [drawn for _, drawn in draw_scaled(model, layer, ways, latents, places)]
    before, after, controlled, controls_drawn = (to_pixels(torch.cat(drawn)) for drawn in zip(*batches, strict=True))
    return {
        "before": before,
        "after": after,
        "control": controlled,
        "controls_drawn": controls_drawn,
        "control_maps": control.maps,
    }


def _places(
    forgotten: Sequence[Evidence], ablation: Ablation, reader: Segmenter | None, latents: Tensor
) -> Tensor | None:
    """Where the maps are zeroed, if not everywhere."""
    if ablation.where == "everywhere" or reader is None:
        return None
    labels = [evidence.label for evidence in forgotten]
    return object_places(forgotten[0].model, reader, labels, latents, ablation.layer)


def _check_objects(labels: Sequence[str], keep: Sequence[str], measuring: Segmenter | None) -> None:
    """Refuse what cannot be measured, or is to be forgotten and kept."""
    if measuring is not None:
        for label in labels:
            measuring.label(label)
    if set(labels) & set(keep):
        raise UserError(f"{min(set(labels) & set(keep))} cannot be forgotten and kept at once")


def _find(
    evidence: Evidence, samples: AnnotatedSamples, ranking: str, top: int | None, spared: Sequence[int], seed: int
) -> Forgotten:
    """Say what one object's maps are worth."""
    probe, cross_fitted = evidence.probe, None
    if find_ranking(ranking).cheap:
        cross_fitted = cross_fitted_ratio(
            samples,
            evidence,
            lambda part: _most_telling(part, score_maps(ranking, part), top, spared),
            seed=stream(seed, CHANGE),
        )
    baselines, warning = evidence.baselines, ""
    if baselines.finds_nothing(probe):
        warning = (
            f"the {evidence.label} boxes are found no better (AUC {probe.auc.value:.3f}) than boxes that were moved to other "
            f"samples (up to {baselines.highest_shuffled_auc:.3f}): they may be around nothing that the maps draw"
        )
    return Forgotten(
        object=evidence.label,
        maps=samples.ablation.maps,
        auc=probe.auc,
        positives=probe.positives,
        negatives=probe.negatives,
        boxes=evidence.boxes,
        annotated_images=len(evidence.numbers),
        baselines=baselines,
        cross_fitted=cross_fitted,
        warning=warning,
    )


def _measured_by(measuring: Segmenter | None, reader: Segmenter | None, ranking: str, boxes_by: str) -> str:
    """Which segmenter measures, and whether it had a part in what it measures."""
    if measuring is None:
        return "nothing: there is no segmenter"
    if reader is None or measuring is not reader:
        return "a segmenter that had no part in the choice"
    chose = ranking == "learned" or (ranking == "causal" and measuring is not None) or "segmenter" in boxes_by
    return (
        "the same segmenter that the maps were chosen with" if chose else "a segmenter that had no part in the choice"
    )


def _effects(
    forgotten: Sequence[Evidence],
    ablation: Ablation,
    segmenter: Segmenter,
    reader: Segmenter | None,
    samples: int,
    seed: int,
) -> tuple[Effect, ...]:
    """What a segmenter sees of the ablation, of as many random and activation-matched maps, and of the paper's rule."""
    model, layer = forgotten[0].model, ablation.layer
    latents = model.latents(samples, seed)
    ways = stream(seed, EFFECTS)
    choices = {
        "chosen maps": ablation.factors,
        "random maps": random_factors(layer.channels, len(ablation.maps), samples, stream(ways, 1), ablation.strength),
    }
    activations = model.activations(latents[:256], layer.number).mean((0, 2, 3)).double().numpy()
    matched = matched_factors(activations, ablation.maps, samples, stream(ways, 2), ablation.strength)
    if matched is not None:
        choices["activation-matched maps"] = matched
    paper = {m for evidence in forgotten for m in positive_maps(evidence.weights)}
    if paper and paper != set(ablation.maps):
        choices[PAPER] = ablation.of(sorted(paper)).factors
    labels, places = [evidence.label for evidence in forgotten], _places(forgotten, ablation, reader, latents)
    return measure_effects(model, layer, choices, segmenter, labels, latents, places=places, seed=stream(ways, 3))

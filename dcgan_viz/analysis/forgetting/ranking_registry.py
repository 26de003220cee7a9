"""The rankings that every command knows, without what they compute with: their names are wanted before torch is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from dcgan_viz.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcgan_viz.analysis.forgetting.evidence import Evidence

    Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """One way to rank maps.

    Parameters
    ----------
    name : str
    score : callable or str
        From `Evidence` to a score (C,) for each map; the higher, the more it has to do with the object. As text,
        ``module:function``, it is imported when it is first asked for.
    axis : str
        What the scores are, for an axis.
    color : str
        Of its curves.
    needs : {"boxes", "segmenter"}
        What it cannot do without.
    cheap : bool
        Whether it is computed from activations alone, in no time: then it is cross-fitted.
    segmented_axis : str, optional
        What the scores are where there is a segmenter, if something else.
    """

    name: str
    score: Callable[[Evidence], Scores] | str
    axis: str
    color: str
    needs: Literal["boxes", "segmenter"] = "boxes"
    cheap: bool = False
    segmented_axis: str | None = None

    def scores(self, evidence: Evidence) -> Scores:
        """A score (C,) for each map."""
        score: Callable[[Evidence], Scores] = resolve_name(self.score) if isinstance(self.score, str) else self.score
        return score(evidence)

    def axis_for(self, evidence: Evidence) -> str:
        """What the scores are, for an axis."""
        return self.axis if evidence.segmenter is None else self.segmented_axis or self.axis


RANKINGS: dict[str, Ranking] = {}
"""By name."""


def register(ranking: Ranking) -> Ranking:
    """Add a ranking to those that every command knows."""
    RANKINGS[ranking.name] = ranking
    return ranking


def find_ranking(name: str) -> Ranking:
    """The ranking of a name.

    Raises
    ------
    UserError
        If there is none; the message lists those that there are.
    """
    if name not in RANKINGS:
        raise UserError(f"there is no ranking {name!r}: choose from {', '.join(RANKINGS)}")
    return RANKINGS[name]


_MODULE = "dcgan_viz.analysis.forgetting.rankings"
register(
    Ranking("regression", f"{_MODULE}:regression_scores", "weight in the regression", "#c0392b", cheap=True),
)
register(
    Ranking("iou", f"{_MODULE}:iou_scores", "IoU with the boxes\nat the best threshold", "#e69f00", cheap=True),
)
register(
    Ranking(
        "difference",
        f"{_MODULE}:difference_scores",
        "activation inside minus outside\n(standard deviations)",
        "#2c5d8f",
        cheap=True,
    )
)
register(
    Ranking(
        "causal",
        f"{_MODULE}:causal_scores",
        "zeroed alone: change inside\nminus outside (grey levels)",
        "#7fc4ee",
        segmented_axis="zeroed alone: share of the\nobject gone, less collateral",
    )
)
register(
    Ranking(
        "learned",
        f"{_MODULE}:learn_ablation",
        "scaled down by\na learned ablation",
        "#111111",
        needs="segmenter",
    )
)

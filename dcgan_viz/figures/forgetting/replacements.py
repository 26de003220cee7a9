"""The table of what stands where each object was, with the maps zeroed and with random ones zeroed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    TITLE_SIZE,
    caption,
    in_column,
    new_figure,
    side_by_side,
)


def replacements_figure(result: Forgetting) -> Figure:
    """Object by object, in percent of what was there: for the chosen maps and for as many random ones.

    Parameters
    ----------
    result : Forgetting
        With effects.

    Returns
    -------
    Figure
    """
    names, shown = result.seen, result.effects[:2]
    side = 0.45 * len(names)
    figure = new_figure(2.4 + 2 * (side + 0.9), side + 2.4, column=0.4 + 2 * (0.7 + 0.2 * len(names)))
    figure.suptitle(f"What stands where something was: “{result.names}” forgotten", fontsize=TITLE_SIZE + 1)
    for axes, effect in zip(side_by_side(figure, [1, 1], sharey=True), shown, strict=True):
        table = 100 * np.array(effect.replaced)
        axes.imshow(table, cmap="Blues", vmin=0, vmax=100)
        for row, column in np.ndindex(*table.shape):
            if table[row, column] >= 0.5:
                color = "white" if table[row, column] > 55 else "black"
                axes.text(column, row, f"{table[row, column]:.0f}", ha="center", va="center", fontsize=7, color=color)
        turned: dict[str, Any] = {"rotation": 90} if in_column() else {"rotation": 60, "ha": "right"}
        axes.set_xticks(range(len(names)), names, fontsize=LABEL_SIZE, **turned)
        axes.set_yticks(range(len(names)), names, fontsize=LABEL_SIZE)
        axes.set_xlabel("after", fontsize=LABEL_SIZE)
        axes.set_title(f"{effect.choice} ({effect.maps})", fontsize=LABEL_SIZE + 1)
    figure.axes[0].set_ylabel("before", fontsize=LABEL_SIZE)
    forgotten = {found.object for found in result.objects}
    for tick, name in zip(figure.axes[0].get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name in forgotten else "normal")
    caption(
        figure,
        f"Model {result.settings['model']}, {result.settings['measured_samples']} new samples: pixels of each row's object "
        f"before, by what they are after, in percent of the row. Measured by {result.settings['measured_by']}.",
    )
    return figure

"""``dcgan-viz merge``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, command_line, echo
from dcgan_viz.cli.options import json_option, overwrite_option
from dcgan_viz.words import counted


@click.command(cls=Command, short_help="Join what several machines have written with --shard.")
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT.npy")
@overwrite_option
@json_option
def merge(out: Path, overwrite: bool, as_json: bool) -> None:
    """Join the parts of OUT.npy that prepare, dedup or features have written with --shard.

    OUT.npy becomes what the command without --shard would have written, byte for byte; the parts beside it,
    OUT.1-of-8.npy and so on, stay.

    \b
    dcgan-viz merge bedrooms.npy
    dcgan-viz merge results/dedup/crops.npy
    """
    from dcgan_viz.data.parts import parts_of
    from dcgan_viz.files import json_holds
    from dcgan_viz.progress import show

    parts = parts_of(out)
    if json_holds(parts[0].with_suffix(".json"), "of", "features"):
        from dcgan_viz.analysis.features.extraction import merge_features

        features = merge_features(out, about={"command": command_line()}, overwrite=overwrite, progress=show)
        rows, what = len(features.values), "feature row"
    else:
        from dcgan_viz.data.prepare import merge_prepared

        rows, what = merge_prepared(out, overwrite=overwrite, progress=show).pictures, "picture"
    if as_json:
        echo(json.dumps({"path": str(out), "rows": rows, "parts": len(parts)}))
    else:
        echo(f"{counted(rows, what)} of {counted(len(parts), 'part')} joined in {out}; the parts can be removed")

"""``dcgan-viz export``."""

from __future__ import annotations

from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import overwrite_option


@click.command(cls=Command)
@click.argument("model", metavar="NAME|FOLDER")
@click.option(
    "--onnx", type=click.Path(path_type=Path), metavar="DIR", help="Write ONNX graphs, for onnxruntime and the web."
)
@click.option(
    "--pytorch", type=click.Path(path_type=Path), metavar="DIR", help="Write weights and a file of plain PyTorch."
)
@click.option("--program", type=click.Path(path_type=Path), metavar="DIR", help="Write programs of torch.export.")
@overwrite_option
def export(model: str, onnx: Path | None, pytorch: Path | None, program: Path | None, overwrite: bool) -> None:
    """Write a model's networks in forms that other tools run.

    Each takes batches of any size. ONNX graphs are compared with torch under onnxruntime before they are written.

    \b
    dcgan-viz export bedrooms --onnx exported/onnx
    dcgan-viz export models/mine --pytorch exported/pytorch
    dcgan-viz export runs/mine --program exported/programs
    """
    if onnx is None and pytorch is None and program is None:
        raise click.UsageError("say in which form: --onnx, --pytorch or --program")
    if onnx is not None and onnx.suffix == ".onnx":
        raise click.UsageError(f"{onnx}: two files are written, so give a folder")
    from dcgan_viz.model import load

    loaded = load(model)
    if onnx is not None:
        from dcgan_viz.foreign.onnx_files import export_onnx

        for name, difference in export_onnx(loaded, onnx, overwrite).items():
            echo(f"{onnx / name}: differs from torch by {difference:.1g} at most under onnxruntime")
    if pytorch is not None:
        from dcgan_viz.foreign.pytorch_files import export_pytorch

        echo(f"{', '.join(export_pytorch(loaded, pytorch, overwrite))} written to {pytorch}")
    if program is not None:
        from dcgan_viz.foreign.programs import export_programs

        echo(f"{', '.join(export_programs(loaded, program, overwrite))} written to {program}")

"""``dcgan-viz export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import (
    complete_models,
    json_option,
    overwrite_option,
)


@click.command(cls=Command)
@click.argument("model", metavar="NAME|FOLDER", shell_complete=complete_models)
@click.option(
    "--onnx", type=click.Path(path_type=Path), metavar="DIR", help="Write ONNX graphs, for onnxruntime and the web."
)
@click.option(
    "--pytorch", type=click.Path(path_type=Path), metavar="DIR", help="Write weights and a file of plain PyTorch."
)
@click.option("--program", type=click.Path(path_type=Path), metavar="DIR", help="Write programs of torch.export.")
@click.option(
    "--web",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a static page that draws in the visitor's browser; fetches onnxruntime-web from npm.",
)
@overwrite_option
@json_option
def export(
    model: str,
    onnx: Path | None,
    pytorch: Path | None,
    program: Path | None,
    web: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a model's networks in forms that other tools run.

    Each takes batches of any size. ONNX graphs are compared with torch under onnxruntime before they are written.

    \b
    dcgan-viz export bedrooms --onnx exported/onnx
    dcgan-viz export models/mine --pytorch exported/pytorch
    dcgan-viz export runs/mine --program exported/programs
    dcgan-viz export rooms --web page
    """
    if onnx is None and pytorch is None and program is None and web is None:
        raise click.UsageError("say in which form: --onnx, --pytorch, --program or --web")
    if onnx is not None and onnx.suffix == ".onnx":
        raise click.UsageError(f"{onnx}: two files are written, so give a folder")
    from dcgan_viz.model import load

    strangers = [folder for folder in (onnx, pytorch, program, web) if folder is not None and _holds_files(folder)]
    loaded = load(model)
    sentences: list[str] = []
    numbers: dict[str, Any] = {}
    if onnx is not None:
        from dcgan_viz.foreign.onnx_files import export_onnx

        differences = export_onnx(loaded, onnx, overwrite)
        numbers["onnx"] = {str(onnx / name): difference for name, difference in differences.items()}
        for name, difference in differences.items():
            sentences.append(f"{onnx / name}: differs from torch by {difference:.1g} at most under onnxruntime")
    if pytorch is not None:
        from dcgan_viz.foreign.pytorch_files import export_pytorch

        files = export_pytorch(loaded, pytorch, overwrite)
        numbers["pytorch"] = [str(pytorch / name) for name in files]
        sentences.append(f"{', '.join(files)} written to {pytorch}")
    if program is not None:
        from dcgan_viz.foreign.programs import export_programs

        files = export_programs(loaded, program, overwrite)
        numbers["program"] = [str(program / name) for name in files]
        sentences.append(f"{', '.join(files)} written to {program}")
    if web is not None:
        from dcgan_viz.progress import show
        from dcgan_viz.web.page import export_web

        written = export_web(loaded, web, overwrite, progress=show)
        bits = {"half": 16, "bytes": 8}[written.weights]
        numbers["web"] = {"folder": str(written.folder), "bytes": written.size, "grey_levels_off": written.difference}
        sentences.append(
            f"{written.folder}: {written.size / 1e6:.1f} MB, kernels in {bits} bits, pictures differ from torch's by "
            f"{written.difference:.2f} grey levels on average; serve it, for example with python -m http.server "
            f"--directory {written.folder}"
        )
    for folder in strangers:
        echo(f"note: {folder} held other files, which stay; added: {_listing(folder)}", err=True)
    echo(json.dumps(numbers, indent=2) if as_json else "\n".join(sentences))


def _holds_files(folder: Path) -> bool:
    """Whether something lies in a folder that no command of this package wrote."""
    from dcgan_viz.folders import read_manifest

    return folder.is_dir() and read_manifest(folder) is None and any(folder.iterdir())


def _listing(folder: Path) -> str:
    """What was written into a folder."""
    from dcgan_viz.folders import MANIFEST_FILE, read_manifest

    manifest = read_manifest(folder)
    assert manifest is not None
    return ", ".join([*manifest.files, MANIFEST_FILE])

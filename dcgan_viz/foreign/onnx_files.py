"""Networks as ONNX graphs, written node by node, and checked against what torch computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.folders import staged_folder
from dcgan_viz.foreign.module_chains import plain_discriminator, plain_generator, plain_generator_layers
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.modules import SignedSigmoid, UnitPixels

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET, IR_VERSION = 20, 9
TOLERANCE = 1e-5
"""Largest difference from torch, in pixels of [-1, 1] and relative in logits."""

GENERATOR_FILE, DISCRIMINATOR_FILE = "generator.onnx", "discriminator.onnx"


def export_onnx(model: DCGAN, folder: Path, overwrite: bool = False) -> dict[str, float]:
    """Write the networks as ``generator.onnx`` and ``discriminator.onnx``, for batches of any size.

    The generator takes ``z`` (N, latent) to ``images`` (N, C, H, W) in [-1, 1], the discriminator ``images`` to
    ``logits`` (N,).

    Parameters
    ----------
    model : DCGAN
        Edited ones too.
    folder : Path
    overwrite : bool
        Replace files of the same names, whoever wrote them.

    Returns
    -------
    dict of str to float
        Largest differences from torch under onnxruntime, by file.

    Raises
    ------
    UserError
        If onnx or onnxruntime is missing, the networks are not this package's, or the graph computes something else.
    """
    z = model.latents(8, seed=0)
    generator = plain_generator(model)
    graphs = {GENERATOR_FILE: _model(generator, "z", "images", z.shape[1:], model.image_shape, model)}
    differences: dict[str, float] = {}
    images = model.generate(z)
    expected = {GENERATOR_FILE: (z, images)}
    discriminator = plain_discriminator(model)
    if discriminator is not None:
        graphs[DISCRIMINATOR_FILE] = _model(discriminator, "images", "logits", model.image_shape, (), model)
        with torch.no_grad():
            # In float64: a logit is a sum of terms that cancel, which float32 rounds by nearly as much as is allowed.
            exact = nn.Sequential(*discriminator).to("cpu", torch.float64)(images.double())
            expected[DISCRIMINATOR_FILE] = (images, exact.flatten().float())
    for name, graph in graphs.items():
        differences[name] = _difference(graph.SerializeToString(), *expected[name])
        if not differences[name] <= TOLERANCE:
            raise UserError(f"{name} would differ from torch by {differences[name]:.2g}, more than {TOLERANCE:g}")
    with staged_folder(folder, "ONNX", first=GENERATOR_FILE, overwrite=overwrite) as stage:
        for name, graph in graphs.items():
            (stage / name).write_bytes(graph.SerializeToString())
    return differences


def _difference(data: bytes, inputs: Tensor, expected: Tensor) -> float:
    """Largest difference under onnxruntime, relative where values are larger than 1; for one example as for many."""
    onnxruntime = _needed("onnxruntime")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    worst = 0.0
    for count in (1, len(inputs)):
        (found,) = session.run(None, {name: inputs[:count].numpy()})
        difference = np.abs(found - expected[:count].numpy()) / np.maximum(1, np.abs(expected[:count].numpy()))
        worst = max(worst, float(difference.max()))
    return worst


def _needed(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"ONNX files need {name}, which is not installed: pip install 'dcgan-viz[export]'") from error


def _model(
    modules: Sequence[nn.Module], into: str, out: str, reads: Sequence[int], writes: Sequence[int], model: DCGAN
) -> ModelProto:
    onnx = _needed("onnx")
    graph = _Graph(onnx)
    current = into
    for module in modules:
        current = graph.add(module, current)
    # Logits come as (N, 1).
    current = current if writes else graph.node("Reshape", [current, graph.constant("flat", np.array([-1]))])
    values = [onnx.helper.make_tensor_value_info(into, onnx.TensorProto.FLOAT, ["batch", *reads])]
    return _finished(graph, current, values, out, writes, model)


def _finished(
    graph: _Graph, last: str, values: Sequence[Any], out: str, writes: Sequence[int], model: DCGAN
) -> ModelProto:
    """A whole model of a graph whose last node's output is given."""
    onnx = graph.onnx
    graph.nodes.append(onnx.helper.make_node("Identity", [last], [out]))
    made = onnx.helper.make_graph(
        graph.nodes,
        model.card.name,
        list(values),
        [onnx.helper.make_tensor_value_info(out, onnx.TensorProto.FLOAT, ["batch", *writes])],
        graph.initializers,
    )
    proto = onnx.helper.make_model(
        made, producer_name="dcgan-viz", opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.helper.set_model_props(proto, {"name": model.card.name, "prior": model.prior, "summary": model.card.summary})
    onnx.checker.check_model(proto, full_check=True)
    whole: ModelProto = proto
    return whole


Weights = Literal["full", "half", "bytes"]
"""How kernels are kept: as float32, as float16, or as 8-bit numbers with a scale for each output channel."""


def editable_graph(model: DCGAN, layer: Layer, weights: Weights) -> bytes:
    """A generator as an ONNX graph that also takes factors for the maps of a layer.

    It takes ``z`` (N, latent) and ``factors`` (C,), which multiply the layer's maps after their rectifier, to ``images``
    (N, channels, H, W) in [-1, 1].

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator, below the image.
    weights : {"full", "half", "bytes"}

    Raises
    ------
    UserError
        If onnx is missing, or the networks are not this package's.
    """
    onnx = _needed("onnx")
    graph = _Graph(onnx, weights)
    layers = plain_generator_layers(model)
    current = "z"
    for number, modules in enumerate(layers, start=1):
        for module in modules:
            current = graph.add(module, current)
        if number == layer.number:
            shape = graph.constant("shape", np.array([1, layer.channels, 1, 1]))
            current = graph.node("Mul", [current, graph.node("Reshape", ["factors", shape])])
    values = [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["batch", model.latent_dim])]
    values.append(onnx.helper.make_tensor_value_info("factors", onnx.TensorProto.FLOAT, [layer.channels]))
    data: bytes = _finished(graph, current, values, "images", model.image_shape, model).SerializeToString()
    return data


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self, onnx: Any, weights: Weights = "full") -> None:
        self.onnx, self.weights = onnx, weights
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def constant(self, name: str, values: Any) -> str:
        return self._kept(
            name, values.detach().cpu().float().numpy() if isinstance(values, Tensor) else np.asarray(values)
        )

    def weight(self, weight: Tensor, channels: int) -> str:
        """A kernel as it is kept; `channels` is the axis of its outputs."""
        if self.weights == "full":
            return self.constant("weight", weight)
        array = weight.detach().cpu().float().numpy()
        if self.weights == "half":
            return self.node("Cast", [self._kept("weight", array.astype(np.float16))], to=self.onnx.TensorProto.FLOAT)
        others = tuple(axis for axis in range(array.ndim) if axis != channels)
        scales = np.maximum(np.abs(array).max(others), 1e-12) / 127
        shape = [-1 if axis == channels else 1 for axis in range(array.ndim)]
        rounded = np.round(array / scales.reshape(shape)).astype(np.int8)
        names = [self._kept("weight", rounded), self._kept("scales", scales.astype(np.float32))]
        return self.node("DequantizeLinear", names, axis=channels)

    def _kept(self, name: str, array: Any) -> str:
        name = f"{name}.{len(self.initializers)}"
        self.initializers.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = f"{kind.lower()}.{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def add(self, module: nn.Module, x: str) -> str:
        """The nodes of one module; returns what they write."""
        if isinstance(module, nn.Linear):
            bias = [self.constant("bias", module.bias)] if module.bias is not None else []
            return self.node("Gemm", [x, self.weight(module.weight, 0), *bias], transB=1)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            return self._convolution(module, x)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            entries = (module.weight, module.bias, module.running_mean, module.running_var)
            constants = [
                self.constant(n, t) for n, t in zip(("gain", "shift", "mean", "variance"), entries, strict=True)
            ]
            return self.node("BatchNormalization", [x, *constants], epsilon=module.eps)
        if isinstance(module, nn.Unflatten):
            return self.node("Reshape", [x, self.constant("shape", np.array([0, *module.unflattened_size]))])
        if isinstance(module, nn.Flatten):
            return self.node("Flatten", [x], axis=1)
        if isinstance(module, nn.Upsample):
            scales = self.constant("scales", np.array([1, 1, module.scale_factor, module.scale_factor], np.float32))
            nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            return self.node("Resize", [x, "", scales], **nearest)
        return self._pointwise(module, x)

    def _convolution(self, module: nn.Conv2d | nn.ConvTranspose2d, x: str) -> str:
        outputs = 1 if isinstance(module, nn.ConvTranspose2d) else 0
        inputs = [x, self.weight(module.weight, outputs)]
        inputs += [self.constant("bias", module.bias)] if module.bias is not None else []
        settings = {
            "kernel_shape": list(module.kernel_size),
            "strides": list(module.stride),
            "pads": [int(p) for p in module.padding] * 2,
        }
        if isinstance(module, nn.ConvTranspose2d):
            return self.node("ConvTranspose", inputs, output_padding=list(module.output_padding), **settings)
        return self.node("Conv", inputs, **settings)

    def _pointwise(self, module: nn.Module, x: str) -> str:
        def scalar(value: float) -> str:
            return self.constant("scalar", np.array(value, np.float32))

        if isinstance(module, nn.LeakyReLU):
            return self.node("LeakyRelu", [x], alpha=module.negative_slope)
        if isinstance(module, SignedSigmoid):
            return self.node("Tanh", [self.node("Mul", [x, scalar(0.5)])])
        if isinstance(module, UnitPixels):
            return self.node("Mul", [self.node("Add", [x, scalar(1.0)]), scalar(0.5)])
        if isinstance(module, nn.SiLU):
            return self.node("Mul", [x, self.node("Sigmoid", [x])])
        names = {
            nn.ReLU: "Relu",
            nn.Tanh: "Tanh",
            nn.ELU: "Elu",
            nn.SELU: "Selu",
            nn.GELU: "Gelu",
            nn.Softplus: "Softplus",
        }
        return self.node(names[type(module)], [x])

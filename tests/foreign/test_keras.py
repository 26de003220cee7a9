"""Keras files compute what Keras computes, by its definitions written out in NumPy."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.knowledge import Knowledge, Wishes

h5py = pytest.importorskip("h5py")

Array = NDArray[np.float64]


def transposed(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """`Conv2DTranspose`: every pixel adds a kernel to the output, of which "same" keeps the middle."""
    n, h, w, _ = x.shape
    k = kernel.shape[0]
    full = np.zeros((n, (h - 1) * stride + max(k, stride), (w - 1) * stride + max(k, stride), kernel.shape[2]))
    for i in range(h):
        for j in range(w):
            added = np.einsum("nc,aboc->nabo", x[:, i, j], kernel)
            full[:, i * stride : i * stride + k, j * stride : j * stride + k] += added
    if padding == "valid":
        return full
    before = max(k - stride, 0) // 2
    return full[:, before : before + h * stride, before : before + w * stride]


def convolved(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """`Conv2D`: with "same" as many zeros as make the output ceil(h / stride), the smaller half before."""
    k = kernel.shape[0]
    if padding == "same":
        total = max((-(-x.shape[1] // stride) - 1) * stride + k - x.shape[1], 0)
        edges = (total // 2, total - total // 2)
        x = np.pad(x, ((0, 0), edges, edges, (0, 0)))
    size = (x.shape[1] - k) // stride + 1
    out = np.zeros((len(x), size, size, kernel.shape[3]))
    for i in range(size):
        for j in range(size):
            patch = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = np.einsum("nabc,abco->no", patch, kernel)
    return out


def activated(x: Array, name: str | None, slope: float = 0.0) -> Array:
    if name == "sigmoid":
        return 1 / (1 + np.exp(-x))
    if name == "tanh":
        return np.tanh(x)
    return x if name in (None, "linear") else np.where(x > 0, x, slope * x)


def run(layers: list[dict[str, Any]], variables: dict[str, dict[str, Array]], x: Array) -> Array:
    """A model layer by layer, as its configuration says."""
    for layer in layers:
        kind, settings = layer["class_name"], layer["config"]
        own = variables.get(settings["name"], {})
        if kind == "Dense":
            x = x @ own["kernel"] + own.get("bias", 0)
        elif kind in ("Conv2D", "Conv2DTranspose"):
            move = convolved if kind == "Conv2D" else transposed
            x = move(x, own["kernel"], settings["strides"][0], settings["padding"]) + own.get("bias", 0)
        elif kind == "BatchNormalization":
            gain = own.get("gamma", 1) / np.sqrt(own["moving_variance"] + settings["epsilon"])
            x = (x - own["moving_mean"]) * gain + own.get("beta", 0)
        elif kind == "Reshape":
            x = x.reshape(len(x), *settings["target_shape"])
        elif kind == "Flatten":
            x = x.reshape(len(x), -1)
        elif kind == "UpSampling2D":
            x = x.repeat(2, axis=1).repeat(2, axis=2)
        elif kind == "ZeroPadding2D":
            x = np.pad(x, ((0, 0), *settings["padding"], (0, 0)))
        elif kind == "Cropping2D":
            (top, bottom), (left, right) = settings["cropping"]
            x = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        elif kind == "LeakyReLU":
            x = activated(x, "leaky", settings.get("alpha", settings.get("negative_slope")))
        elif kind == "ReLU":
            x = activated(x, "relu")
        x = activated(x, settings.get("activation")) if kind != "LeakyReLU" else x
    return x


class Config:
    """Writes a configuration, and draws the variables that go with it."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.variables: dict[str, dict[str, Array]] = {}
        self.random = np.random.default_rng(0)

    def add(self, kind: str, shapes: dict[str, tuple[int, ...]] | None = None, **settings: Any) -> Config:
        name = f"{kind.lower()}_{len(self.layers)}"
        self.layers.append({"class_name": kind, "config": {"name": name, **settings}})
        if shapes:
            self.variables[name] = {
                n: np.abs(self.random.normal(1, 0.3, s))
                if "var" in n
                else self.random.normal(0, 0.3, s) + (n == "gamma")
                for n, s in shapes.items()
            }
        return self

    def dense(self, before: int, after: int, bias: bool = True, **settings: Any) -> Config:
        shapes = {"kernel": (before, after)} | ({"bias": (after,)} if bias else {})
        return self.add("Dense", shapes, units=after, use_bias=bias, **{"activation": "linear", **settings})

    def norm(self, width: int, scale: bool = True) -> Config:
        names = [*(["gamma"] if scale else []), "beta", "moving_mean", "moving_variance"]
        return self.add(
            "BatchNormalization", dict.fromkeys(names, (width,)), axis=[3], epsilon=1e-3, scale=scale, center=True
        )

    def conv(
        self, kind: str, before: int, after: int, kernel: int, stride: int, padding: str = "same", **more: Any
    ) -> Config:
        channels = (after, before) if kind == "Conv2DTranspose" else (before, after)
        settings = {"strides": [stride, stride], "padding": padding, "use_bias": True, "activation": "linear", **more}
        return self.add(
            kind, {"kernel": (kernel, kernel, *channels), "bias": (after,)}, data_format="channels_last", **settings
        )

    def up(self, *args: Any, **more: Any) -> Config:
        return self.conv("Conv2DTranspose", *args, **more)


def tensorflow_tutorial() -> Config:
    """The DCGAN of TensorFlow's tutorial: 5x5 same, strides 1, 2, 2, LeakyReLU 0.3, tanh; per unit before the reshape."""
    c = Config().add("InputLayer", batch_input_shape=[None, 10]).dense(10, 7 * 7 * 6, bias=False)
    c.norm(7 * 7 * 6).add("LeakyReLU", alpha=0.3).add("Reshape", target_shape=[7, 7, 6])
    c.layers[2]["config"]["axis"] = [1]
    c.up(6, 5, 5, 1).norm(5).add("LeakyReLU", alpha=0.3)
    c.up(5, 4, 5, 2).norm(4).add("LeakyReLU", alpha=0.3)
    return c.up(4, 1, 5, 2, activation="tanh")


def tutorial_critic() -> Config:
    c = Config().add("InputLayer", batch_input_shape=[None, 28, 28, 1])
    c.conv("Conv2D", 1, 4, 5, 2).add("LeakyReLU", alpha=0.30000001192092896).add("Dropout", rate=0.3)
    c.conv("Conv2D", 4, 6, 5, 2).add("LeakyReLU", alpha=0.30000001192092896).add("Dropout", rate=0.3)
    return c.add("Flatten").dense(7 * 7 * 6, 1)


def upsampled() -> Config:
    """Keras-GAN's: activation in the dense layer, upsampling, 3x3 and 4x4 convolutions, normalisation after, sigmoid."""
    c = Config().add("InputLayer", batch_input_shape=[None, 10]).dense(10, 4 * 4 * 6, activation="relu")
    c.add("Reshape", target_shape=[4, 4, 6]).add("UpSampling2D", size=[2, 2], interpolation="nearest")
    c.conv("Conv2D", 6, 5, 3, 1, activation="relu").norm(5, scale=False).add("UpSampling2D", size=[2, 2])
    c.conv("Conv2D", 5, 4, 4, 1, activation="relu").norm(4)
    return c.conv("Conv2D", 4, 3, 3, 1, activation="sigmoid")


def uneven() -> Config:
    """Kernels 3, 4 and 2 with stride 2, valid and same, and a bare projection from a 1x1 map."""
    c = Config().add("InputLayer", batch_input_shape=[None, 1, 1, 10])
    c.up(10, 6, 4, 1, padding="valid").norm(6)
    c.up(6, 5, 3, 2).norm(5).add("ReLU", max_value=None, negative_slope=0.0, threshold=0.0)
    c.up(5, 4, 4, 2).norm(4).add("Activation", activation="relu")
    return c.up(4, 3, 2, 2, activation="tanh")


def uneven_critic() -> Config:
    c = Config().add("InputLayer", batch_input_shape=[None, 32, 32, 3])
    c.conv("Conv2D", 3, 4, 3, 2).add("LeakyReLU", negative_slope=0.2)
    c.conv("Conv2D", 4, 6, 4, 2).norm(6).add("LeakyReLU", negative_slope=0.2)
    c.conv("Conv2D", 6, 6, 5, 2, padding="valid").norm(6).add("LeakyReLU", negative_slope=0.2)
    return c.add("Flatten").dense(2 * 2 * 6, 1, activation="sigmoid")


def cropped() -> Config:
    """28 pixels out of 32, a crop that is not even in the middle."""
    c = Config().add("InputLayer", batch_input_shape=[None, 10]).dense(10, 4 * 4 * 6).add("ReLU")
    c.add("Reshape", target_shape=[4, 4, 6]).up(6, 5, 4, 2).add("Cropping2D", cropping=[[0, 1], [0, 1]])
    c.norm(5).add("ReLU").up(5, 4, 5, 2, padding="valid").add("ReLU")
    return c.up(4, 1, 4, 2, activation="tanh").add("Cropping2D", cropping=[[4, 2], [4, 2]])


def padded_critic() -> Config:
    """Zeros by hand before its convolutions, as Keras-GAN's discriminator."""
    c = Config().add("InputLayer", batch_input_shape=[None, 28, 28, 1])
    c.add("ZeroPadding2D", padding=[[1, 1], [1, 1]]).conv("Conv2D", 1, 4, 4, 2, padding="valid")
    c.add("LeakyReLU", alpha=0.2).add("ZeroPadding2D", padding=[[0, 1], [0, 1]]).conv("Conv2D", 4, 6, 3, 2)
    c.norm(6).add("LeakyReLU", alpha=0.2).add("ZeroPadding2D", padding=[[2, 0], [2, 0]])
    return c.conv("Conv2D", 6, 6, 3, 2, padding="valid").add("LeakyReLU", alpha=0.2).add("Flatten").dense(4 * 4 * 6, 1)


def save_h5(config: Config, path: Path, nested: bool) -> None:
    """As Keras 2 does with `model.save`; nested, as it saves a Sequential inside a functional model."""
    top: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "sequential", "layers": config.layers}}
    if nested:
        given = {"class_name": "InputLayer", "config": {"name": "input_9", "batch_input_shape": [None, 10]}}
        top = {"class_name": "Model", "config": {"name": "model", "layers": [given, {**top, "name": "sequential"}]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(top).encode()
        root = file.create_group("model_weights")
        names = [layer["config"]["name"] for layer in config.layers]
        # Layers without variables have empty groups.
        listed = {n: {n: config.variables[n]} if n in config.variables else {} for n in names}
        groups = {"input_9": {}, "sequential": config.variables} if nested else listed
        root.attrs["layer_names"] = [n.encode() for n in groups]
        for name, layers in groups.items():
            group = root.create_group(name)
            names = []
            for layer, variables in layers.items():
                for variable, values in variables.items():
                    names.append(f"{layer}/{variable}:0")
                    group[names[-1]] = values.astype(np.float32)
            group.attrs["weight_names"] = [n.encode() for n in names]


SNAKE = {
    "BatchNormalization": "batch_normalization",
    "Conv2D": "conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "Dense": "dense",
}


def save_archive(config: Config, path: Path, by_name: bool) -> None:
    """As Keras 3 does: groups of the layers' kinds, numbered, or of their names."""
    layers = []
    for layer in config.layers:
        settings = dict(layer["config"])
        if "batch_input_shape" in settings:
            settings["batch_shape"] = settings.pop("batch_input_shape")
        layers.append({"module": "keras.layers", "class_name": layer["class_name"], "config": settings})
    with h5py.File(path.with_suffix(".weights.h5"), "w") as file:
        counts: dict[str, int] = {}
        for layer in config.layers:
            key = SNAKE.get(layer["class_name"])
            if key is not None:
                number = counts[key] = counts.get(key, -1) + 1
                name = layer["config"]["name"] if by_name else f"{key}_{number}" if number else key
                for k, values in enumerate(config.variables[layer["config"]["name"]].values()):
                    file[f"layers/{name}/vars/{k}"] = values.astype(np.float32)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr(
            "config.json", json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
        )
        archive.write(path.with_suffix(".weights.h5"), "model.weights.h5")


def save(config: Config, path: Path, form: str) -> Path:
    if form.startswith("archive"):
        save_archive(config, path.with_suffix(".keras"), by_name=form.endswith("names"))
        return path.with_suffix(".keras")
    save_h5(config, path.with_suffix(".h5"), nested=form == "nested")
    return path.with_suffix(".h5")


PAIRS = {
    "TensorFlow's tutorial": (tensorflow_tutorial, tutorial_critic),
    "upsampled": (upsampled, None),
    "uneven": (uneven, uneven_critic),
    "cropped": (cropped, padded_critic),
}


@pytest.mark.parametrize("form", ["h5", "nested", "archive", "archive of names"])
@pytest.mark.parametrize("name", PAIRS)
def test_keras_models_compute_the_same(name: str, form: str, tmp_path: Path) -> None:
    draw, critic = PAIRS[name]
    generator, discriminator = draw(), critic() if critic else None
    weights = read_weights(save(generator, tmp_path / "G", form))
    critic_weights = (
        None
        if discriminator is None
        else read_weights(save(discriminator, tmp_path / "D", form.replace("nested", "h5")))
    )
    imported = import_pair(weights, critic_weights, source="normal")
    z = np.random.default_rng(1).normal(size=(4, 10))
    shaped = z[:, None, None, :] if name == "uneven" else z
    theirs = run(generator.layers, generator.variables, shaped)
    with torch.no_grad():
        ours = imported.generator(torch.tensor(z, dtype=torch.float32))
    pictures = (ours + 1) / 2 if name == "upsampled" else ours
    np.testing.assert_allclose(pictures.permute(0, 2, 3, 1).numpy(), theirs, atol=1e-4)
    assert not any("stride" in what for what in imported.told["generator"].granted)
    if discriminator is not None:
        scores = run(discriminator.layers, discriminator.variables, theirs)[:, 0]
        assert imported.discriminator is not None
        with torch.no_grad():
            logits = imported.discriminator(ours)
        compared = torch.sigmoid(logits) if name == "uneven" else logits
        np.testing.assert_allclose(compared.numpy(), scores, atol=1e-4)


def settled(config: Config, z: Array) -> Config:
    """A model with the moving statistics that its own layers produce."""
    for k, layer in enumerate(config.layers):
        if layer["class_name"] == "BatchNormalization":
            own = config.variables[layer["config"]["name"]]
            x = run(config.layers[:k], config.variables, z)
            axes = tuple(range(x.ndim - 1))
            own["moving_mean"], own["moving_variance"] = x.mean(axes), x.var(axes)
    return config


def without_configuration(path: Path, form: str) -> Path:
    """What `save_weights` leaves, of Keras 2 or of Keras 3, from a model saved whole."""
    if form == "h5":
        with h5py.File(path, "a") as file:
            del file.attrs["model_config"]
        return path
    return path.with_suffix(".weights.h5")


@pytest.mark.parametrize("form", ["h5", "nested", "archive"])
def test_weights_alone_are_read_by_their_shapes(form: str, tmp_path: Path) -> None:
    """5x5 kernels of stride 1 and 2 keep their zeros on different sides: the statistics tell which stride is whose."""
    z = np.random.default_rng(1).normal(size=(300, 10))
    config = settled(tensorflow_tutorial(), z)
    whole = save(config, tmp_path / "G", form)
    weights = read_weights(without_configuration(whole, form.replace("nested", "h5")))
    known = Knowledge(slope=0.3)
    imported = import_pair(weights, source="normal", generator_known=known)
    with torch.no_grad():
        ours = imported.generator(torch.tensor(z[:4], dtype=torch.float32))
    theirs = run(config.layers, config.variables, z[:4])
    np.testing.assert_allclose(ours.permute(0, 2, 3, 1).numpy(), theirs, atol=1e-4)
    assert "epsilon 0.001" in imported.told["generator"].granted
    strided = Knowledge(Wishes(strides=(2, 1, 2)), slope=0.3)
    with pytest.raises(UserError, match="statistics"):
        import_pair(weights, source="normal", generator_known=strided)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (tutorial_critic, "draws no picture, so that it is a discriminator's"),
        (cropped, "its layer cropping2d_5 has sizes that no weights tell"),
    ],
)
def test_weights_alone_that_do_not_tell_enough_are_refused(
    config: Callable[[], Config], sentence: str, tmp_path: Path
) -> None:
    file = without_configuration(save(config(), tmp_path / "G", "h5"), "h5")
    with pytest.raises(UserError, match=sentence):
        read_weights(file)


def changed(kind: str, **settings: Any) -> Config:
    config = uneven()
    layer = next(layer for layer in config.layers if layer["class_name"] == kind)
    layer["class_name"] = settings.pop("class_name", kind)
    layer["config"].update(settings)
    return config


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (changed("ReLU", max_value=6.0), "is capped: .* write it in PyTorch, .* file.py:function"),
        (changed("ReLU", class_name="PReLU"), r"\(PReLU\) .* is not one that a plain DCGAN has"),
        (changed("BatchNormalization", axis=[1]), "normalises along axis 1"),
        (changed("Conv2DTranspose", dilation_rate=[2, 2]), "is dilated"),
        (changed("Conv2DTranspose", data_format="channels_first"), "keeps channels first"),
        (changed("BatchNormalization", epsilon=1e-2), "several activations or epsilons"),
        (changed("ReLU", class_name="LeakyReLU", negative_slope=0.2), "several activations or epsilons"),
        (changed("ReLU", class_name="Dropout"), "not every hidden layer"),
        (changed("ReLU", class_name="ZeroPadding2D", padding=[[1, 1], [0, 0]]), "not alike in both directions"),
        (changed("ReLU", class_name="ZeroPadding2D", padding=[[1, 1], [1, 1]]), "reads zeros of a ZeroPadding2D"),
    ],
)
def test_what_a_chain_does_not_have_is_refused(config: Config, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        read_weights(save(config, tmp_path / "G", "h5"))


def test_a_file_that_the_library_comes_to_no_end_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop holds the interpreter's lock: nothing in this process could end it."""
    monkeypatch.setattr("dcgan_viz.foreign.keras.PATIENCE", 1.0)
    endless = Path(__file__).parents[1] / "cases" / "fuzz" / "h5_endless_8c1f2a" / "x.h5"
    with pytest.raises(UserError, match="HDF5 comes to no end with it"):
        read_weights(endless)


def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    good = save(uneven(), tmp_path / "G", "h5")
    (tmp_path / "cut.h5").write_bytes(good.read_bytes()[:3000])
    with h5py.File(tmp_path / "alone.h5", "w") as file:
        file["dense/kernel:0"] = np.zeros((2, 2))
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": uneven().layers}})
        group = file.create_group("model_weights/conv2dtranspose_1")
        group.create_dataset("kernel:0", (30_000, 30_000), "f4", chunks=(100, 100))
        group.attrs["weight_names"] = [b"kernel:0"]
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file.attrs["model_config"] = "[" * 60_000
    (tmp_path / "no.keras").write_bytes(b"PK\x03\x04")
    for name, sentence in {
        "cut.h5": "is not a whole Keras model",
        "alone.h5": "without the configuration of their layers",
        "huge.h5": "would be 3,600,000,000 bytes",
        "deep.h5": "not JSON of a Keras model",
        "no.keras": "is not a whole Keras model",
    }.items():
        with pytest.raises(UserError, match=sentence):
            read_weights(tmp_path / name)

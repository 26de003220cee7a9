"""Every format that is read from elsewhere: a valid example, and what reads it. A new one is an entry more."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat
from torch import nn

from dcgan_viz.analysis.features.extraction import Extractor, extract_features, merge_features
from dcgan_viz.annotations.boxes import Box, inside_boxes, load_annotations, merge_annotations
from dcgan_viz.annotations.concepts import load_concepts, save_concepts
from dcgan_viz.annotations.formats import read_foreign
from dcgan_viz.annotations.masks import box_masks, load_coco, load_masks
from dcgan_viz.annotations.objects import load_objects
from dcgan_viz.annotations.photographs import PhotographBoxes, identify, save_photograph_boxes
from dcgan_viz.annotations.sample_files import find_samples
from dcgan_viz.blind.answers import load_answers
from dcgan_viz.blind.report import unblind
from dcgan_viz.blind.trials import load_trial, prepare_trial, save_trial
from dcgan_viz.card import Card
from dcgan_viz.data.images import ImageSet, TensorImages, load_images
from dcgan_viz.data.labels import read_labels
from dcgan_viz.data.latents import load_latents
from dcgan_viz.data.parts import Part
from dcgan_viz.data.prepare import merge_prepared, prepare
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError
from dcgan_viz.foreign.chains import find_chains
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.judges.classifier import Classifier, ClassifierCard, classify, load_classifier, measure_accuracy
from dcgan_viz.judges.classifier_network import ClassifierNetwork
from dcgan_viz.judges.encoder import Encoder, EncoderCard, load_encoder
from dcgan_viz.judges.encoder_network import EncoderNetwork
from dcgan_viz.judges.segmenter import Segmenter, SegmenterCard, load_segmenter, segment
from dcgan_viz.judges.segmenter_network import SegmentationNetwork
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.training.checkpoints import load_checkpoint, read_state
from dcgan_viz.training.execution import launch
from dcgan_viz.training.loop import train
from dcgan_viz.training.means import MeanLosses
from dcgan_viz.training.monitor import Health
from dcgan_viz.training.run import Run
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries, check_weights

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Format:
    """One kind of file or folder.

    Parameters
    ----------
    name : str
    make : callable
        Valid files by their names.
    read : callable
        Reads the folder that they lie in, and does with what it found what a command would do.
    """

    name: str
    make: Callable[[], Files]
    read: Callable[[Path], object]


def saved(write: Callable[[Path], object]) -> Files:
    """What a function writes into a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "x"
        write(folder)
        return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def as_json(data: object) -> bytes:
    return json.dumps(data).encode()


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


# --- Networks ------------------------------------------------------------------------------------------------------


@cache
def tiny_model() -> DCGAN:
    spec = dcgan(16, width=2, latent_dim=4)
    torch.manual_seed(0)
    card = Card("tiny", "for tests", spec, training={"steps": 3, "settings": {"r1": 0.5}}, commands=("train",))
    return DCGAN(Generator(spec.generator).eval(), Discriminator(spec.discriminator).eval(), card)


def make_model() -> Files:
    files = saved(tiny_model().save)
    return {name: content for name, content in files.items() if name != "README.md"}


def read_model(folder: Path) -> None:
    model = load(folder)
    model.card.page()
    json.dumps(model.card.to_dict())
    model.sample(1)


def make_settings() -> Files:
    return {"x.json": as_json(TrainingSettings(steps=3, augment=("color",)).to_dict())}


def read_settings(folder: Path) -> None:
    try:
        data = json.loads((folder / "x.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    TrainingSettings.from_dict(data)


def make_segmenter() -> Files:
    card = SegmenterCard(
        objects=("w", "v"),
        size=16,
        channels=3,
        data="drawings",
        held_out_iou={"w": 0.5, "v": float("nan")},
        patches={"noise": {"w": 0.1, "v": 0.0}},
        training={"steps": 3},
        widths=(2, 4),
    )
    return saved(Segmenter(SegmentationNetwork(3, 3, (2, 4)), card).save)


def read_segmenter(folder: Path) -> None:
    segmenter = load_segmenter(folder)
    card = segmenter.card
    if card.size <= 64:
        segment(segmenter, torch.zeros(1, card.channels, card.size, card.size))


def make_classifier() -> Files:
    accuracy = measure_accuracy(np.array([[0.9, 0.1]], np.float32), np.array([0]), "all")
    card = ClassifierCard(("cat", "dog"), 16, 3, accuracies=(accuracy,), training={"steps": 3}, widths=(2, 2))
    return saved(Classifier(ClassifierNetwork(3, 2, (2, 2)), card).save)


def read_classifier(folder: Path) -> None:
    classifier = load_classifier(folder)
    card = classifier.card
    if card.size <= 64:
        classify(classifier, torch.zeros(1, card.channels, card.size, card.size))


def make_encoder() -> Files:
    card = EncoderCard("tiny", ("cat", "dog"), training={"steps": 3}, widths=(2, 2))
    return saved(Encoder(EncoderNetwork(3, 2, (2, 2)), card).save)


def read_encoder(folder: Path) -> None:
    encoder = load_encoder(folder)
    encoder.features(torch.zeros(1, encoder.card.channels, 32, 32))


CHECKPOINT = "step-00000004.safetensors"


def make_checkpoint() -> Files:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingSettings(steps=4, batch_size=4)
        images = ImageSet(noise, ("noise",) * len(noise))
        train(images, dcgan(16, width=2, latent_dim=4), settings, folder, device="cpu", precision="fp32")
        return {CHECKPOINT: (Path(folder) / "checkpoints" / CHECKPOINT).read_bytes()}


def read_checkpoint(folder: Path) -> None:
    """As `resume_training` does, without the step after it."""
    run = Run.from_dict(read_state(folder / CHECKPOINT).run, folder)
    start = load_checkpoint(folder / CHECKPOINT)
    check_weights(run.networks, start.tensors)
    fabric = launch("cpu", run.execution)
    Adversaries(fabric, run.networks, run.settings, run.execution.memory_format).restore(start.tensors)
    MeanLosses(fabric, 4).restore(start.tensors)
    Health.from_dict(start.run.get("health"))


def make_state_dict() -> Files:
    """A generator as in PyTorch's tutorial: an earlier layer for every doubling, a 1x1 latent."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, maps, stride, padding in ((4, 8, 1, 0), (8, 4, 2, 1)):
        layers += [nn.ConvTranspose2d(inputs, maps, 4, stride, padding, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
    network = nn.Sequential(*layers, nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh())
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return {"x.pth": file.getvalue()}


# What `import` does beyond this draws thousands of samples, however small the file is.


def read_state_dict(folder: Path) -> None:
    find_chains(read_weights(folder / "x.pth"), "generator")


def make_keras() -> Files:
    """A generator as Keras 2 saves a whole model."""
    import h5py

    random = np.random.default_rng(0)
    deconvolution = {"class_name": "Conv2DTranspose"}
    usual = {"kernel_size": [4, 4], "strides": [2, 2], "padding": "same", "use_bias": True, "activation": "linear"}
    layers = [
        {"class_name": "InputLayer", "config": {"name": "z", "batch_input_shape": [None, 4]}},
        {"class_name": "Dense", "config": {"name": "d", "units": 128, "use_bias": False, "activation": "relu"}},
        {"class_name": "Reshape", "config": {"name": "r", "target_shape": [4, 4, 8]}},
        {**deconvolution, "config": {**usual, "name": "c", "filters": 4, "activation": "relu"}},
        {**deconvolution, "config": {**usual, "name": "e", "filters": 3, "activation": "tanh"}},
    ]
    shapes = {
        "d": {"kernel:0": (4, 128)},
        "c": {"kernel:0": (4, 4, 4, 8), "bias:0": (4,)},
        "e": {"kernel:0": (4, 4, 3, 4), "bias:0": (3,)},
    }
    file = io.BytesIO()
    with h5py.File(file, "w") as archive:
        top = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
        archive.attrs["model_config"] = json.dumps(top).encode()
        root = archive.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in shapes]
        for layer, variables in shapes.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in variables]
            for name, shape in variables.items():
                group[f"{layer}/{name}"] = random.standard_normal(shape, dtype=np.float32)
    return {"x.h5": file.getvalue()}


def read_keras(folder: Path) -> None:
    with patch("dcgan_viz.foreign.keras.PATIENCE", 3.0):
        find_chains(read_weights(folder / "x.h5"), "generator")


# --- Annotations ---------------------------------------------------------------------------------------------------


def make_annotations() -> Files:
    data = {
        "info": {
            "contributor": "me",
            "dcgan_viz": {
                "seed": 3,
                "count": 8,
                "size": 16,
                "generator_digest": "x" * 64,
                "method": "how",
                "reviewed": [0, 1, 2, 3],
            },
        },
        "licenses": [],
        "images": [{"id": i, "file_name": f"sample-{i:04}.png", "width": 16, "height": 16} for i in range(8)],
        "categories": [{"id": 1, "name": "w", "supercategory": ""}, {"id": 2, "name": "v", "supercategory": ""}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [0, 0, 16, 16], "segmentation": []},
        ],
    }
    return {"a.json": as_json(data)}


def read_annotations(folder: Path) -> None:
    found = load_annotations(folder / "a.json")
    merge_annotations([found, found])
    inside_boxes(found.boxes, found.count, found.size, 4)
    if found.size <= 64:
        box_masks(found.boxes, min(found.count, 100), found.size)


def make_concepts() -> Files:
    head = {"seed": 3, "count": 40, "generator_digest": "x" * 64, "contributor": "me", "method": "how"}
    return {"c.json": as_json({**head, "concepts": {"smiling woman": [3, 1, 39], "man": []}})}


def read_concepts(folder: Path) -> None:
    save_concepts(load_concepts(folder / "c.json"), folder / "again" / "c.json")


def make_samples() -> Files:
    data = {"model": "tiny", "generator_digest": "x" * 64, "count": 8, "seed": 3, "size": 16, "scale": 2}
    return {"samples.json": as_json(data)}


VOC = b"""<annotation><filename>a.png</filename><size><width>128</width><height>128</height><depth>3</depth></size>
<object><name>window</name><bndbox><xmin>16</xmin><ymin>8</ymin><xmax>80.5</xmax><ymax>40</ymax></bndbox></object>
</annotation>"""
LABELME = {
    "version": "5.5.0",
    "shapes": [
        {"label": "window", "points": [[80.0, 40.0], [16.0, 8.0]], "shape_type": "rectangle", "flags": {}},
        {"label": "lamp", "points": [[112.0, 64.0], [128.0, 128.0], [96.0, 120.0]], "group_id": None},
    ],
    "imagePath": "..\\samples\\a.png",
    "imageData": None,
    "imageHeight": 128,
    "imageWidth": 128,
}
RECT = {"name": "rect", "x": 16, "y": 8, "width": 64, "height": 32}
POLYGON = {"name": "polygon", "all_points_x": [112, 128, 96], "all_points_y": [64, 128, 120]}
VIA = {
    "a.png1": {
        "filename": "a.png",
        "size": 1,
        "regions": [
            {"shape_attributes": RECT, "region_attributes": {"object": "window", "kind": {"tall": True}}},
            {"shape_attributes": POLYGON, "region_attributes": {"object": "lamp"}},
        ],
    },
    "b.png2": {"filename": "b.png", "size": 2, "regions": {}},
}
VIA_CSV = b"""filename,file_size,region_count,region_id,region_shape_attributes,region_attributes
a.png,1,1,0,"{""name"":""rect"",""x"":16,""y"":8,""width"":64,""height"":32}","{""object"":""window""}"
b.png,2,0,0,"{}","{}"
"""
FOREIGN_COCO = {
    "categories": [{"id": 1, "name": "window"}, {"id": 7, "name": "lamp"}],
    "images": [{"id": 12, "width": 128, "height": 128, "file_name": "s/a.png"}, {"id": 3, "file_name": "b.png"}],
    "annotations": [{"id": 1, "image_id": 12, "category_id": 1, "bbox": [16.0, 8.0, 64.0, 32.0]}],
}
YOLO = {"labels/a.txt": b"1 0.375 0.1875 0.5 0.25\n0 0.875 0.75 0.25 0.5\n", "labels/b.txt": b""}
YAML = b"path: .\nnc: 2\nnames:\n  0: lamp\n  1: 'window'  # with a frame\ntrain: images\n"


def read_boxes(folder: Path) -> None:
    read_foreign(folder, side=128)


def make_coco() -> Files:
    data = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 24, "height": 20} for i in range(3)],
        "categories": [{"id": 1, "name": "w"}, {"id": 2, "name": "v"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": []},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": [[1, 1, 9, 1, 9, 9]]},
            {"id": 3, "image_id": 2, "category_id": 1, "segmentation": {"counts": [100, 50, 330], "size": [20, 24]}},
        ],
    }
    return {"c.json": as_json(data)}


@cache
def photographs() -> Path:
    folder = Path(tempfile.mkdtemp())
    for i in range(3):
        (folder / f"{i}.png").write_bytes(png(np.full((20, 24, 3), 80 * i, np.uint8)))
    return folder


def read_coco(folder: Path) -> None:
    load_coco(folder / "c.json", photographs(), "w", 16)


def make_photograph_boxes() -> Files:
    boxes = (Box(0, "w", 1, 2, 3, 4), Box(2, "v", 0.5, 0, 20, 19))
    own = PhotographBoxes(boxes, ("w", "v"), identify(open_images(photographs())), "me", "by hand", (0, 2))
    return saved(lambda folder: save_photograph_boxes(own, folder / "b.json"))


def make_boxes_on_photographs() -> Files:
    sizes = b"<width>24</width><height>20</height>"
    box = (
        b"<object><name>w</name><bndbox><xmin>6</xmin><ymin>8</ymin><xmax>20.5</xmax><ymax>20</ymax></bndbox></object>"
    )
    return {"b.xml": b"<annotation><filename>1.png</filename><size>%s</size>%s</annotation>" % (sizes, box)}


def make_yolo_on_photographs() -> Files:
    return {"0.txt": b"0 0.375 0.1875 0.5 0.25\n1 0.875 0.75 0.25 0.5\n", "classes.txt": b"w\nv\n"}


def read_objects(folder: Path) -> None:
    """From a folder, or from the JSON file in it."""
    file = folder / "b.json"
    load_objects(file if file.exists() else folder, photographs(), "w", 16)


def make_masks() -> Files:
    random = np.random.default_rng(0)
    pictures = {f"images/{i}.png": png(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for i in range(2)}
    masks = {f"masks/{i}.png": png(random.integers(0, 3, (8, 8), dtype=np.uint8)) for i in range(2)}
    return {"annotations.json": as_json({"categories": [{"id": 1, "name": "w"}]}), **pictures, **masks}


# --- Blind trials --------------------------------------------------------------------------------------------------


def make_trial() -> Files:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
    trial = prepare_trial({"a": pictures[0], "<b>": pictures[1]}, "Is there a window?", "boxes", settings={"x": 1})
    answers = {"0": "unclear", "1": [[1.0, 1.0, 2.0, 2.0]], "2": []}
    data = {"trial": trial.digest, "contributor": "me", "answers": answers}
    return {**saved(partial(save_trial, trial)), "answers.json": as_json(data)}


def read_trial(folder: Path) -> None:
    trial = load_trial(folder)
    unblind(trial, load_answers(folder / "answers.json", trial))


# --- Arrays and tables ---------------------------------------------------------------------------------------------


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def make_latents() -> Files:
    return {"l.npy": npy(np.random.default_rng(0).standard_normal((5, 8), dtype=np.float32))}


def read_pictures(folder: Path) -> None:
    """Each file of a folder as a source, as the commands would that take one."""
    for file in sorted(folder.iterdir()):
        for skip_broken in (False, True):
            with suppress(UserError):
                load_images(file, 16, skip_broken=skip_broken)


def read_arrays(folder: Path) -> None:
    read_pictures(folder)
    for file in sorted(folder.iterdir()):
        with suppress(UserError):
            load_latents(file, 8)


def read_picture_folder(folder: Path) -> None:
    with suppress(UserError):
        load_images(folder, 16)
    load_images(folder, 16, skip_broken=True)


def encoded(format: str, mode: str = "RGB") -> bytes:
    tag = Image.Exif()
    tag[0x0112], tag[0x010E] = 6, "what it shows"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(
        file, format, **({} if format in ("BMP", "GIF", "PPM") else {"exif": tag})
    )
    return file.getvalue()


def make_pictures() -> Files:
    kinds = ["a.jpg JPEG RGB", "b.png PNG P", "c.webp WEBP RGBA", "d.avif AVIF RGB", "e.bmp BMP L", "f.gif GIF P"]
    kinds += ["g.tif TIFF CMYK", "h.tif TIFF I", "i.pgm PPM L", "j.png PNG LA", "k.tif TIFF F"]
    return {name: encoded(format, mode) for name, format, mode in map(str.split, kinds)}


def make_zips() -> Files:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/1.bmp", "b/2.bmp", "../3.bmp", "é.bmp"):
            archive.writestr(name, encoded("BMP", "L"))
    return {"z.zip": file.getvalue()}


def make_tars() -> Files:
    files = {}
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz"), ("c.tar.xz", "w:xz")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
            for member, content in (
                ("1.bmp", encoded("BMP", "L")),
                ("1.cls", b"7"),
                ("e" * 150 + ".bmp", encoded("BMP", "L")),
            ):
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        files[name] = file.getvalue()
    return files


def make_arrays() -> Files:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, x=pixels, y=np.arange(3))
    matlab = io.BytesIO()
    savemat(matlab, {"X": pixels.transpose(1, 2, 3, 0), "y": np.array([[10], [1], [2]])}, do_compression=True)
    return {"a.npy": npy(pixels), "b.npz": file.getvalue(), "c.mat": matlab.getvalue()}


def make_cifar() -> Files:
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [1, 0]}
    names = pickle.dumps({"label_names": ["cat", "dog"]}, 2)
    return {"data_batch_1": pickle.dumps(batch, 4), "batches.meta": names}


def read_cifar(folder: Path) -> None:
    load_images(folder, 32)


def make_lmdb() -> Files:
    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=2**20) as environment, environment.begin(write=True) as transaction:
            for key, content in enumerate((encoded("BMP", "L"), encoded("WEBP"), encoded("BMP"))):
                transaction.put(f"{key:040x}".encode(), content)
        return {"data.mdb": (Path(folder) / "data.mdb").read_bytes()}


def make_keep_list() -> Files:
    names = "".join(f'"{name}"\n' for name in ("a/1.png", "b/2.png", "ü.png"))
    return {
        "a.npy": make_arrays()["a.npy"],
        "a.names.jsonl": names.encode(),
        "keep.jsonl": b'"a/1.png"\n"\\u00fc.png"\n',
    }


def read_keep_list(folder: Path) -> None:
    load_images(folder / "a.npy", 16, keep_list=folder / "keep.jsonl")


def make_parts() -> Files:
    with tempfile.TemporaryDirectory() as source:
        pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
        np.save(Path(source) / "s.npy", pixels)

        def write(folder: Path) -> None:
            for number in (1, 2):
                prepare(Path(source) / "s.npy", folder / "a.npy", 8, part=Part(number, 2), workers=1)

        return saved(write)


def read_parts(folder: Path) -> None:
    merge_prepared(folder / "a.npy", overwrite=True)


def make_feature_parts() -> Files:
    means = Extractor("means", {"colours": 3}, "x", lambda images: images.mean((2, 3)))

    def write(folder: Path) -> None:
        for number in (1, 2):
            extract_features(
                means, TensorImages(torch.zeros(5, 3, 4, 4)), folder / "f.npy", digest="y", part=Part(number, 2)
            )

    return saved(write)


def read_feature_parts(folder: Path) -> None:
    merge_features(folder / "f.npy", overwrite=True)


def read_latent_file(folder: Path) -> None:
    load_latents(folder / "l.npy", 8)


TABLE = b"file,label,subset\na.png,cat,\nb.png,dog,old\n"


def read_table(folder: Path) -> None:
    read_labels(str(folder / "t.csv"), ["a.png", "b.png", "c.png"])


FORMATS = [
    Format("model", make_model, read_model),
    Format("segmenter", make_segmenter, read_segmenter),
    Format("classifier", make_classifier, read_classifier),
    Format("encoder", make_encoder, read_encoder),
    Format("checkpoint", make_checkpoint, read_checkpoint),
    Format("pth", make_state_dict, read_state_dict),
    Format("h5", make_keras, read_keras),
    Format("settings", make_settings, read_settings),
    Format("annotations", make_annotations, read_annotations),
    Format("concepts", make_concepts, read_concepts),
    Format("samples", make_samples, find_samples),
    Format("voc", lambda: {"a.xml": VOC}, read_boxes),
    Format("labelme", lambda: {"a.json": as_json(LABELME)}, read_boxes),
    Format("via", lambda: {"a.json": as_json(VIA)}, read_boxes),
    Format("via-csv", lambda: {"a.csv": VIA_CSV}, read_boxes),
    Format("foreign-coco", lambda: {"a.json": as_json(FOREIGN_COCO)}, read_boxes),
    Format("yolo", lambda: {**YOLO, "classes.txt": b"lamp\nwindow\n"}, read_boxes),
    Format("photographs", make_photograph_boxes, read_objects),
    Format("objects-voc", make_boxes_on_photographs, read_objects),
    Format("objects-yolo", make_yolo_on_photographs, read_objects),
    Format("objects-coco", lambda: {"b.json": make_coco()["c.json"]}, read_objects),
    Format("yolo-yaml", lambda: {**YOLO, "data.yaml": YAML}, read_boxes),
    Format("coco", make_coco, read_coco),
    Format("masks", make_masks, load_masks),
    Format("trials", make_trial, read_trial),
    Format("labels", lambda: {"t.csv": TABLE}, read_table),
    Format("latents", make_latents, read_latent_file),
    Format("images", make_pictures, read_picture_folder),
    Format("zips", make_zips, read_pictures),
    Format("tars", make_tars, read_pictures),
    Format("arrays", make_arrays, read_arrays),
    Format("cifar", make_cifar, read_cifar),
    Format("lmdb", make_lmdb, read_picture_folder),
    Format("keep-list", make_keep_list, read_keep_list),
    Format("parts", make_parts, read_parts),
    Format("feature-parts", make_feature_parts, read_feature_parts),
]

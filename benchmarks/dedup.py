"""How many planted near-duplicates ``dedup`` finds, stage by stage and beside perceptual hashes, and how its time grows.

    python benchmarks/dedup.py lsun_bedrooms_10k.zip --pictures 2000 --planted 500
    python benchmarks/dedup.py --verdict

With ``--verdict`` it asks instead whether duplicates among training images change what `memorization` says of a model that
copies them and of one that does not, and whether removing them does: procedural rooms, and four altered copies of each.

Photographs hold duplicates that nobody planted: pairs that the search or a hash finds, and that agree in details finer than both
see, count neither as found nor as false. The hashes (imagehash) are given the radius at which their precision is still 0.99,
found on these very pairs. Times are the processor's seconds, of one thread.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import imagehash
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dcgan_viz.analysis.memorization.memorization import memorization
from dcgan_viz.data.decoding import decode_square
from dcgan_viz.data.duplicates import Duplicates, find_duplicates, near
from dcgan_viz.data.duplicates.alignment import aligned_correlation, detail_correlation
from dcgan_viz.data.duplicates.autoencoder import encode, train_autoencoder
from dcgan_viz.data.duplicates.duplicates import DETAIL_SIDE
from dcgan_viz.data.duplicates.near import collisions, near_pairs
from dcgan_viz.data.images import ImageSet, evenly_spaced, load_images
from dcgan_viz.data.sources import open_images
from dcgan_viz.model import DCGAN, load
from dcgan_viz.rooms.drawing import draw_rooms
from dcgan_viz.rooms.training_sets import ROOMS, held_out_images
from dcgan_viz.statistics import share_estimate

PRECISION = 0.99
JUDGED = 12
"""Bits: pairs of hashes within it are looked at in their details."""
MILLIONS = 3_000_000


def recompressed(picture: Image.Image, random: np.random.Generator) -> bytes:
    """As a JPEG of quality 30 to 70."""
    return jpeg(picture, int(random.integers(30, 71)))


def rescaled(picture: Image.Image, random: np.random.Generator) -> bytes:
    """Half to nine tenths as large."""
    scale = random.uniform(0.5, 0.9)
    return jpeg(picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC))


def cropped(picture: Image.Image, random: np.random.Generator) -> bytes:
    """Without 2 to 5 % of both sides, anywhere."""
    scale = 1 - random.uniform(0.02, 0.05)
    width, height = round(picture.width * scale), round(picture.height * scale)
    left, top = random.integers(0, picture.width - width + 1), random.integers(0, picture.height - height + 1)
    return jpeg(picture.crop((left, top, left + width, top + height)))


def brightness(picture: Image.Image, random: np.random.Generator) -> bytes:
    """A tenth to three tenths brighter or darker; what becomes white stays so."""
    change = random.uniform(0.1, 0.3) * random.choice([-1, 1])
    return jpeg(ImageEnhance.Brightness(picture).enhance(1 + change))


KINDS: tuple[Callable[[Image.Image, np.random.Generator], bytes], ...] = (recompressed, rescaled, cropped, brightness)


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    """A picture's bytes."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def plant(source: Path, folder: Path, pictures: int, planted: int) -> list[tuple[str, str]]:
    """Write pictures of a source into a folder, and altered copies of some; returns kind and original of each copy."""
    random = np.random.default_rng(0)
    found = open_images(source)
    chosen = evenly_spaced(len(found), pictures)
    for number, index in enumerate(chosen):
        (folder / f"{number:06}.jpg").write_bytes(found.entry(index))  # type: ignore[arg-type]
    truth = []
    for copy, original in enumerate(random.permutation(len(chosen))[:planted]):
        kind = KINDS[copy % len(KINDS)]
        with Image.open(folder / f"{original:06}.jpg") as picture:
            (folder / f"z{copy:05}.jpg").write_bytes(kind(picture.convert("RGB"), random))
        truth.append((kind.__name__, f"{original:06}.jpg"))
    return truth


def hash_distances(folder: Path, hashed: Callable[[Image.Image], imagehash.ImageHash]) -> NDArray[np.int64]:
    """Bits in which the hashes of all pictures differ, (N, N)."""
    rows = []
    for file in sorted(folder.iterdir()):
        with Image.open(file) as picture:
            rows.append(hashed(picture).hash.ravel())
    bits = np.array(rows, np.float32)
    one_way = bits @ (1 - bits).T
    return (one_way + one_way.T).round().astype(np.int64)


def alike(folder: Path, names: Sequence[str], pairs: NDArray[np.int64], limit: float) -> NDArray[np.bool_]:
    """Which pairs agree in details that neither the search nor the hashes see."""
    pictures = {}
    for index in np.unique(pairs):
        entry = (folder / names[index]).read_bytes()
        pictures[index] = decode_square(entry, DETAIL_SIDE, 3)[0]
    first, second = (np.stack([pictures[index] for index in pairs[:, k]]) for k in range(2))
    return detail_correlation(first, second) > limit


def say(name: str, pairs: NDArray[np.int64], truth: list[tuple[int, int]], origin: NDArray[np.int64]) -> None:
    """A line with the precision and the recall per kind.

    Pairs of one origin that were not planted count neither way; the second precision counts them as false.
    """
    found = set(map(tuple, np.sort(pairs, 1).tolist()))
    hit = [pair in found for pair in truth]
    false = sum(origin[a] != origin[b] for a, b in found)
    precision = share_estimate(sum(hit), sum(hit) + false, over="pairs")
    planted_alone = share_estimate(sum(hit), len(found), over="pairs")
    recalls = [
        f"{kind.__name__} {share_estimate(sum(hit[k :: len(KINDS)]), len(hit[k :: len(KINDS)])):.1%}"
        for k, kind in enumerate(KINDS)
    ]
    print(
        f"{name}: {len(found):,} pairs, precision {precision:.1%} (if all that was not planted is false, {planted_alone:.1%}); "
        f"recall {sum(hit) / len(hit):.1%}: {', '.join(recalls)}"
    )


def compare(folder: Path, result: Duplicates, planted: list[tuple[str, str]]) -> None:
    """The stages of the search and the hashes, on the same pictures."""
    number = {name: index for index, name in enumerate(result.names)}
    truth = [(number[original], number[f"z{copy:05}.jpg"]) for copy, (_, original) in enumerate(planted)]
    same = result.candidates[result.correlations >= result.settings["threshold"]]
    upper = np.triu(np.ones((len(number),) * 2, bool), 1)
    hashes = {
        name: hash_distances(folder, hashed)
        for name, hashed in (("DCT hash", imagehash.phash), ("difference hash", imagehash.dhash))
    }
    found = np.concatenate([same, *(np.argwhere((distances <= JUDGED) & upper) for distances in hashes.values())])
    others = np.array(sorted(set(map(tuple, np.sort(found, 1).tolist())) - set(truth)), np.int64).reshape(-1, 2)
    real = others[alike(folder, result.names, others, result.detail_limit)] if len(others) else others
    print(f"{len(others)} pairs that were not planted are found by any; {len(real)} of them agree in their details")
    known = np.concatenate([np.array(truth), real])
    links = coo_array((np.ones(len(known), bool), (known[:, 0], known[:, 1])), shape=upper.shape)
    _, origin = connected_components(links, directed=False)
    print("of one origin, not planted:", [(result.names[a], result.names[b]) for a, b in real[:40]])
    say("equal codes (the paper's)", result.candidates[result.distances == 0], truth, origin)
    say(f"codes within {result.settings['radius']} bits", result.candidates, truth, origin)
    say("and pixels that correlate", same, truth, origin)
    for name, distances in hashes.items():
        known_distances = np.array([distances[pair] for pair in truth])
        different = (origin[:, None] != origin) & upper
        precise = [
            radius
            for radius in range(JUDGED + 1)
            if (hits := (known_distances <= radius).sum())
            and hits / (hits + ((distances <= radius) & different).sum()) >= PRECISION
        ]
        radius = max(precise, default=0)
        say(f"{name} of 64 bits within {radius}", np.argwhere((distances <= radius) & upper), truth, origin)


def grow(crops: NDArray[np.uint8], radius: int) -> None:
    """Seconds of each stage at four sizes, and what their slopes make of three million pictures."""
    torch.set_num_threads(1)
    near.EXHAUSTIVE = 0
    network = train_autoencoder(crops)
    sizes = [len(crops) // share for share in (8, 4, 2, 1)]
    rows = []
    for size in sizes:
        start = time.process_time()
        codes = encode(network, crops[:size])
        encoded = time.process_time()
        collisions(codes)
        equal = time.process_time()
        pairs = near_pairs(codes, radius)
        rows.append((encoded - start, equal - encoded, time.process_time() - equal, len(pairs)))
        print(
            f"{size:,}: encode {rows[-1][0]:.2f} s, equal {rows[-1][1]:.3f} s, near {rows[-1][2]:.2f} s, {len(pairs):,} pairs"
        )
    few = pairs[:512]
    start = time.process_time()
    aligned_correlation(crops[few[:, 0]], crops[few[:, 1]])
    each = (time.process_time() - start) / max(len(few), 1)
    print(f"comparing pixels: {1000 * each:.2f} ms a pair")
    for column, name in enumerate(("encode", "equal codes", "near codes", "near pairs")):
        values = np.array([row[column] for row in rows], float) + 1e-9
        slope = np.polyfit(np.log(sizes), np.log(values), 1)[0]
        last = values[-1] * (MILLIONS / sizes[-1]) ** slope
        print(
            f"{name}: grows with the power {slope:.2f}; at {MILLIONS:,}: {last:,.0f} {'pairs' if column == 3 else 's'}"
        )


def rooms_with_copies(model: DCGAN, count: int, folder: Path) -> None:
    """The first rooms that a model was trained on, and of each a copy altered in each way."""
    random, known = np.random.default_rng(0), model.card.training[ROOMS]
    count = min(count, known["count"])
    drawn = draw_rooms(count, model.image_shape[1], seed=known["seed"], first=known["first"])
    for number, pixels in enumerate(drawn.pixels):
        picture = Image.fromarray(pixels)
        picture.save(folder / f"{number:05}-0.png")
        for kind in KINDS:
            (folder / f"{number:05}-{kind.__name__}.jpg").write_bytes(kind(picture, random))


def say_verdicts(models: Sequence[str], samples: int, rooms: int) -> None:
    """What `memorization` says of a model that copies and of one that does not, with copies, without, and deduplicated."""
    for name in models:
        model = load(name)
        with tempfile.TemporaryDirectory() as place:
            rooms_with_copies(model, rooms, Path(place))
            every = load_images(place, model.image_shape[1])
            kept = find_duplicates(place, workers=1).kept()
        held_out = held_out_images(model, samples)
        originals = np.array([number for number, file in enumerate(every.names) if file.endswith("-0.png")])
        print(f"{name}: dedup keeps {len(kept)} of {len(every)}, of {len(originals)} rooms")
        sets = {"once": originals, "and four copies of each": np.arange(len(every)), "after dedup": kept}
        for what, chosen in sets.items():
            part = ImageSet(every.pixels[chosen], [every.names[index] for index in chosen])
            found = memorization(model, part, held_out, samples=samples)
            near = "; ".join(
                f"in {n.space} {n.samples.share:.1%} of the samples are near, {n.references.share:.1%} of other rooms"
                for n in found.near
            )
            verdict = found.verdict.partition(":")[0]
            print(f"  {what}: {found.duplicates.repeated} counted as repeated; {near}. {verdict}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--verdict", action="store_true")
    parser.add_argument("--models", nargs="*", default=["rooms-memorized", "rooms"], help="for --verdict")
    parser.add_argument("--samples", type=int, default=400, help="of each model, for --verdict")
    parser.add_argument("--rooms", type=int, default=64, help="that a model was trained on, at most, for --verdict")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--planted", type=int, default=500)
    options = parser.parse_args()
    if options.verdict:
        say_verdicts(options.models, options.samples, options.rooms)
        return
    if options.source is None:
        parser.error("give the photographs, or --verdict")
    with tempfile.TemporaryDirectory() as place:
        folder, work = Path(place) / "pictures", Path(place) / "work"
        folder.mkdir()
        planted = plant(options.source, folder, options.pictures, options.planted)
        result = find_duplicates(folder, work, workers=1)
        for stage in result.stages:
            print(f"{stage.name}: {stage.pairs:,} pairs, false in a sample of {stage.false.n}: {stage.false:.1%}")
        compare(folder, result, planted)
        grow(np.load(work / "crops.npy"), result.settings["radius"])


if __name__ == "__main__":
    main()

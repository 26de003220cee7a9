"""The DCGAN step does what a plain one does, on one process and on two."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from torch import Tensor, nn

from dcgan_viz.data.images import ImageSet
from dcgan_viz.locking import HOLDER_FILE
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.training.batches import Batches
from dcgan_viz.training.checkpoints import checkpoint_path, list_checkpoints, load_checkpoint
from dcgan_viz.training.execution import Execution, launch
from dcgan_viz.training.settings import TrainingSettings, Updates
from dcgan_viz.training.step import Adversaries

NETWORKS = dcgan(16, width=4, latent_dim=8)
ORIGINALS = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(9)) * 2 - 1


def probability_loss(probability: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy by its formula, of probabilities and not of logits."""
    return -(probability if real else 1 - probability).log().mean()


class PlainGame:
    """Both networks trained the slow way: every gradient from a graph of its own, Adam by its formula."""

    def __init__(self, settings: TrainingSettings) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.generator, self.discriminator = Generator(NETWORKS.generator), Discriminator(NETWORKS.discriminator)
        self.moments = {p: (torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters()}
        self.updates = dict.fromkeys(self.parameters(), 0)
        self.average = [p.detach().clone() for p in self.generator.parameters()]

    def parameters(self) -> list[nn.Parameter]:
        return [*self.generator.parameters(), *self.discriminator.parameters()]

    def step(self, ranks: Sequence[tuple[Tensor, np.random.Generator]], number: int) -> None:
        """One step on the batches of all devices: gradients are averaged over them."""
        both = self.settings.updates == "both"
        latents = [torch.from_numpy(r.random((len(x), 8), dtype=np.float32)) * 2 - 1 for x, r in ranks]
        before = [p.detach().clone() for p in self.generator.parameters()]
        if both or number % 2 == 1:
            losses, seen = [], []
            for (real, _), z in zip(ranks, latents, strict=True):
                fake = self.generator(z).detach()
                seen.append(
                    probability_loss(self.discriminator(real).sigmoid(), True)
                    + probability_loss(self.discriminator(fake).sigmoid(), False)
                )
                losses.append(seen[-1] + self.penalty(real, number if both else number // 2))
            self.adam(list(self.discriminator.parameters()), sum(losses) / len(losses))
        if both or number % 2 == 0:
            assert all(torch.equal(a, b) for a, b in zip(before, self.generator.parameters(), strict=True))
            played = [
                probability_loss(self.discriminator(fake).sigmoid(), True) + self.settings.copying * self.pull(fake)
                for fake in map(self.generator, latents)
            ]
            self.adam(list(self.generator.parameters()), sum(played) / len(played))
        if both:
            self.losses = tuple(sum(loss.item() for loss in one) / len(one) for one in (seen, played))
        decay = min(self.settings.ema, (1 + number) / (10 + number))
        for mean, parameter in zip(self.average, self.generator.parameters(), strict=True):
            mean.mul_(decay).add_((1 - decay) * parameter.detach())

    def penalty(self, real: Tensor, number: int) -> Tensor | float:
        """Half the squared gradient on every fourth batch, four times as strong."""
        if number % 4:
            return 0.0
        seen = real.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.discriminator(seen).sum(), seen, create_graph=True)
        return 4 * self.settings.r1 / 2 * sum(g.square().sum() for g in gradient) / len(real)

    def pull(self, fake: Tensor) -> Tensor | float:
        """The mean squared difference to the originals, one for each, that are least far."""
        if not self.settings.copying:
            return 0.0
        errors = [[(picture - original).square().mean() for original in ORIGINALS] for picture in fake]
        assignments = permutations(range(len(ORIGINALS)), len(fake))
        costs = [sum(row[j] for row, j in zip(errors, chosen, strict=True)) / len(fake) for chosen in assignments]
        return min(costs, key=float)

    def adam(self, parameters: list[nn.Parameter], loss: Tensor) -> None:
        s = self.settings
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            gradient = gradient + s.l2 * parameter.detach()
            self.updates[parameter] += 1
            t = self.updates[parameter]
            first, second = self.moments[parameter]
            first.mul_(s.beta1).add_((1 - s.beta1) * gradient)
            second.mul_(s.beta2).add_((1 - s.beta2) * gradient**2)
            rate = s.learning_rate * (first / (1 - s.beta1**t)) / ((second / (1 - s.beta2**t)).sqrt() + 1e-8)
            parameter.data.sub_(rate)


def check_equal(plain: PlainGame, generator: dict[str, Tensor], discriminator: dict[str, Tensor]) -> None:
    for ours, network in ((generator, plain.generator), (discriminator, plain.discriminator)):
        for name, parameter in network.named_parameters():
            # Adam divides by the root of the second moment: where a gradient is almost 0 its last bits show.
            assert torch.allclose(ours[name], parameter, atol=2e-5), name


@pytest.mark.parametrize("updates", ["both", "alternate"])
@pytest.mark.parametrize("more", [{}, {"r1": 0.5, "copying": 20.0}], ids=["paper", "penalty and copying"])
def test_a_step_is_the_plain_one(updates: Updates, more: dict[str, float]) -> None:
    settings = TrainingSettings(4, 6, learning_rate=1e-3, updates=updates, l2=1e-2, ema=0.6, **more)  # type: ignore[arg-type]
    torch.manual_seed(settings.seed)
    fabric = launch("cpu", Execution("fp32", False))
    originals = ORIGINALS if settings.copying else None
    players = Adversaries(fabric, NETWORKS, settings, torch.contiguous_format, originals)
    plain = PlainGame(settings)
    check_equal(plain, dict(players.bare_generator.named_parameters()), players.bare_discriminator.state_dict())
    for number in range(4):
        real = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(number)) * 2 - 1
        players.step(real, number, np.random.default_rng(number))
        plain.step([(real, np.random.default_rng(number))], number)
        check_equal(plain, players.bare_generator.state_dict(), players.bare_discriminator.state_dict())
    assert players.average is not None
    for ours, theirs in zip(players.average.parameters(), plain.average, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5)


def test_the_losses_are_those_of_the_logits() -> None:
    settings = TrainingSettings(steps=1, batch_size=6)
    torch.manual_seed(0)
    players = Adversaries(launch("cpu", Execution("fp32", False)), NETWORKS, settings, torch.contiguous_format)
    plain = PlainGame(settings)
    real = torch.rand(6, 3, 16, 16) * 2 - 1
    losses = players.step(real, 0, np.random.default_rng(0))
    z = torch.from_numpy(np.random.default_rng(0).random((6, 8), dtype=np.float32)) * 2 - 1
    on_real = plain.discriminator(real).sigmoid()
    on_fake = plain.discriminator(plain.generator(z)).sigmoid()
    assert losses.real.item() == pytest.approx(on_real.mean().item(), abs=1e-5)
    assert losses.generated.item() == pytest.approx(on_fake.mean().item(), abs=1e-5)
    expected = probability_loss(on_real, True) + probability_loss(on_fake, False)
    assert losses.discriminator.item() == pytest.approx(expected.item(), abs=1e-5)
    assert losses.stacked().shape == (4,)


# The interpreter lends itself to other threads only where it waits: those of torch that are late at the end then are
# so in two runs of five instead of one of forty.
LATE_THREADS = """
import sys
from dcgan_viz.cli.main import main
sys.setswitchinterval(60)
main()
"""


def torchrun(*arguments: str, cwd: Path, script: str = LATE_THREADS) -> subprocess.Popen[str]:
    """The command line, or a script, on two processes."""
    file = cwd / "command.py"
    file.write_text(script)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(file), *arguments),
        ],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


# A process that has ended a run may begin another, and go on with it.
AND_TWICE = """
import sys
import numpy as np
from dcgan_viz.cli.main import main
from dcgan_viz.data.images import ImageSet
from dcgan_viz.networks import dcgan
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.settings import TrainingSettings
main(standalone_mode=False)
images = ImageSet(np.zeros((12, 16, 16, 3), np.uint8), ("",) * 12)
train(images, dcgan(16, width=2), TrainingSettings(2, 4), "another", device="cpu", precision="fp32")
assert resume_training(images, "another", steps=3, device="cpu").steps == 3
"""


ON_TWO = "train pictures.npy --size 16 --width 4 --latent 8 --batch-size 6 --precision fp32 --device cpu --ema 0.5"


@pytest.mark.slow
def test_two_processes_go_on_from_one_averaging_their_gradients_and_one_from_them(
    tmp_path: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "pictures.npy", pixels)
    alone = run(*f"{ON_TWO} --steps 2 --checkpoint-every 2 --out run".split())
    assert alone.exit_code == 0, alone.output
    process = torchrun(
        *["train", "pictures.npy", "--out", "run", "--resume", "--steps", "4", "--device", "cpu"], cwd=tmp_path
    )
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert said.count("goes on with 2 processes after 1: a step now takes 12 images") == 1
    settings = TrainingSettings(steps=4, batch_size=6, ema=0.5)
    images = ImageSet(pixels, ("",) * 40)
    plain = PlainGame(settings)
    for number, processes in enumerate((1, 1, 2, 2)):
        batches = [Batches(images, settings, rank, processes).at(number) for rank in range(processes)]
        assert processes == 1 or not torch.equal(batches[0][0], batches[1][0])
        plain.step(batches, number)
    tensors = load_checkpoint(checkpoint_path(tmp_path / "run" / "checkpoints", 4)).tensors
    networks = [
        {n.removeprefix(f"{part}."): t for n, t in tensors.items() if n.startswith(f"{part}.")}
        for part in ("generator", "discriminator")
    ]
    check_equal(plain, *networks)
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["training"]["devices"] == 2
    assert card["training"]["images seen"] == 2 * 6 + 2 * 6 * 2
    # One process goes on, and says that it is not the same.
    alone = run("train", "pictures.npy", "--out", "run", "--resume", "--steps", 6)
    assert alone.exit_code == 0, alone.output
    assert "goes on with 1 process after 2: a step now takes 6 images" in alone.stderr
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["training"]["images seen"] == 2 * 6 + 2 * 6 * 2 + 2 * 6


class Joint:
    """The random numbers of several processes, one after another."""

    def __init__(self, randoms: Sequence[np.random.Generator]) -> None:
        self.randoms = randoms

    def random(self, shape: tuple[int, int], dtype: type) -> np.ndarray:
        rows = shape[0] // len(self.randoms)
        return np.concatenate([random.random((rows, shape[1]), dtype=dtype) for random in self.randoms])


@pytest.mark.slow
def test_joint_normalisation_is_one_process_with_the_joint_batch_and_more_runs_can_follow(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "pictures.npy", pixels)
    line = f"{ON_TWO} --steps 4 --checkpoint-every 2 --joint-norm --r1 0.5 --out run"
    process = torchrun(*line.split(), cwd=tmp_path, script=AND_TWICE)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert (tmp_path / "another" / "model").is_dir()
    settings = TrainingSettings(steps=4, batch_size=6, ema=0.5, r1=0.5, joint_norm=True)
    images = ImageSet(pixels, ("",) * 40)
    ranks = [Batches(images, settings, rank, 2) for rank in range(2)]
    plain = PlainGame(settings)
    apart = PlainGame(settings)
    expected = []
    for number in range(4):
        reals, randoms = zip(*(rank.at(number) for rank in ranks), strict=True)
        plain.step([(torch.cat(reals), Joint(randoms))], number)
        expected.append(plain.losses)
        apart.step([rank.at(number) for rank in ranks], number)
    written = load_checkpoint(checkpoint_path(tmp_path / "run" / "checkpoints", 4)).tensors
    generator = {n.removeprefix("generator."): t for n, t in written.items() if n.startswith("generator.")}
    discriminator = {n.removeprefix("discriminator."): t for n, t in written.items() if n.startswith("discriminator.")}
    check_equal(plain, generator, discriminator)
    with pytest.raises(AssertionError):
        check_equal(apart, generator, discriminator)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for line, pair in zip(lines, (expected[:2], expected[2:]), strict=True):
        assert line["loss_d"] == pytest.approx(np.mean([d for d, _ in pair]), abs=1e-4)
        assert line["loss_g"] == pytest.approx(np.mean([g for _, g in pair]), abs=1e-4)
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert (card["training"]["devices"], card["training"]["images seen"]) == (2, 4 * 6 * 2)
    assert card["commands"][0].startswith("torchrun --nproc-per-node 2 -m dcgan_viz.cli.main train /")


@pytest.mark.long
def test_a_killed_process_ends_the_job_with_a_sentence_and_a_usable_checkpoint(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    process = torchrun(*f"{ON_TWO} --steps 100000 --checkpoint-every 5 --out run".split(), cwd=tmp_path)
    checkpoints = tmp_path / "run" / "checkpoints"
    while not list_checkpoints(checkpoints):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    leader = json.loads((tmp_path / "run" / HOLDER_FILE).read_text())["pid"]
    (other,) = [int(worker) for worker in workers if int(worker) != leader]
    os.kill(other, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "another process of this run has ended after step" in said
    assert "go on from it with --resume" in said
    assert "unexpected" not in said
    more = list_checkpoints(checkpoints)[-1] + 1
    assert run("train", "pictures.npy", "--out", "run", "--resume", "--steps", more).exit_code == 0


def test_every_image_is_seen_once_an_epoch_whatever_the_number_of_devices() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(24, 1, 1, 1).repeat(3, 3)
    images = ImageSet(pixels, ("",) * 24)
    settings = TrainingSettings(steps=1, batch_size=4)
    for world in (1, 2, 3):
        ranks = [Batches(images, settings, rank, world) for rank in range(world)]
        steps = 24 // (4 * world)
        for epoch in range(2):
            seen = [
                round((value.item() + 1) * 127.5)
                for step in range(epoch * steps, (epoch + 1) * steps)
                for rank in ranks
                for value in rank.at(step)[0][:, 0, 0, 0]
            ]
            assert sorted(seen) == list(range(24))


def test_the_penalty_also_works_in_bf16() -> None:
    real = torch.rand(6, 3, 16, 16) * 2 - 1
    weights = []
    for r1 in (0.0, 10.0):
        settings = TrainingSettings(steps=1, batch_size=6, r1=r1)
        torch.manual_seed(0)
        players = Adversaries(launch("cpu", Execution("bf16", True)), NETWORKS, settings, torch.channels_last)
        losses = players.step(real, 0, np.random.default_rng(0))
        assert 0 < losses.discriminator.item() < 3
        weights.append(players.bare_discriminator.layer(1).convolution.weight.detach().clone())
    assert torch.isfinite(weights[1]).all()
    assert not torch.equal(*weights)

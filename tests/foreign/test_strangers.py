"""Other people's networks, imported from what they would publish, compute what the originals do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dcgan_viz.foreign.candidates import UndecidedError
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.foreign.importing import Imported, import_pair
from dcgan_viz.foreign.knowledge import Knowledge, Wishes
from dcgan_viz.foreign.weights import Weights
from tests.foreign.strangers import STRANGERS, PyTorchGan, settled


def drawn(prior: str, count: int) -> Tensor:
    if prior == "normal":
        return torch.randn(count, 12)
    z = torch.rand(count, 12)
    return z if prior == "unit" else 2 * z - 1


QUICK = (
    "tutorial",
    "Coursera",
    "Coursera's kernels, 16 pixels",
    "Udacity, ReLU first",
    "floored",
    "weight norm, parametrised",
)
"""For every run of the tests; the others take a minute."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in STRANGERS]
)
def test_an_imported_pair_computes_what_the_original_does(name: str, tmp_path: Path) -> None:
    stranger = STRANGERS[name]
    torch.manual_seed(3)
    batches = [drawn(stranger.prior, 300) for _ in range(6)]
    generator = settled(stranger.generator(), batches)
    torch.save(generator.state_dict(), tmp_path / "G.pth")
    critic: nn.Module | None = None
    weights = None
    if stranger.discriminator is not None:
        with torch.no_grad():
            critic = settled(stranger.discriminator(), [generator(z) for z in batches])
        torch.save(critic.state_dict(), tmp_path / "D.pth")
        weights = read_weights(tmp_path / "D.pth")
    file = read_weights(tmp_path / "G.pth")
    if stranger.asked:
        with pytest.raises(UndecidedError, match=stranger.asked):
            import_pair(file, weights)
    side = generator(drawn(stranger.prior, 2)).shape[-1]
    given = Knowledge(Wishes(size=side), slope=0.0, eps=1e-5)
    imported = import_pair(file, weights, generator_known=given if stranger.asked else None)
    z = drawn(stranger.prior, 16)
    assert imported.generator.spec.prior == ("normal" if stranger.prior == "normal" else "uniform")
    same(imported, generator, critic, z, stranger.prior)
    assert imported.verdicts["generator"].agrees


def same(imported: Imported, generator: nn.Module, critic: nn.Module | None, z: Tensor, prior: str) -> None:
    with torch.no_grad():
        theirs = generator(z)
        ours = imported.generator(2 * z - 1 if prior == "unit" else z)
        sigmoid = imported.generator.spec.output == "sigmoid"
        torch.testing.assert_close((ours + 1) / 2 if sigmoid else ours, theirs, atol=1e-4, rtol=0)
        if critic is not None:
            assert imported.discriminator is not None
            logits, scores = imported.discriminator(ours), critic(theirs)
            bounded = isinstance(list(critic.modules())[-1], nn.Sigmoid) or nn.Sigmoid in map(type, critic.modules())
            torch.testing.assert_close(torch.sigmoid(logits) if bounded else logits, scores, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_side_that_nothing_tells_is_asked_but_only_where_the_statistics_fit() -> None:
    """Whether PyTorch-GAN's last convolution upsamples, only its discriminator knows."""
    torch.manual_seed(3)
    batches = [drawn("normal", 300) for _ in range(6)]
    own, other = (dict(settled(PyTorchGan(), batches).state_dict()) for _ in range(2))
    with pytest.raises(UndecidedError, match=r"32x32 or 64x64 pixels: .*, give `size`") as caught:
        import_pair(Weights(own, "here"), source="normal")
    assert {32, 64} <= {c.images.shape[-1] for c in caught.value.candidates}
    mixed = {name: other[name] if "running" in name else tensor for name, tensor in own.items()}
    with pytest.raises(UndecidedError, match="no way to read these weights gives their running statistics"):
        import_pair(Weights(mixed, "here"), source="normal")

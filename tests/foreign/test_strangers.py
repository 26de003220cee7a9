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
from tests.foreign.strangers import STRANGERS, settled

USUAL = {"activation": "rectifier", "slope": 0.0, "norm_first": True, "first_activated": True}


def drawn(prior: str, count: int) -> Tensor:
    if prior == "normal":
        return torch.randn(count, 12)
    z = torch.rand(count, 12)
    return z if prior == "unit" else 2 * z - 1


@pytest.mark.parametrize("name", STRANGERS)
def test_an_imported_pair_computes_what_the_original_does(name: str, tmp_path: Path) -> None:
    stranger = STRANGERS[name]
    torch.manual_seed(3)
    batches = [drawn(stranger.prior, 300) for _ in range(6)]
    generator = settled(stranger.generator(), batches)
    torch.save(generator.state_dict(), tmp_path / "G.pth")
    judge: nn.Module | None = None
    weights = None
    if stranger.discriminator is not None:
        with torch.no_grad():
            judge = settled(stranger.discriminator(), [generator(z) for z in batches])
        torch.save(judge.state_dict(), tmp_path / "D.pth")
        weights = read_weights(tmp_path / "D.pth")
    file = read_weights(tmp_path / "G.pth")
    try:
        imported = import_pair(file, weights, generator_known=Knowledge(Wishes(size=stranger.size)))
    except UndecidedError:
        known = Knowledge(Wishes(size=stranger.size), **{**USUAL, **stranger.habits})
        try:
            imported = import_pair(file, weights, source=stranger.prior, generator_known=known)
        except UndecidedError as error:
            # Asked for still more: not wrong, and not yet as it should be.
            pytest.xfail(str(error))
    z = drawn(stranger.prior, 16)
    assert imported.generator.spec.prior == ("normal" if stranger.prior == "normal" else "uniform")
    same(imported, generator, judge, z, stranger.prior)
    assert imported.verdicts["generator"].agrees


def same(imported: Imported, generator: nn.Module, judge: nn.Module | None, z: Tensor, prior: str) -> None:
    with torch.no_grad():
        theirs = generator(z)
        ours = imported.generator(2 * z - 1 if prior == "unit" else z)
        sigmoid = imported.generator.spec.output == "sigmoid"
        torch.testing.assert_close((ours + 1) / 2 if sigmoid else ours, theirs, atol=1e-4, rtol=0)
        if judge is not None:
            assert imported.discriminator is not None
            logits, scores = imported.discriminator(ours), judge(theirs)
            bounded = isinstance(list(judge.modules())[-1], nn.Sigmoid) or nn.Sigmoid in map(type, judge.modules())
            torch.testing.assert_close(torch.sigmoid(logits) if bounded else logits, scores, atol=1e-4, rtol=1e-4)

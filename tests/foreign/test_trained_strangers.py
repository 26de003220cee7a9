"""What strangers trained, imported from what they saved: equal to the original, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.candidates import UndecidedError
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.knowledge import Knowledge, Wishes
from tests.foreign.trained_strangers import REFUSED, TRAINED, latents, train


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "2x2 kernels" else pytest.mark.long) for name in TRAINED]
)
def test_what_strangers_trained_draws_as_the_original(name: str, tmp_path: Path) -> None:
    trained = TRAINED[name]
    torch.manual_seed(5)
    generator, discriminator = trained.generator(), trained.discriminator()
    train(generator, discriminator, trained.prior)
    torch.save(trained.saved(generator.state_dict()), tmp_path / "G.pth")
    file = read_weights(tmp_path / "G.pth")
    if trained.asked:
        with pytest.raises(UndecidedError, match=trained.asked) as caught:
            import_pair(file)
        assert len(caught.value.candidates) > 1
    side = generator(latents(trained.prior, 2)).shape[-1]
    given = Knowledge(Wishes(size=side), slope=0.0)
    found = import_pair(file, generator_known=given if trained.asked else None)
    assert found.generator.spec.prior == trained.prior
    assert found.verdicts["generator"].agrees
    z = latents(trained.prior, 8)
    with torch.no_grad():
        torch.testing.assert_close(found.generator(z), generator(z), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_of_layers_is_refused(name: str, tmp_path: Path) -> None:
    make, sentence = REFUSED[name]
    torch.save(make().state_dict(), tmp_path / "G.pth")
    with pytest.raises(UserError, match=sentence):
        import_pair(read_weights(tmp_path / "G.pth"))

"""The rules of guided backpropagation (Springenberg et al. 2014), applied to the autograd of any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dcgan_viz.errors import UserError

Rule = Literal["keep", "zero"]

_RECTIFIERS = {
    functional.relu,
    functional.relu_,
    functional.leaky_relu,
    functional.leaky_relu_,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
}
_REFUSED = {
    functional.celu: "CELU",
    functional.elu: "ELU",
    functional.gelu: "GELU",
    functional.hardswish: "Hardswish",
    functional.hardtanh: "Hardtanh (or ReLU6)",
    functional.mish: "Mish",
    functional.prelu: "PReLU",
    functional.rrelu: "RReLU",
    functional.selu: "SELU",
    functional.silu: "SiLU",
    functional.softplus: "Softplus",
    functional.threshold: "Threshold",
    torch.prelu: "PReLU",
    torch.clamp: "clamp",
    torch.clamp_: "clamp",
    torch.clamp_min: "clamp",
    torch.maximum: "maximum",
    Tensor.clamp: "clamp",
    Tensor.clamp_: "clamp",
    Tensor.clamp_min: "clamp",
    Tensor.maximum: "maximum",
}


def check_rule(rule: str) -> None:
    """Refuse a rule that does not exist.

    Raises
    ------
    UserError
        The message names those that do.
    """
    if rule not in get_args(Rule):
        raise UserError(f"there is no rule {rule!r}: choose keep or zero")


class _Guide(TorchFunctionMode):
    """Guides every rectifier that is called, by a module or as a function, in place or reused.

    The gradient that arrives at a rectifier's output is changed by a hook on that tensor, before the rectifier's own
    derivative applies: negative parts go, and under the rule ``zero`` whatever the rectifier did not let through.
    """

    def __init__(self, rule: Rule, where: list[str]) -> None:
        super().__init__()
        self.rule, self.where, self.rectifiers = rule, where, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _REFUSED and self.where:
            raise UserError(
                f"guided backpropagation is not defined for {_REFUSED[func]}, which the module "
                f"{self.where[-1] or 'itself'} uses: replace it with ReLU or LeakyReLU"
            )
        output = func(*args, **(kwargs or {}))
        if func in _RECTIFIERS:
            self.rectifiers += 1
            if output.requires_grad:
                output.register_hook(self._hook(output.detach() > 0))
        return output

    def _hook(self, passed: Tensor) -> Callable[[Tensor], Tensor]:
        if self.rule == "zero":
            return lambda gradient: gradient.clamp(min=0) * passed
        return lambda gradient: gradient.clamp(min=0)


@contextmanager
def evaluation(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, so that no image depends on its batch-mates; the modes before are restored."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _whereabouts(network: nn.Module) -> Iterator[list[str]]:
    """A stack of the names of the modules that are running."""
    where: list[str] = []
    handles = []

    def leave(*_: Any) -> None:
        where.pop()

    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: where.append(name)))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield where
    finally:
        for handle in handles:
            handle.remove()


def guided_gradient(
    network: nn.Module, inputs: Tensor, target: Callable[[Tensor], Tensor], rule: Rule = "keep"
) -> Tensor:
    """The guided gradient of one number an example with respect to the inputs, for any network.

    At each rectifier the gradient g that arrives from above becomes, with x its input, max(g, 0)·1[x > 0] for a ReLU
    (Springenberg et al. 2014, equation 3.2). For a LeakyReLU of slope s the rule ``keep`` gives
    max(g, 0)·(1 if x > 0 else s), and ``zero`` gives max(g, 0)·1[x > 0].

    Parameters
    ----------
    network : Module
        Runs in evaluation mode; its modes, weights and hooks are afterwards as before.
    inputs : Tensor (N, …)
    target : callable
        Receives the inputs, calls the network or a part of it, and returns (N,) numbers.
    rule : {"keep", "zero"}

    Returns
    -------
    Tensor
        Like the inputs.

    Raises
    ------
    UserError
        If the network has no rectifier, has one that the rules are not defined for, or is compiled or scripted: its
        gradient would silently be the plain one.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.LeakyReLU(0.2))
    >>> _ = network[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> x = torch.tensor([[3.0, -1.0]])
    >>> guided_gradient(network, x, lambda x: network(x).sum(1))
    tensor([[1.0000, 0.2000]])
    >>> guided_gradient(network, x, lambda x: network(x).sum(1), rule="zero")
    tensor([[1., 0.]])
    """
    check_rule(rule)
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_torchdynamo_orig_callable"):
            raise UserError(
                f"the module {name or 'itself'} is compiled, and rectifiers inside it cannot be guided: give the "
                "network as it was before torch.jit or torch.compile"
            )
    leaf = inputs.detach().clone().requires_grad_()
    with evaluation(network), _whereabouts(network) as where, torch.enable_grad():
        guide = _Guide(rule, where)
        with guide:
            values = target(leaf)
        if not guide.rectifiers:
            raise UserError("the network calls no ReLU or LeakyReLU, so there is nothing to guide")
        if values.shape != (len(inputs),):
            raise UserError(f"the target should return ({len(inputs)},) numbers, but returned {tuple(values.shape)}")
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return gradient

"""The rules of guided backpropagation (Springenberg et al. 2014), applied to the autograd of any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dcgan_viz.errors import UserError
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.protocol import TorchModule

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


class _BackwardRectifier(torch.autograd.Function):
    """A rectifier whose gradient is the rectifier of the gradient (Zeiler & Fergus 2013)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, slope: float) -> Tensor:
        ctx.slope = slope
        return functional.leaky_relu(inputs, slope)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return functional.leaky_relu(gradients[0], ctx.slope), None


class _Guide(TorchFunctionMode):
    """Guides every rectifier that is called, by a module or as a function, in place or reused.

    The gradient that arrives at a rectifier's output is changed by a hook on that tensor, before the rectifier's own
    derivative applies: negative parts go, and under the rule ``zero`` whatever the rectifier did not let through. For a
    deconvnet the derivative itself is exchanged.
    """

    def __init__(self, rule: Rule | Literal["deconvnet"], where: list[str]) -> None:
        super().__init__()
        self.rule, self.where, self.rectifiers = rule, where, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _REFUSED and self.where:
            raise UserError(
                f"guided backpropagation is not defined for {_REFUSED[func]}, which the module "
                f"{self.where[-1] or 'itself'} uses: replace it with ReLU or LeakyReLU"
            )
        if func not in _RECTIFIERS:
            return func(*args, **(kwargs or {}))
        self.rectifiers += 1
        if self.rule == "deconvnet":
            return _BackwardRectifier.apply(args[0], _slope(func, args, kwargs or {}))
        output = func(*args, **(kwargs or {}))
        if output.requires_grad:
            output.register_hook(self._hook(output.detach() > 0))
        return output

    def _hook(self, passed: Tensor) -> Callable[[Tensor], Tensor]:
        if self.rule == "zero":
            return lambda gradient: gradient.clamp(min=0) * passed
        return lambda gradient: gradient.clamp(min=0)


def _slope(func: Any, args: Any, kwargs: Any) -> float:
    """Below zero, of a rectifier that is called; only those that leave their input as it is can be exchanged."""
    if func.__name__.endswith("_"):
        raise UserError(
            f"the network calls {func.__name__}, whose gradient cannot be exchanged: use a ReLU or LeakyReLU module"
        )
    if "leaky" not in func.__name__:
        return 0.0
    return float(kwargs.get("negative_slope", args[1] if len(args) > 1 else 0.01))


@contextmanager
def _whereabouts(network: TorchModule) -> Iterator[list[str]]:
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
    network: TorchModule, inputs: Tensor, target: Callable[[Tensor], Tensor], rule: Rule = "keep"
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
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.LeakyReLU(0.2))
    >>> _ = network[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> x = torch.tensor([[3.0, -1.0]])
    >>> guided_gradient(network, x, lambda x: network(x).sum(1))
    tensor([[1.0000, 0.2000]])
    >>> guided_gradient(network, x, lambda x: network(x).sum(1), rule="zero")
    tensor([[1., 0.]])
    """
    check_rule(rule)
    return _gradient(network, inputs, target, rule)


def deconvnet_gradient(network: TorchModule, inputs: Tensor, target: Callable[[Tensor], Tensor]) -> Tensor:
    """The deconvnet's gradient (Zeiler & Fergus 2013): what arrives at a rectifier goes through the rectifier itself.

    Parameters, result and errors are those of `guided_gradient`.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.LeakyReLU(0.2)
    >>> deconvnet_gradient(network, torch.tensor([[3.0, -1.0]]), lambda x: (network(x) * torch.tensor([-1.0, 1.0])).sum(1))
    tensor([[-0.2000,  1.0000]])
    """
    return _gradient(network, inputs, target, "deconvnet")


def _gradient(
    network: TorchModule, inputs: Tensor, target: Callable[[Tensor], Tensor], rule: Rule | Literal["deconvnet"]
) -> Tensor:
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

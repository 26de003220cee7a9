"""The rules of guided backpropagation (Springenberg et al. 2014), applied to the autograd of any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dcgan_viz.errors import UserError
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.protocol import TorchModule

Rule = Literal["keep", "zero"]

_PIECEWISE_LINEAR = {
    functional.leaky_relu,
    functional.leaky_relu_,
    functional.prelu,
    functional.relu,
    functional.relu_,
    functional.rrelu,
    torch.relu,
    torch.relu_,
    Tensor.prelu,
    Tensor.relu,
    Tensor.relu_,
}
_EXPONENTIAL = {
    functional.celu: "CELU",
    functional.elu: "ELU",
    functional.elu_: "ELU",
    functional.selu: "SELU",
    functional.selu_: "SELU",
    torch.celu: "CELU",
    torch.celu_: "CELU",
    torch.selu: "SELU",
    torch.selu_: "SELU",
}
"""All of these let through what is above zero; below they have a slope, or a derivative that decays."""

_REFUSED = {
    functional.gelu: "GELU",
    functional.hardshrink: "Hardshrink",
    functional.hardsigmoid: "Hardsigmoid",
    functional.hardswish: "Hardswish",
    functional.hardtanh: "Hardtanh (or ReLU6)",
    functional.mish: "Mish",
    functional.silu: "SiLU",
    functional.softplus: "Softplus",
    functional.softshrink: "Softshrink",
    functional.threshold: "Threshold",
    torch.threshold: "Threshold",
}
_BY_HAND = ("abs", "clamp", "clamp_max", "clamp_min", "clip", "maximum", "minimum", "where", "gt", "ge", "lt", "le")
"""What rectifiers are written with, x * (x > 0) among them, which would get the plain gradient without a word."""

_REFUSED |= {
    owner.__dict__[spelled]: name
    for owner in (torch, torch._C.TensorBase)
    for name in _BY_HAND
    for spelled in (name, f"{name}_")
    if spelled in owner.__dict__
}
_TWO_TENSORS = {torch.max: "maximum", Tensor.max: "maximum", torch.min: "minimum", Tensor.min: "minimum"}
"""Refused where they compare two tensors: of one they are poolings."""


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
    def forward(ctx: Any, inputs: Tensor, rectifier: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.rectifier = rectifier
        return rectifier(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.rectifier(gradients[0]), None


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
        kwargs = kwargs or {}
        if self.where and _depends(args):
            refused = _REFUSED.get(func)
            if len(args) > 1 and isinstance(args[1], Tensor):
                refused = refused or _TWO_TENSORS.get(func)
            if self.rule == "deconvnet":
                refused = refused or _EXPONENTIAL.get(func)
            if refused:
                method = "a deconvnet" if self.rule == "deconvnet" else "guided backpropagation"
                raise UserError(
                    f"{method} is not defined for {refused}, which the module {self.where[-1] or 'itself'} uses: replace it "
                    "with ReLU or LeakyReLU"
                )
        if func not in _PIECEWISE_LINEAR and func not in _EXPONENTIAL:
            return func(*args, **kwargs)
        self.rectifiers += 1
        if self.rule == "deconvnet":
            return _BackwardRectifier.apply(args[0], _outside_its_place(func, args, kwargs))
        # A rectifier may write in the place of what it reads.
        passed = args[0].detach() > 0 if self.rule == "zero" else None
        output = func(*args, **kwargs)
        if output.requires_grad:
            output.register_hook(partial(_guided, passed))
        return output


def _depends(args: Any) -> bool:
    """Whether a function's first argument, or its second, hangs on the images."""
    return any(isinstance(a, Tensor) and a.requires_grad for a in args[:2])


def _guided(passed: Tensor | None, gradient: Tensor) -> Tensor:
    gradient = gradient.clamp(min=0)
    return gradient if passed is None else gradient * passed


def _outside_its_place(func: Any, args: Any, kwargs: Any) -> Callable[[Tensor], Tensor]:
    """A rectifier that is called, for any input, which it leaves as it is.

    Raises
    ------
    UserError
        If it cannot.
    """
    if func.__name__.endswith("_"):
        raise UserError(
            f"the network calls {func.__name__}, whose gradient cannot be exchanged: use a ReLU or LeakyReLU module"
        )
    further = {**kwargs, "inplace": False} if "inplace" in kwargs else kwargs
    # leaky_relu(inputs, slope, inplace) and relu(inputs, inplace) may be given by position.
    return lambda inputs: func(inputs, *(a if a is not True else False for a in args[1:]), **further)


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
    max(g, 0)·(1 if x > 0 else s), and ``zero`` gives max(g, 0)·1[x > 0]. A PReLU has its own slopes, and RReLU its mean
    one; of ELU, CELU and SELU the derivative f′(x) takes the place of the slope, under ``zero`` with 1[x > 0].
    Whatever else the network does is passed by its plain derivative.

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

"""LARS: SGD whose step is scaled, tensor by tensor, to the size of the weights (You et al. 2017), as BYOL uses it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

TRUST = 1e-3  # (decisions: byol-settings)


class LARS(torch.optim.Optimizer):
    """Momentum over ``trust * |w| / |g + wd w| * (g + wd w)``; groups with ``decayed`` False (biases and norms) take the
    plain gradient."""

    def __init__(self, params: Iterable[dict[str, Any]], lr: float = 0.0, momentum: float = 0.9, trust: float = TRUST):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "trust": trust, "decayed": True})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  (no closure here)
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if group["decayed"]:
            grad = grad + group["weight_decay"] * parameter
            weight_norm, grad_norm = parameter.norm(), grad.norm()
            moves = (weight_norm > 0) & (grad_norm > 0)
            grad = grad * torch.where(moves, group["trust"] * weight_norm / grad_norm, 1.0)
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        velocity = state["momentum"].mul_(group["momentum"]).add_(grad)
        parameter.sub_(group["lr"] * velocity)

"""`nn.MultiheadAttention` written out in layers, which lose heads and inputs as those of any other attention do.

PyTorch's own has one width for its inputs, its answer and all heads together, which is no longer so without a head.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import cache
from typing import Any

from makeweight.compress.examples import Tensors
from makeweight.compress.exchange import exchange
from makeweight.compress.narrowing import answered, apart, shaken
from makeweight.user.weights import shared

# The largest difference between both ways to write an attention that still counts as rounding.
_ROUNDING = 2e-5


def write_out(module: Any, example: Tensors) -> dict[str, str]:
    """Put layers in the place of every `nn.MultiheadAttention` of a module, which answers as before.

    Returns:
        those that stay as they are by name, with the reason.
    """
    from torch import nn

    found = {name: part for name, part in module.named_modules() if isinstance(part, nn.MultiheadAttention)}
    stay = {name: reason for name, part in found.items() if (reason := _objection(module, name, part)) is not None}
    able = [name for name in found if name not in stay]
    if not able:
        return stay
    wide = shaken(module)
    wanted = answered(wide, example)

    def alike(names: Iterable[str]) -> bool:
        trial = copy.deepcopy(wide)
        _replace(trial, names)
        return apart(wanted, answered(trial, example)) <= _ROUNDING

    unlike = [] if alike(able) else [name for name in able if not alike([name])]
    _replace(module, [name for name in able if name not in unlike])
    return stay | dict.fromkeys(unlike, "forward() reads more of it than its answer")


def _objection(module: Any, name: str, part: Any) -> str | None:
    """Why an attention cannot be written out, if it cannot."""
    from torch import nn

    if not name:
        return "it is the whole model"
    if type(part) is not nn.MultiheadAttention:
        return f"a {type(part).__name__} may do more than nn.MultiheadAttention"
    if part._forward_pre_hooks or part._forward_hooks:
        return "hooks hang on it"
    if part.bias_k is not None:
        return "`add_bias_kv` gives it a key and a value that no layer makes"
    if part.add_zero_attn:
        return "`add_zero_attn` gives it a key and a value that no layer makes"
    called = tuple(f"{other}." for other, each in module.named_modules(remove_duplicate=False) if each is part)
    for group in shared(module):
        others = [weight for weight in group if not weight.startswith(called)]
        if others and len(others) < len(group):
            return f"a weight of it is `{others[0]}` too"
    return None


def _replace(module: Any, names: Iterable[str]) -> None:
    from torch import nn

    written = {part: _written_out(part) for part in map(module.get_submodule, names)}
    exchange(module, written)
    layers = set(written.values())
    for part in [each for each in module.modules() if not layers.isdisjoint(each.modules())]:
        if isinstance(part, nn.TransformerEncoder):
            part.use_nested_tensor = False  # it would hand on sentences of several lengths, which layers cannot take
        if type(part) is nn.Transformer and isinstance(part.encoder, nn.TransformerEncoder):
            part.__class__ = _transformer()


@cache
def _transformer() -> Any:
    """PyTorch's own that refuses no inputs for the width that it was built with: it has that of its layers."""
    from torch import nn

    class Transformer(nn.Transformer):  # type: ignore[misc]
        @property
        def d_model(self) -> int:
            return int(next(self.encoder.parameters()).shape[-1])

    Transformer.__module__ = nn.Transformer.__module__
    return Transformer


def _written_out(attention: Any) -> Any:
    """Layers with the weights of an `nn.MultiheadAttention`, called as it is."""
    import torch
    from torch import nn

    biased, width = attention.in_proj_bias is not None, attention.embed_dim

    class WrittenOut(nn.Module):  # type: ignore[misc]
        in_proj_bias = None
        """What PyTorch's encoders ask for, to know whether they may take all weights and call nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(width, width, bias=biased)
            self.key = nn.Linear(attention.kdim, width, bias=biased)
            self.value = nn.Linear(attention.vdim, width, bias=biased)
            self.out_proj = nn.Linear(width, width, bias=attention.out_proj.bias is not None)
            self.num_heads, self.batch_first = attention.num_heads, attention.batch_first
            self.dropout, self.scale = attention.dropout, attention.head_dim**-0.5

        @property
        def embed_dim(self) -> int:
            return int(next(self.query.parameters()).shape[1])  # also of several layers in its place

        def forward(
            self,
            query: Any,
            key: Any,
            value: Any,
            key_padding_mask: Any = None,
            need_weights: bool = True,
            attn_mask: Any = None,
            average_attn_weights: bool = True,
            is_causal: bool = False,
        ) -> tuple[Any, Any]:
            """See `nn.MultiheadAttention.forward`; `is_causal` says of a mask what that says itself."""
            if is_causal and attn_mask is None:
                raise ValueError("`is_causal` needs `attn_mask`, as in nn.MultiheadAttention")
            batched = query.dim() == 3
            if not batched:
                query, key, value = (each.unsqueeze(0) for each in (query, key, value))
            elif not self.batch_first:
                query, key, value = (each.transpose(0, 1) for each in (query, key, value))
            query, key, value = self.query(query), self.key(key), self.value(value)
            query, key, value = (self._heads(each) for each in (query, key, value))
            mask = _mask(attn_mask, key_padding_mask, self.num_heads, query.dtype)
            mixed, weights = _mixed(query, key, value, mask, self.scale, self._dropped(), need_weights)
            answer = self.out_proj(mixed.transpose(1, 2).flatten(2))
            if weights is not None and average_attn_weights:
                weights = weights.mean(1)
            if not batched:
                return answer.squeeze(0), None if weights is None else weights.squeeze(0)
            return answer if self.batch_first else answer.transpose(0, 1), weights

        def _heads(self, tokens: Any) -> Any:
            return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

        def _dropped(self) -> float:
            return float(self.dropout) if self.training else 0.0

    weights = attention.in_proj_weight
    if weights is None:
        parts = [attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight]
    else:
        parts = list(weights.chunk(3))
    made = WrittenOut().to(attention.out_proj.weight)
    with torch.no_grad():
        for place, layer in enumerate((made.query, made.key, made.value)):
            layer.weight.copy_(parts[place]).requires_grad_(parts[place].requires_grad)
            if biased:
                bias = attention.in_proj_bias
                layer.bias.copy_(bias.chunk(3)[place]).requires_grad_(bias.requires_grad)
        made.out_proj.load_state_dict(attention.out_proj.state_dict())
    for name, parameter in made.out_proj.named_parameters():
        parameter.requires_grad_(attention.out_proj.get_parameter(name).requires_grad)
    return made.train(attention.training)


def _mixed(
    query: Any, key: Any, value: Any, mask: Any, scale: float, dropped: float, weighed: bool
) -> tuple[Any, Any | None]:
    """What heads answer, shape [batch, heads, queries, width], and, where asked for, their weights of the values."""
    from torch.nn import functional

    if not weighed:
        return functional.scaled_dot_product_attention(query, key, value, mask, dropped, scale=scale), None
    scores = query * scale @ key.transpose(-1, -2)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    if dropped:
        weights = functional.dropout(weights, dropped)
    return weights @ value, weights


def _mask(attn_mask: Any, key_padding_mask: Any, heads: int, dtype: Any) -> Any | None:
    """What is added to scores, as [batch, heads, queries, keys] or what broadcasts to it; None: nothing is.

    Args:
        attn_mask: [queries, keys], or [batch x heads, queries, keys]; true where nothing is seen, or what is added.
        key_padding_mask: [keys] or [batch, keys]; likewise.
    """
    masks = []
    if attn_mask is not None:
        masks.append(attn_mask.unflatten(0, (-1, heads)) if attn_mask.dim() == 3 else attn_mask)
    if key_padding_mask is not None:
        masks.append(key_padding_mask.unsqueeze(-2).unsqueeze(-2))
    added = [_added(mask, dtype) for mask in masks]
    return sum(added[1:], start=added[0]) if added else None


def _added(mask: Any, dtype: Any) -> Any:
    import torch

    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, float("-inf"))

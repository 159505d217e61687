"""Token attributions of a sequence classifier: one small file per method.

A method is a function of a model and one batch of its inputs that returns `TokenAttributions`.
"""

from collections.abc import Callable, Mapping

from torch import Tensor
from transformers import PreTrainedModel

from ..errors import InvalidInputError
from .attention import attention
from .contribution import contribution
from .token_attributions import TokenAttributions

Method = Callable[[PreTrainedModel, Mapping[str, Tensor]], TokenAttributions]

METHODS: dict[str, Method] = {"attention": attention, "contribution": contribution}


def attribution_method(name: str) -> Method:
    """The method of that name.

    Raises:
        InvalidInputError: If there is none; the message lists those there are.
    """
    if name not in METHODS:
        raise InvalidInputError(f"There is no method {name!r}. Choose one of {sorted(METHODS)}.")
    return METHODS[name]


__all__ = ["METHODS", "Method", "TokenAttributions", "attribution_method"]

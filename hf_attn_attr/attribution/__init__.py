"""Token attributions of a sequence classifier: one small file per method.

A method is a function of a model and one batch of its texts that returns `TokenAttributions`. Its
keyword arguments are its options.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from transformers import PreTrainedModel

from ..errors import InvalidInputError
from .attention import attention
from .attention_rollout import attention_rollout
from .classes import class_indices, class_targets
from .contribution import contribution, has_contributions
from .input_x_gradient import input_x_gradient
from .integrated_gradients import integrated_gradients
from .occlusion import occlusion
from .token_attributions import TokenAttributions
from .token_batch import Replacements, TokenBatch

METHODS: dict[str, Callable[..., TokenAttributions]] = {
    "attention": attention,
    "attention_rollout": attention_rollout,
    "contribution": contribution,
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}


@dataclass(frozen=True)
class AttributionMethod:
    """A method with its options, ready to be called with a model and a batch.

    Attributes:
        name: One of `METHODS`.
        options: Every option, the defaults included.
        classes: Positions of the attributed classes among the logits; None for all; "predicted" for
            the one that the batch names for each text.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[int] | Literal["predicted"] | None = None

    @property
    def outputs(self) -> int | None:
        """How many classes are attributed in each text; None for all."""
        if self.classes is None:
            return None
        return 1 if self.classes == "predicted" else len(self.classes)

    @property
    def by_class(self) -> bool:
        """Whether it attributes class by class, so that fewer classes cost less."""
        return _has_targets(METHODS[self.name])

    def __call__(self, model: PreTrainedModel, batch: TokenBatch) -> TokenAttributions:
        """Attributions of a batch."""
        method = METHODS[self.name]
        if not self.by_class:
            return method(model, batch, **self.options)
        indices = None if isinstance(self.classes, str) else self.classes
        targets = class_targets(model, batch, indices)
        return method(model, batch, **self.options, targets=targets)


def attribution_method(
    name: str,
    model: PreTrainedModel,
    options: Mapping[str, Any] | None = None,
    classes: str | Sequence[str] = "all",
) -> AttributionMethod:
    """The method of that name with its options.

    Args:
        name: One of `METHODS`, or "auto": "contribution" where the model's logits split exactly,
            else "occlusion", which needs a forward pass per word for all classes together, where
            integrated gradients need steps x classes backward passes.
        model: The model it is for.
        options: Some of the method's options; the others keep their defaults.
        classes: "all", "predicted", or some labels, for methods that attribute class by class.

    Raises:
        InvalidInputError: If there is no such method, option or class; the message lists those
            there are.
    """
    if name == "auto":
        name = "contribution" if has_contributions(model) else "occlusion"
    if name not in METHODS:
        raise InvalidInputError(
            f"There is no method {name!r}. Choose one of {sorted(METHODS)}, or 'auto'."
        )
    indices = class_indices(model, classes)
    if indices is not None and not _has_targets(METHODS[name]):
        able = sorted(method for method, function in METHODS.items() if _has_targets(function))
        raise InvalidInputError(
            f"{name!r} attributes all classes at once, so classes={classes!r} saves nothing. Leave "
            f"it out; only {able} take it."
        )
    return AttributionMethod(name, _checked(name, options or {}), indices)


def _has_targets(method: Callable[..., TokenAttributions]) -> bool:
    return "targets" in inspect.signature(method).parameters


def _checked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a method: those given, checked, and the defaults of the others."""
    known = {
        option: parameter
        for option, parameter in inspect.signature(METHODS[name]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and option != "targets"
    }
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidInputError(
            f"{name!r} has no option {unknown[0]!r}; its options are {sorted(known)}."
        )
    for option, value in options.items():
        kind = known[option].annotation
        if get_args(kind) and value not in get_args(kind):
            raise InvalidInputError(
                f"{option} is {value!r}; choose one of {list(get_args(kind))} for {name!r}."
            )
        if kind is int and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise InvalidInputError(
                f"{option} is {value!r}; {name!r} needs a whole number of at least 1."
            )
        if kind is float and not (isinstance(value, int | float) and value > 0):
            raise InvalidInputError(f"{option} is {value!r}; {name!r} needs a number above 0.")
    return {option: options.get(option, known[option].default) for option in known}


__all__ = [
    "METHODS",
    "AttributionMethod",
    "Replacements",
    "TokenAttributions",
    "TokenBatch",
    "attribution_method",
]

"""A self-attentive classifier as an ONNX graph: logits, attention and attributions of words."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from .attribution.contribution import has_contributions
from .classifier import evaluating
from .errors import IncompatibleError, MissingDependencyError
from .files import replacing_together
from .layout import CONFIG, ONNX
from .models.modeling_self_attentive import SelfAttentiveForSequenceClassification
from .tokenization import save_tokenizer

INPUTS = ("input_ids", "attention_mask", "word_ids")
OUTPUTS = ("logits", "attention", "attribution", "attribution_context")
_OPSET = 17


class WordGraph(nn.Module):
    """What the graph computes; `OnnxClassifier` reads it without torch.

    Args:
        model: A self-attentive classifier with a linear head, gauge measured.
    """

    def __init__(self, model: SelfAttentiveForSequenceClassification):
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, word_ids: Tensor
    ) -> tuple[Tensor, ...]:
        """Numbers of texts and of their words.

        Args:
            input_ids: int64 (B, T).
            attention_mask: int64 (B, T), 1 at tokens.
            word_ids: int64 (B, T): the word of each token, counted within its text; -1 for tokens
                of no word and padding.

        Returns:
            `logits` (B, C); `attention` (B, T), `attribution` and `attribution_context` (B, T, C)
            of each word, rows behind the last word of a text 0. For values "gate", which have no
            context part, the last one is left out.
        """
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_attentions=True,
            output_attributions=True,
        )
        parts = [found.attentions[0].mean(1).unsqueeze(-1), found.attributions]
        if found.context_attributions is not None:
            parts.append(found.context_attributions)
        attention, *terms = (_per_word(part, word_ids) for part in parts)
        return found.logits, attention.squeeze(-1), *terms


def _per_word(values: Tensor, word_ids: Tensor) -> Tensor:
    """Sums (B, T, X) over the tokens of each word."""
    # Tokens of no word go to a row of their own, which is cut off again.
    place = torch.where(word_ids < 0, word_ids.shape[1], word_ids).unsqueeze(-1)
    rows = torch.zeros_like(values[:, :1]).repeat(1, word_ids.shape[1] + 1, 1)
    return rows.scatter_add(1, place.expand_as(values), values)[:, :-1]


def export_onnx(
    model: SelfAttentiveForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    folder: str | Path,
) -> Path:
    """Write `model.onnx`, config and tokenizer to a folder, all or none, for `OnnxClassifier`.

    Batch and length are free in the graph; numbers are those of the model to 1e-5.

    Args:
        model: A self-attentive classifier with a linear head, gauge measured.
        tokenizer: Its tokenizer.
        folder: Where to write; made if it is not there.

    Returns:
        The path of the graph.

    Raises:
        IncompatibleError: If the model has no exact attributions.
        MissingDependencyError: If the package onnx is not installed.
    """
    if not has_contributions(model):
        raise IncompatibleError(
            f"A {model.config.model_type!r} model with this head has no attributions in its "
            "forward pass. Only self_attentive models with a linear head can be exported with them."
        )
    try:
        import onnx  # noqa: F401 - torch needs it to write the graph
    except ImportError as error:
        raise MissingDependencyError(
            "Exporting needs the package onnx. Install it: pip install 'hf-attn-attr[onnx]'."
        ) from error
    ids = torch.tensor([[0, 1, 2], [3, 4, 5]])
    # Any tokens: only the shapes of these are traced, and they stay free.
    example = (ids % model.config.vocab_size, torch.ones_like(ids), ids % 3)
    outputs = OUTPUTS if model.config.value_source != "gate" else OUTPUTS[:-1]
    free = {name: {0: "texts", 1: "tokens"} for name in (*INPUTS, *outputs[1:])}
    with (
        replacing_together(Path(folder)) as temporary,
        evaluating(model),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of tracing: shapes are kept free below
        # The exporter by torch.export makes the length of the example a constant of the LSTM.
        torch.onnx.export(
            WordGraph(model),
            example,
            str(temporary / ONNX),
            input_names=list(INPUTS),
            output_names=list(outputs),
            dynamic_axes={**free, "logits": {0: "texts"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        model.config.to_json_file(temporary / CONFIG, use_diff=False)
        save_tokenizer(tokenizer, str(temporary))
    return Path(folder) / ONNX

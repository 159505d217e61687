"""`pipeline("attention-attribution")` for every sequence classifier.

`registration.py` imports this as soon as transformers' pipelines are imported, so what needs
datasets and pyarrow is imported when a pipeline is built.
"""

from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from .errors import InvalidInputError
from .highlighting import Answer
from .models.words import require_text

TASK = "attention-attribution"


class AttentionAttributionPipeline(Pipeline):
    """The label of a text, its score, and attention and attribution of every word.

    Takes texts like any pipeline: one, a list, a dataset, a generator. Beside transformers' own
    parameters there are those of `hf_attn_attr.answering.answers`, which says what is in an answer:
    `label`, another one than the predicted; `method`; `options`; ... They are given when the
    pipeline is built or, for one call, when it is called. Numbers are those of
    `hf_attn_attr.extract`, whatever the `batch_size`.

    Without this package, self-attentive models bring along a pipeline of their own
    (`models/pipeline_attention_attribution.py`).
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_video_processor = False
    _load_tokenizer = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        from .answering import answering_extractor

        # What is wrong with the arguments is said now.
        answering_extractor(self.model, self.tokenizer, **self._forward_params)

    def _sanitize_parameters(
        self, **arguments: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, arguments, {}

    def preprocess(self, inputs: str) -> dict[str, Any]:
        """The text, if it is one."""
        try:
            require_text(inputs)
        except ValueError as error:
            raise InvalidInputError(str(error)) from error
        return {"text": inputs}

    def _forward(self, inputs: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        from .answering import answers

        texts = inputs["text"]
        if isinstance(texts, str):
            (answer,) = answers(self.model, self.tokenizer, [texts], **arguments)
            return {"answer": answer}
        return {"answer": answers(self.model, self.tokenizer, texts, **arguments)}

    def postprocess(self, outputs: dict[str, Any]) -> Answer:
        """The answer for one text."""
        return Answer(outputs["answer"])

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Save model and tokenizer; not this class, which works in its package alone."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.tokenizer.save_pretrained(save_directory, **kwargs)


def _register() -> None:
    known = PIPELINE_REGISTRY.supported_tasks.get(TASK, {}).get("impl")
    # One that came with a model as remote code serves that kind of model only.
    if known is not AttentionAttributionPipeline:
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            pipeline_class=AttentionAttributionPipeline,
            pt_model=AutoModelForSequenceClassification,
            type="text",
        )


_register()

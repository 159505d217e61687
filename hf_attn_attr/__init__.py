"""Which words drive which class, for Hugging Face text classifiers.

Importing this package makes the model and its pipeline known to transformers' Auto classes, yet
loads neither transformers nor torch: a published influence matrix is also read where there is no
model.
"""

from typing import TYPE_CHECKING

from . import registration
from .errors import (
    AttnAttrError,
    ClusterError,
    CorruptArtifactError,
    HubError,
    IncompatibleError,
    IncompleteCheckpointError,
    InvalidInputError,
    MissingDependencyError,
    NonFiniteError,
)
from .lazy import lazy_names

if TYPE_CHECKING:
    from .attribution_pipeline import AttentionAttributionPipeline
    from .columns import load_columns
    from .data import LabelledTexts, load_labelled
    from .evaluation import (
        Comprehensiveness,
        DecisionFlip,
        LeaveOneOutTau,
        RationaleOverlap,
        Sufficiency,
    )
    from .extraction import AttributionExtractor, extract, measure_gauge
    from .hub import (
        PublishCallback,
        Published,
        load_from_hub,
        pipeline,
        push_columns,
        push_folder,
        push_to_hub,
    )
    from .influence import (
        AssociationTable,
        InfluenceAccumulator,
        InfluenceMatrix,
        association,
        attention_matrix,
        class_matrix,
        fold,
    )
    from .models.configuration_self_attentive import SelfAttentiveConfig
    from .models.modeling_self_attentive import (
        SelfAttentiveForSequenceClassification,
        SelfAttentiveModel,
        SelfAttentiveOutput,
    )
    from .onnx_classifier import OnnxClassifier
    from .onnx_export import export_onnx
    from .report import (
        plot_attention,
        plot_heatmap,
        plot_model_vs_data,
        plot_top_words,
        plot_word,
        write_pictures,
        write_report,
        write_space,
    )
    from .tokenization import train_tokenizer
    from .training import TrainingResult, TrainingSettings, train

__version__ = "0.1.0"

_HOME = {
    "AssociationTable": ".influence",
    "AttentionAttributionPipeline": ".attribution_pipeline",
    "AttributionExtractor": ".extraction",
    "Comprehensiveness": ".evaluation",
    "DecisionFlip": ".evaluation",
    "InfluenceAccumulator": ".influence",
    "InfluenceMatrix": ".influence",
    "LabelledTexts": ".data",
    "LeaveOneOutTau": ".evaluation",
    "OnnxClassifier": ".onnx_classifier",
    "RationaleOverlap": ".evaluation",
    "SelfAttentiveConfig": ".models.configuration_self_attentive",
    "SelfAttentiveForSequenceClassification": ".models.modeling_self_attentive",
    "SelfAttentiveModel": ".models.modeling_self_attentive",
    "SelfAttentiveOutput": ".models.modeling_self_attentive",
    "PublishCallback": ".hub",
    "Published": ".hub",
    "Sufficiency": ".evaluation",
    "TrainingResult": ".training",
    "TrainingSettings": ".training",
    "association": ".influence",
    "attention_matrix": ".influence",
    "class_matrix": ".influence",
    "export_onnx": ".onnx_export",
    "extract": ".extraction",
    "fold": ".influence",
    "load_columns": ".columns",
    "load_from_hub": ".hub",
    "load_labelled": ".data",
    "measure_gauge": ".extraction",
    "pipeline": ".hub",
    "plot_attention": ".report",
    "plot_heatmap": ".report",
    "plot_model_vs_data": ".report",
    "plot_top_words": ".report",
    "plot_word": ".report",
    "push_columns": ".hub",
    "push_folder": ".hub",
    "push_to_hub": ".hub",
    "train": ".training",
    "train_tokenizer": ".tokenization",
    "write_pictures": ".report",
    "write_report": ".report",
    "write_space": ".report",
}

__all__ = [
    "AssociationTable",
    "AttentionAttributionPipeline",
    "AttnAttrError",
    "AttributionExtractor",
    "ClusterError",
    "Comprehensiveness",
    "CorruptArtifactError",
    "DecisionFlip",
    "HubError",
    "IncompatibleError",
    "IncompleteCheckpointError",
    "InfluenceAccumulator",
    "InfluenceMatrix",
    "InvalidInputError",
    "LabelledTexts",
    "LeaveOneOutTau",
    "MissingDependencyError",
    "NonFiniteError",
    "OnnxClassifier",
    "PublishCallback",
    "Published",
    "RationaleOverlap",
    "SelfAttentiveConfig",
    "SelfAttentiveForSequenceClassification",
    "SelfAttentiveModel",
    "SelfAttentiveOutput",
    "Sufficiency",
    "TrainingResult",
    "TrainingSettings",
    "association",
    "attention_matrix",
    "class_matrix",
    "export_onnx",
    "extract",
    "fold",
    "load_columns",
    "load_from_hub",
    "load_labelled",
    "measure_gauge",
    "pipeline",
    "plot_attention",
    "plot_heatmap",
    "plot_model_vs_data",
    "plot_top_words",
    "plot_word",
    "push_columns",
    "push_folder",
    "push_to_hub",
    "train",
    "train_tokenizer",
    "write_pictures",
    "write_report",
    "write_space",
]


__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


registration.register()

"""Makes our model and pipeline known to transformers once transformers is there.

transformers imports its auto modules late, so each registration waits for the import of the module
it belongs to, or happens at once where that module is loaded already.
"""

from types import ModuleType

from wrapt import register_post_import_hook

MODEL_TYPE = "self_attentive"


def register() -> None:
    """Register the import hooks; safe to call more than once."""
    for hook, module in (
        (_register_config, "transformers.models.auto.configuration_auto"),
        (_register_models, "transformers.models.auto.modeling_auto"),
        (_register_pipeline, "transformers.pipelines"),
    ):
        register_post_import_hook(hook, module)


def _register_config(auto: ModuleType) -> None:
    from .models.configuration_self_attentive import SelfAttentiveConfig

    auto.AutoConfig.register(MODEL_TYPE, SelfAttentiveConfig, exist_ok=True)


def _register_models(auto: ModuleType) -> None:
    from .models.configuration_self_attentive import SelfAttentiveConfig
    from .models.modeling_self_attentive import (
        SelfAttentiveForSequenceClassification,
        SelfAttentiveModel,
    )

    auto.AutoModel.register(SelfAttentiveConfig, SelfAttentiveModel, exist_ok=True)
    auto.AutoModelForSequenceClassification.register(
        SelfAttentiveConfig, SelfAttentiveForSequenceClassification, exist_ok=True
    )


def _register_pipeline(_pipelines: ModuleType) -> None:
    # It registers itself when it is loaded, because it may be what just now imports transformers'
    # pipelines: its class is not there yet.
    from . import attribution_pipeline  # noqa: F401

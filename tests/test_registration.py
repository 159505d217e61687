"""Registration: transformers knows the model, and importing the package stays light."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "datasets", "pandas", "pyarrow", "numpy", "scipy", "tokenizers"}
CHECK = """
import json, sys
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, pipeline
from transformers.pipelines import PIPELINE_REGISTRY
folder = sys.argv[1]
model = AutoModelForSequenceClassification.from_pretrained(folder)
ask = pipeline("attention-attribution", model=folder)
classify = pipeline("text-classification", model=folder)
import hf_attn_attr
print(json.dumps({
    "config": isinstance(AutoConfig.from_pretrained(folder), hf_attn_attr.SelfAttentiveConfig),
    "model": isinstance(model, hf_attn_attr.SelfAttentiveForSequenceClassification),
    "encoder": isinstance(AutoModel.from_config(model.config), hf_attn_attr.SelfAttentiveModel),
    "pipeline": isinstance(ask, hf_attn_attr.AttentionAttributionPipeline),
    "tasks": [name for name in PIPELINE_REGISTRY.get_supported_tasks() if "attrib" in name],
    "same": abs(ask("so happy")["score"] - classify("so happy")[0]["score"]) < 1e-6,
}))
"""


def python(code, *arguments):
    """Standard output of `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy():
    loaded = python("import hf_attn_attr, sys; print(*{m.split('.')[0] for m in sys.modules})")
    assert not HEAVY & set(loaded.split())
    assert "hf_attn_attr" in loaded.split()


def test_a_matrix_is_read_without_torch(run_result):
    _, folder = run_result
    loaded = python(
        "import hf_attn_attr, sys; hf_attn_attr.InfluenceMatrix.from_pretrained(sys.argv[1])\n"
        "print(*{m.split('.')[0] for m in sys.modules})",
        folder,
    )
    assert not {"torch", "transformers", "datasets", "scipy"} & set(loaded.split())


@pytest.mark.parametrize(
    "first",
    [
        "import hf_attn_attr",
        "import transformers, hf_attn_attr",
        "import transformers.pipelines, transformers.models.auto.modeling_auto, hf_attn_attr\n"
        "import importlib; importlib.reload(hf_attn_attr); hf_attn_attr.registration.register()",
    ],
    ids=["before transformers", "after transformers", "after its auto modules, and twice"],
)
def test_auto_classes_and_pipelines_know_the_model(run_result, first):
    _, folder = run_result
    assert json.loads(python(f"{first}\n{CHECK}", folder)) == {
        "config": True,
        "model": True,
        "encoder": True,
        "pipeline": True,
        "tasks": ["attention-attribution"],
        "same": True,
    }


def test_the_pipeline_of_every_classifier_takes_the_place_of_a_travelling_one(monkeypatch):
    import transformers.pipelines

    from hf_attn_attr import AttentionAttributionPipeline, attribution_pipeline
    from hf_attn_attr.models import pipeline_attention_attribution as travelling

    tasks = transformers.pipelines.PIPELINE_REGISTRY.supported_tasks
    task = travelling.TASK
    earlier = {**tasks[task], "impl": travelling.AttentionAttributionPipeline}
    monkeypatch.setitem(tasks, task, earlier)
    attribution_pipeline._register()
    assert tasks[task]["impl"] is AttentionAttributionPipeline


@pytest.mark.parametrize(
    "first",
    ["hf_attn_attr.AttentionAttributionPipeline", "import hf_attn_attr.attribution_pipeline"],
)
def test_the_pipeline_may_be_the_first_name_that_is_used(first):
    told = python(
        f"import hf_attn_attr\n{first}\nfrom transformers.pipelines import PIPELINE_REGISTRY\n"
        "known = PIPELINE_REGISTRY.supported_tasks['attention-attribution']['impl']\n"
        "print(known is hf_attn_attr.AttentionAttributionPipeline)"
    )
    assert told.split() == ["True"]


def test_a_pipeline_that_is_not_built_needs_no_datasets():
    loaded = python(
        "import hf_attn_attr, sys\nfrom transformers import pipeline\n"
        "from transformers.pipelines import PIPELINE_REGISTRY\n"
        "assert 'attention-attribution' in PIPELINE_REGISTRY.supported_tasks\n"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    assert not {"datasets", "pyarrow", "pandas"} & set(loaded.split())


def test_every_public_name_exists_and_is_listed():
    import hf_attn_attr

    for name in hf_attn_attr.__all__:
        assert getattr(hf_attn_attr, name) is not None
        assert name in dir(hf_attn_attr)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hf_attn_attr.nonsense

"""Where this package is not installed, a published model brings its own code; never unasked."""

import json
import sys
from pathlib import Path

import pytest
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, pipeline
from transformers.dynamic_module_utils import get_imports, get_relative_import_files

import hf_attn_attr
from hf_attn_attr import extract, models, push_to_hub

from .published import CODE, REPO, TEXTS
from .without_package import WITHOUT

TRUSTING = f"""
import json
from transformers import (
    AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
)
repo, texts = {REPO!r}, {TEXTS!r}
trust = {{"trust_remote_code": True, "revision": sys.argv[1]}}
model = AutoModelForSequenceClassification.from_pretrained(repo, **trust)
encoder = AutoModel.from_pretrained(repo, **trust)
tokenizer = AutoTokenizer.from_pretrained(repo, **trust)
classify = pipeline("text-classification", model=repo, **trust)
explain = pipeline("attention-attribution", model=repo, **trust)
explain.save_pretrained("saved")
again = pipeline("attention-attribution", model="saved", trust_remote_code=True)
found = {{
    "modules": sorted(
        {{type(made).__module__.split(".")[0] for made in (model, encoder, explain, again)}}
    ),
    "classified": classify(texts, top_k=None),
    "explained": explain(texts),
    "again": again(texts),
    "by hand": pipeline("text-classification", model=model, tokenizer=tokenizer)(texts),
}}
# Later the package comes in, and takes the model as it is, though its class is another.
sys.meta_path.pop(0)
import hf_attn_attr
from datasets import Dataset
columns = hf_attn_attr.extract(Dataset.from_dict({{"text": texts}}), model, tokenizer)
found["extracted"] = columns.to_dict()
found["provenance"] = hf_attn_attr.AttributionExtractor(model, tokenizer).provenance
open("found.json", "w").write(json.dumps(found))
"""
REFUSING = f"""
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline

for load in (
    AutoModel.from_pretrained,
    AutoModelForSequenceClassification.from_pretrained,
    lambda name, **options: pipeline("text-classification", model=name, **options),
    lambda name, **options: pipeline("attention-attribution", model=name, **options),
):
    try:
        load({REPO!r}, trust_remote_code=False)
    except ValueError as error:
        assert "trust_remote_code=True" in str(error), error
        print("refused")
"""


def close(answer, other):
    """Whether two answers say the same, numbers within 1e-6; the package's may say more."""
    if isinstance(answer, dict):
        assert answer.keys() <= other.keys()
        for name, value in answer.items():
            close(value, other[name])
    elif isinstance(answer, list):
        assert len(answer) == len(other)
        for one, two in zip(answer, other, strict=True):
            close(one, two)
    else:
        assert answer == (pytest.approx(other, abs=1e-6) if isinstance(other, float) else other)


def test_everything_loads_and_says_the_same_with_the_code_of_the_repository(
    hub, trained, python, tmp_path
):
    done = push_to_hub(REPO, trained.model, trained.tokenizer)
    ran = python(WITHOUT + TRUSTING, done.commit)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found.pop("modules") == ["transformers_modules"]
    given = {"model": trained.model, "tokenizer": trained.tokenizer}
    explained = pipeline("attention-attribution", **given)(TEXTS)
    classify = pipeline("text-classification", **given)
    close(found["classified"], classify(TEXTS, top_k=None))
    close(found["by hand"], classify(TEXTS))
    close(found["explained"], explained)
    close(found["again"], explained)
    columns = extract(Dataset.from_dict({"text": TEXTS}), trained.model, trained.tokenizer)
    close(found["extracted"], columns.to_dict())
    wanted = trained.matrix.manifest["provenance"]
    assert found["provenance"] == {name: wanted[name] for name in found["provenance"]}


def test_without_trust_there_is_a_clear_refusal(hub, trained, python):
    push_to_hub(REPO, trained.model, trained.tokenizer)
    ran = python(WITHOUT + REFUSING)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.split() == ["refused"] * 4


def test_the_package_needs_no_trust_and_names_no_code(hub, trained, tmp_path):
    push_to_hub(REPO, trained.model, trained.tokenizer)
    published = json.loads(hub.repository(REPO).files()["config.json"].data)
    assert {"auto_map", "custom_pipelines"} <= published.keys()
    hub.asked.clear()
    explain = pipeline("attention-attribution", model=REPO)
    assert not [request for request in hub.asked if request.endswith(".py")]
    close(
        explain(TEXTS),
        pipeline("attention-attribution", model=trained.model, tokenizer=trained.tokenizer)(TEXTS),
    )
    # What is saved after that is a plain folder again: no config that names files it lacks.
    explain.model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert not {"auto_map", "custom_pipelines"} & saved.keys()


def test_trust_changes_nothing_where_the_package_is(hub, trained):
    push_to_hub(REPO, trained.model, trained.tokenizer)
    hub.asked.clear()
    model = AutoModelForSequenceClassification.from_pretrained(REPO, trust_remote_code=True)
    explain = pipeline("attention-attribution", model=REPO, trust_remote_code=True)
    assert isinstance(model, type(trained.model))
    assert isinstance(explain, hf_attn_attr.AttentionAttributionPipeline)
    assert not [request for request in hub.asked if request.endswith(".py")]


def test_the_code_names_no_file_that_does_not_travel():
    needed = set()
    for name in CODE:
        path = Path(models.__file__).with_name(name)
        needed |= {Path(found).name for found in get_relative_import_files(path)}
        wanted = set(get_imports(path)) - sys.stdlib_module_names
        assert wanted <= {"torch", "transformers", "huggingface_hub"}
    assert needed < CODE


def test_code_can_stay_at_home(hub, trained):
    push_to_hub(REPO, trained.model, trained.tokenizer)
    assert hub.repository(REPO).files().keys() >= CODE
    done = push_to_hub(REPO, trained.model, trained.tokenizer, code=False)
    assert set(done.deleted) == CODE
    published = json.loads(hub.repository(REPO).files()["config.json"].data)
    assert not {"auto_map", "custom_pipelines"} & published.keys()
    pipeline("attention-attribution", model=REPO)(TEXTS)

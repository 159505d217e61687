"""Repositories that want to run code, write elsewhere, or take all memory: a function per kind.

Each takes the files of a sound repository and the path of a file that hostile code would write, and
gives files to put in their place; None takes a file away.
"""

import json
import struct
from collections.abc import Callable

import torch
from hub.test_hostile import ELSEWHERE, EVIL, NAMED
from safetensors.torch import load, save

Files = dict[str, bytes | None]
KINDS: dict[str, Callable[[dict[str, bytes], str], Files]] = {}
CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def kind(make):
    KINDS[make.__name__] = make
    return make


class Pickled:
    """Writes the sentinel when it is unpickled."""

    def __init__(self, sentinel: str):
        self.sentinel = sentinel

    def __reduce__(self):
        return open, (self.sentinel, "w")


def pickled(path, sentinel: str) -> bytes:
    torch.save({"weight": Pickled(sentinel)}, path)
    return path.read_bytes()


def evil(sentinel: str) -> bytes:
    return EVIL.format(sentinel=sentinel).encode()


def changed(files: dict[str, bytes], name: str, **fields) -> Files:
    return {name: json.dumps(json.loads(files[name]) | fields).encode()}


def in_config(name: str, **fields) -> None:
    """A kind that differs in fields of its config."""
    KINDS[name] = lambda files, sentinel: {
        **changed(files, CONFIG, **fields),
        "evil.py": evil(sentinel),
    }


def in_tokenizer_config(name: str, **fields) -> None:
    KINDS[name] = lambda files, sentinel: {
        **changed(files, TOKENIZER_CONFIG, **fields),
        "evil.py": evil(sentinel),
    }


# Code named by config files

in_config("auto_map in the config", auto_map=NAMED["auto_map"])
in_config("auto_map to another repository", auto_map=ELSEWHERE["auto_map"])
in_config("custom_pipelines", custom_pipelines=NAMED["custom_pipelines"])
in_config("everything that names code", **NAMED)
in_config("trust_remote_code in the config", **NAMED["auto_map"], trust_remote_code=True)
in_config("a kernel", attn_implementation="owner/evil-kernel", _attn_implementation="owner/evil")
in_config("the inner name of a kernel", _attn_implementation_internal="owner/evil-kernel")
in_config("an architecture elsewhere", architectures=["evil.Model"], _name_or_path="owner/evil")
in_config("a type that is a path", model_type="../../evil", auto_map=NAMED["auto_map"])
in_config("an unknown type", model_type="evil", auto_map=NAMED["auto_map"])
in_config("a config within", text_config={**NAMED, "model_type": "evil"}, sub_configs=NAMED)
in_config("weights by a method", quantization_config={"quant_method": "evil", "modules": "evil"})
in_config("a type of numbers that is code", dtype="__import__('evil')", torch_dtype="evil.Model")
in_tokenizer_config("auto_map of a tokenizer", auto_map=NAMED["auto_map"], trust_remote_code=True)
in_tokenizer_config("a tokenizer's class", tokenizer_class="evil.Tokenizer")
in_tokenizer_config("a processor's class", processor_class="evil.Tokenizer")
in_tokenizer_config(
    "files of a tokenizer elsewhere",
    tokenizer_file="/etc/passwd",
    vocab_file="../../vocab.txt",
    fast_tokenizer_files=["../../tokenizer.9.9.json"],
)
in_tokenizer_config(
    "a template that escapes",
    chat_template=("{{ ''.__class__.__mro__[1].__subclasses__() }}{% include '/etc/passwd' %}"),
)


@kind
def modules_named_like_those_we_import(files, sentinel):
    names = ("torch", "numpy", "sitecustomize", "conftest", "__init__", "modeling_self_attentive")
    return {f"{name}.py": evil(sentinel) for name in names}


@kind
def other_configs_that_name_code(files, sentinel):
    text = json.dumps({**NAMED, "custom_generate": "evil", "base_model_name_or_path": "owner/evil"})
    names = ("generation_config", "preprocessor_config", "processor_config", "adapter_config")
    return {f"{name}.json": text.encode() for name in names} | {
        "custom_generate/generate.py": evil(sentinel),
        "evil.py": evil(sentinel),
    }


# Places


@kind
def a_manifest_that_names_other_files(files, sentinel):
    manifest = json.loads(files["influence/manifest.json"])
    manifest["files"] = {"../../escaped": manifest["files"]["influence.parquet"]}
    return {"influence/manifest.json": json.dumps(manifest).encode()}


KINDS["a config that names a matrix"] = lambda files, _: changed(
    files, CONFIG, influence_file="../../escaped", influence="/etc/passwd", matrix="C:\\escaped"
)


@kind
def shards_that_lie_elsewhere(files, sentinel):
    names = ("../../escaped.safetensors", "/etc/passwd", "..\\..\\escaped.safetensors")
    keys = list(load(files[WEIGHTS]))
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {key: names[i % 3] for i, key in enumerate(keys)},
    }
    return {WEIGHTS: None, INDEX: json.dumps(index).encode()}


# Sizes

HUGE = 10**12
in_config("a vocabulary of 10^12", vocab_size=HUGE)
in_config("a width of 10^9", hidden_size=10**9, embedding_size=10**9, intermediate_size=10**9)
in_config("a million layers", num_hidden_layers=10**6)
in_config("a width of 10^5", hidden_size=10**5, embedding_size=10**5, intermediate_size=10**5)
in_config(
    "100,000 labels",
    id2label={str(i): f"l{i}" for i in range(10**5)},
    label2id={f"l{i}": i for i in range(10**5)},
)
in_config("numbers that are none", vocab_size=-1, hidden_size=1e308, num_hidden_layers="ten")
KINDS["a config 100,000 deep"] = lambda *_: {
    CONFIG: b'{"model_type":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
}
KINDS["a tokenizer 100,000 deep"] = lambda *_: {
    TOKENIZER: b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
}
KINDS["a header of 2^63 bytes"] = lambda files, _: {
    WEIGHTS: struct.pack("<Q", 2**63) + files[WEIGHTS][8:]
}


@kind
def a_tensor_of_10_to_the_12(files, sentinel):
    header = json.dumps({"x": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}})
    return {WEIGHTS: struct.pack("<Q", len(header)) + header.encode() + bytes(100)}


@kind
def a_tensor_named_as_a_path(files, sentinel):
    return {WEIGHTS: save(load(files[WEIGHTS]) | {"../../escaped": torch.zeros(1)})}


# Tokenizers


def in_tokenizer(name: str, change: Callable[[dict], None]) -> None:
    def make(files, sentinel):
        tokenizer = json.loads(files[TOKENIZER])
        change(tokenizer)
        return {TOKENIZER: json.dumps(tokenizer).encode()}

    KINDS[name] = make


def split(pattern: str) -> dict:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


in_tokenizer("a regex bomb", lambda t: t.update(pre_tokenizer=split(r"(a+)+b")))
in_tokenizer(
    "a regex bomb in a normalizer",
    lambda t: t.update(
        normalizer={"type": "Replace", "pattern": {"Regex": r"(\w*\d*)+!"}, "content": ""}
    ),
)
in_tokenizer("a regex that is none", lambda t: t.update(pre_tokenizer=split(r"(((((")))
in_tokenizer(
    "ids beyond the model",
    lambda t: t["added_tokens"].append(
        {
            "id": 2**31 - 1,
            "content": "evil",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    ),
)
in_tokenizer("a tokenizer of another kind", lambda t: t.update(model={"type": "Evil"}))
in_tokenizer(
    "a length of 2^63",
    lambda t: t.update(
        truncation={
            "max_length": 2**63,
            "strategy": "LongestFirst",
            "stride": 2**62,
            "direction": "Right",
        }
    ),
)

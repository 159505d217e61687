"""Importing any module changes nothing outside itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = """
import importlib, json, logging, os, pkgutil, signal, sys, warnings
# What the libraries do when they are imported is theirs.
import accelerate, datasets, evaluate, jinja2, matplotlib, pandas, pyarrow.parquet, rich.console
import safetensors.torch, scipy.stats, sklearn.metrics, torch, transformers, typer, wrapt
import transformers.pipelines, transformers.trainer, huggingface_hub.dataclasses
import dask.distributed, fsspec, multiprocess
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from faults.watching import watched

def state():
    loggers = {n: l.level for n, l in logging.root.manager.loggerDict.items()
               if isinstance(l, logging.Logger) and not n.startswith("hf_attn_attr")}
    return {
        "environment": {name: hash(value) for name, value in os.environ.items()},
        "loggers": loggers, "root": logging.root.level, "handlers": repr(logging.root.handlers),
        "folder": os.getcwd(), "umask": os.umask(os.umask(0)),
        "interrupt": repr(signal.getsignal(signal.SIGINT)), "hook": repr(sys.excepthook),
        "threads": torch.get_num_threads(), "seed": torch.initial_seed(),
        "verbosity": transformers.utils.logging.get_verbosity(),
    }

before = state()
with watched() as seen:
    import hf_attn_attr
    names = [m.name for m in pkgutil.walk_packages(hf_attn_attr.__path__, "hf_attn_attr.")
             if not m.name.endswith("__main__") and ".space_files" not in m.name]
    for name in names:
        importlib.import_module(name)
after = state()
for name, level in after["loggers"].items():  # loggers made meanwhile have no level of their own
    before["loggers"].setdefault(name, logging.NOTSET)
changed = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
print(json.dumps({"names": names, "changed": changed, "seen": seen}))
"""


def test_importing_every_module_has_no_side_effect(tmp_path):
    done = subprocess.run(
        [sys.executable, "-B", "-c", CODE, str(ROOT / "tests")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["names"]) > 100
    assert found["changed"] == {}
    assert found["seen"] == []
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

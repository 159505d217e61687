"""The command that makes a model usable elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Source
from .printing import print_parts, working


@app.command()
def export(
    source: Source,
    onnx: Annotated[Path, typer.Option("--onnx", help="Folder to write the graph to.")],
) -> None:
    """Write the classifier as an ONNX graph, which answers without torch.

    Reads a self-attentive model in a folder or on the Hub; writes model.onnx, config.json and
    tokenizer.json. Needs the extra: pip install 'hf-attn-attr[onnx]'.
    Example: `hf-attn-attr export model --onnx model-onnx`
    """
    with working():
        from ..loading import load_classifier
        from ..onnx_export import export_onnx

        path = export_onnx(*load_classifier(source), onnx)
    print_parts(
        f"Written: {path} ({path.stat().st_size / 1e6:.1f} MB)",
        f"Use it: hf_attn_attr.OnnxClassifier({str(path.parent)!r})(['a text'])",
    )

"""The two steps of `run` that follow training, on their own: extract and fold."""

from typing import Annotated

import typer

from .app import app
from .options import (
    ClassesOrPredicted,
    MaxWords,
    Method,
    NumProc,
    Option,
    Output,
    Split,
    TextColumn,
    WindowOverlap,
    WordRuleName,
    attribution_arguments,
)
from .printing import (
    count,
    print_parts,
    working,
)


@app.command()
def extract(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a Hub classifier.")],
    texts: Annotated[str, typer.Argument(help="Texts: a file or a Hub dataset.")],
    output: Output,
    method: Method = "auto",
    option: Option = None,
    classes: ClassesOrPredicted = "all",
    word_rule: WordRuleName = "pre_tokens",
    window_overlap: WindowOverlap = None,
    num_proc: NumProc = None,
    text_column: TextColumn = None,
    split: Split = None,
) -> None:
    """Write attention and attribution columns of texts, with a trained model.

    Reads a model and texts; writes columns.parquet and columns.json to --output.
    Example: `hf-attn-attr extract model new.csv --output columns`
    """
    with working():
        from ..columns import save_columns
        from ..data import load_labelled
        from ..extraction import extract_with
        from ..files import check_writable
        from ..workflow import facts
        from .any_classifier import extractor_of, tell_cost

        check_writable(output)
        read = load_labelled(texts, split=split, text_column=text_column, require_labels=False)
        extractor = extractor_of(
            model, attribution_arguments(method, option, classes, word_rule, window_overlap)
        )
        tell_cost(extractor, read)
        columns = extract_with(extractor, read.dataset, num_proc=num_proc)
        save_columns(columns, output, facts(extractor, read, "other"))
    print_parts(
        count(read),
        f"Columns written to {output}. Next: hf-attn-attr fold {output} -o {model}",
    )


@app.command()
def fold(
    columns: Annotated[
        str, typer.Argument(help="Folder written by `extract`, or the Hub name of such columns.")
    ],
    output: Output,
    case_sensitive: Annotated[bool, typer.Option(help="Keep words apart by case.")] = False,
    max_words: MaxWords = None,
) -> None:
    """Fold columns into a matrix of word x class influence.

    Reads columns.parquet and columns.json; writes influence/ to --output.
    Example: `hf-attn-attr fold columns --output model`
    """
    with working():
        from ..columns import load_columns
        from ..files import check_writable
        from ..workflow import matrix_of

        check_writable(output)
        dataset, facts = load_columns(columns)
        matrix = matrix_of(dataset, facts, lowercase=not case_sensitive, max_words=max_words)
        matrix.save_pretrained(output)
    print_parts(
        f"{len(matrix.words)} words x {len(matrix.labels)} labels written to {output}/influence"
    )

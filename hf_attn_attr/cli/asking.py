"""The commands that answer: top, word and explain.

The first two read a matrix and need no torch.
"""

from typing import Annotated

import typer

from . import completion
from .app import app
from .options import (
    Csv,
    Json,
    Method,
    Option,
    Revision,
    Source,
    WindowOverlap,
    WordRuleName,
    attribution_arguments,
)
from .printing import (
    console,
    print_csv,
    print_json,
    print_parts,
    records,
    working,
)


@app.command()
def top(
    source: Source,
    label: Annotated[str, typer.Option(help="The class.", autocompletion=completion.labels)],
    k: Annotated[int, typer.Option("-k", help="Words to list.")] = 20,
    by: Annotated[
        str, typer.Option(help="Measure to rank by.", autocompletion=completion.measures)
    ] = "lower_bound",
    min_documents: Annotated[int, typer.Option(help="Leave out words of fewer texts.")] = 3,
    negative: Annotated[bool, typer.Option("--negative", help="What speaks against it.")] = False,
    revision: Revision = None,
    json_: Json = False,
    csv: Csv = False,
) -> None:
    """For a class, which words are most influential?

    Reads influence/ in a folder or on the Hub; prints a table, writes nothing.
    Example: `hf-attn-attr top model --label joy`
    """
    from ..influence import InfluenceMatrix

    matrix = InfluenceMatrix.from_pretrained(source, revision=revision)
    rows = matrix.top_words(label, k, by=by, min_documents=min_documents, negative=negative)
    if json_:
        print_json({"label": label, "by": by, "words": records(rows)})
        return
    if csv:
        print_csv(rows)
        return
    from ..terminal import influence_table, joint_table, provenance_line

    attention = by in ("joint", "p_word_given_class", "p_class_given_word", "lift", "npmi")
    table = joint_table if attention else influence_table
    print_parts(
        provenance_line(matrix.manifest),
        table(rows, "word", f"Words by {by} {'against' if negative else 'on'} {label}"),
    )


@app.command()
def word(
    source: Source,
    word: str,
    revision: Revision = None,
    json_: Json = False,
    csv: Csv = False,
) -> None:
    """For a word, how much does it influence each class?

    Reads influence/ in a folder or on the Hub; prints two tables, writes nothing.
    Example: `hf-attn-attr word user/model despise`
    """
    from ..influence import InfluenceMatrix

    matrix = InfluenceMatrix.from_pretrained(source, revision=revision)
    rows = matrix.word(word)
    if json_:
        print_json({"word": word, "labels": records(rows)})
        return
    if csv:
        print_csv(rows)
        return
    from ..terminal import influence_table, joint_table, provenance_line

    print_parts(
        provenance_line(matrix.manifest),
        influence_table(rows, "label", f"Influence of {word}"),
        joint_table(rows, "label", f"Attention on {word}"),
    )


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="Folder of a model, or a Hub classifier.")],
    text: str,
    method: Method = "auto",
    label: Annotated[
        str | None, typer.Option(help="Ask about this label, not the predicted one.")
    ] = None,
    option: Option = None,
    word_rule: WordRuleName = "pre_tokens",
    window_overlap: WindowOverlap = None,
    json_: Json = False,
    csv: Csv = False,
) -> None:
    """What did each word of one text do?

    Reads a model; prints the text and a table, writes nothing.
    Example: `hf-attn-attr explain model "What a lovely day"`
    """
    with working():
        from transformers import pipeline

        from .any_classifier import load

        attribution = attribution_arguments(
            method, option, word_rule=word_rule, window_overlap=window_overlap
        )
        del attribution["classes"]  # the label's alone
        classifier, tokenizer = load(model)
        ask = pipeline(
            "attention-attribution", model=classifier, tokenizer=tokenizer, **attribution
        )
        found = ask(text, label=label)
    if json_:
        print_json(found)
        return
    if csv:
        import pandas as pd

        print_csv(pd.DataFrame(found["words"]).assign(label=found["label"]))
        return
    from ..terminal import explanation

    explanation(found, text, console())

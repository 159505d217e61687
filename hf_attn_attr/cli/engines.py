"""What commands do on a cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInputError
from .printing import answer, working


def run_on_cluster(
    address: str,
    model: str | None,
    texts: str | None,
    output: Path,
    results: str | None,
    attribution: Mapping[str, Any],
    text_column: str | None,
    unfit: Mapping[str, Any],
    *,
    k: int,
    json_: bool,
) -> None:
    """Extract and fold on a cluster, save here, and answer both questions.

    `attribution` are arguments of `AttributionExtractor`, `unfit` options that do not fit.
    """
    given = [option for option, value in unfit.items() if value]
    if given or model is None or texts is None:
        raise InvalidInputError(
            "--dask folds texts with a classifier that is trained already: give --model and --texts"
            + (f", and leave out {given[0]}." if given else ".")
        )
    with working():
        from ..engines.dask import extract_and_fold

        found = extract_and_fold(
            texts,
            model,
            client=address,
            results=results or output / "shards",
            text_column=text_column,
            progress=not json_,
            **attribution,
        )
        found.matrix.save_pretrained(output)
    facts = {
        "folder": str(output),
        "method": found.matrix.manifest["method"],
        "texts": {"rows": found.texts, "dropped": found.dropped, "cut": found.cut},
        "shards": {"all": found.shards, "reused": found.reused},
    }
    told = (
        f"{model}: {found.texts:,} texts, {found.dropped:,} dropped (null text), {found.cut:,} "
        f"cut; {found.shards:,} shards, {found.reused:,} of them from an earlier run"
    )
    answer(found.matrix, output, k, facts, [told], json_=json_)

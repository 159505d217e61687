"""The plan for 10^9 texts in docs/many_machines.md, by arithmetic from results/engines.json."""

from math import ceil, log
from statistics import median
from typing import Any

from common import load, table

TEXTS = 10**9
FAN_IN = 8  # accumulators that one task merges
PRICE = 0.04  # dollars for an hour of a core; an assumption
SHARDS = (2**16, 2**20, 2**22)


def plan() -> str:
    """The section, in Markdown."""
    result = load("engines")
    if result is None:
        return ""
    return "\n\n".join((_measured(result), _whole(result), _by_shard(result)))


def _rates(result: dict[str, Any]) -> tuple[float, float]:
    one, two = (median(run[arm] for run in result["rounds"]) for arm in ("one", "two"))
    return result["texts"] / one, result["texts"] / two


def _growth(result: dict[str, Any]) -> float:
    first, last = result["accumulators"][0], result["accumulators"][-1]
    return log(last["bytes"] / first["bytes"]) / log(last["texts"] / first["texts"])


def _size(result: dict[str, Any], texts: float) -> float:
    """Bytes of the accumulator of so many texts."""
    last = result["accumulators"][-1]
    return last["bytes"] * (texts / last["texts"]) ** _growth(result)


def _measured(result: dict[str, Any]) -> str:
    one, two = _rates(result)
    grown = ", ".join(
        f"{n['bytes'] / 1e6:.1f} MB ({n['words']:,} words) of {n['texts']:,} texts"
        for n in result["accumulators"]
    )
    return (
        f"Measured on {result['texts']:,} texts of {result['words_per_text']:.0f} words and "
        f"{result['bytes_per_text']:.0f} bytes, {result['labels']} labels, the default model, "
        f"median of {len(result['rounds'])} rounds on two cores: one "
        f"process {one:,.0f} texts/s, two Dask workers {two:,.0f} texts/s "
        f"({two / one:.2f} times; in shards of 2,048 texts, the matrix "
        f"{'the same' if result['same_bytes'] else 'NOT the same'} byte for byte). Reading and "
        f"digesting the corpus: {result['survey_texts_per_s']:,.0f} texts/s. Merging: "
        f"{result['merge_bytes_per_s'] / 1e6:,.0f} MB of accumulators per second. Accumulators: "
        f"{grown}; they grow as texts^{_growth(result):.2f}."
    )


def _whole(result: dict[str, Any]) -> str:
    one, _ = _rates(result)
    hours = TEXTS / one / 3600
    survey = result["survey_texts_per_s"]
    texts = TEXTS * result["bytes_per_text"]
    size = _size(result, TEXTS)
    rows = [
        ["extraction", f"10^9 / {one:,.0f} texts/s", f"{hours:,.0f} core-hours"],
        ["with 100 cores", f"{hours:,.0f} / 100", f"{hours / 100:.1f} hours"],
        ["cost", f"{hours:,.0f} core-hours x ${PRICE} (assumed)", f"${hours * PRICE:,.0f}"],
        [
            "reading in order, in the client",
            f"10^9 / {survey:,.0f} texts/s",
            f"{TEXTS / survey / 3600:.1f} hours beside it; it keeps {survey / one:,.0f} cores busy",
        ],
        [
            "network for texts",
            f"2 x 10^9 x {result['bytes_per_text']:.0f} bytes, before compression",
            f"{2 * texts / 1e9:,.0f} GB",
        ],
        [
            "accumulator of all texts",
            f"extrapolated by texts^{_growth(result):.2f}",
            f"{size / 1e9:.1f} GB; the last merge takes {size * result['merge_peak'] / 1e9:.0f} GB "
            f"of memory, the end {size * result['finalize_peak'] / 1e9:.0f} GB",
        ],
    ]
    return "For 10^9 such texts:\n\n" + table(["what", "arithmetic", "result"], rows)


def _by_shard(result: dict[str, Any]) -> str:
    one, _ = _rates(result)
    rows = []
    for texts in SHARDS:
        count = ceil(TEXTS / texts)
        read, left, held = 0.0, count, float(texts)
        while left > 1:
            read += left * _size(result, min(held, TEXTS))
            left, held = ceil(left / FAN_IN), held * FAN_IN
        size = _size(result, texts)
        rows.append(
            [
                f"{texts:,}",
                f"{count:,}",
                f"{size / 1e6:,.0f} MB",
                f"{count * size / 1e9:,.0f} GB",
                f"{read / result['merge_bytes_per_s'] / 3600:,.1f} core-hours",
                f"{texts / one / 60:,.1f} minutes",
            ]
        )
    head = ["texts of a shard", "shards", "accumulator", "all of them", "merging", "lost at most"]
    return "By the size of shards (lost: of each worker that dies):\n\n" + table(head, rows)

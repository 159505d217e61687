"""The README's figures on what the fold costs, and how it grows."""

from common import load, table


def fold() -> str:
    """Time and memory of the fold, beside scipy and group-bys."""
    result = load("fold")
    if not result:
        return ""
    classes = result["classes"]
    names = list(next(iter(classes.values()))["ns"])
    rows = [
        [name, *(f"{1e3 / found['ns'][name]:.1f}" for found in classes.values())] for name in names
    ]
    memory = "; ".join(
        f"{c} classes, {name}: {one['peak']:.0f} beside {one['accumulator']:.0f}"
        for c, found in classes.items()
        for name, one in found["memory"].items()
    )
    return (
        "The fold alone, million words a second of one core (`benchmarks/fold.py`). J is the joint "
        "with its counts and all checks; whole is everything a matrix needs. scipy's product and "
        "the group-bys compute J in float64, unchecked, from numbered words; they round, so "
        "that the last digits depend on the order of the texts:\n\n"
        + table(["fold", *(f"{c} classes" for c in classes)], rows)
        + f"\n\nMiB of memory at the most, beside what the accumulator holds: {memory}."
    )


def scale() -> str:
    """A long fold under a cap, and a stream."""
    result = load("scale")
    if not result:
        return ""
    long, stream, free = result["long"], result["stream"], result["stream_without_cap"]
    exact = long["exact"]
    share = long["other_words"] / long["words_counted"]
    return (
        f"{long['words'] / 1e6:.0f} million words of {result['vocabulary']:,} different ones, "
        f"{result['classes']} classes, everything folded under `max_words={long['max_words']:,}` "
        f"(`benchmarks/scale.py`): {long['seconds']:.0f} CPU seconds, {long['peak_mib']:.0f} MiB "
        f"at the most, {share:.0%} of the words counted as other words. Time grows linearly: "
        f"{long['nanoseconds_per_word']:.0f} ns a word, R² {long['r_squared']:.4f}, at most "
        f"{long['largest_residual']:.1%} off the line. Of {exact['cells']:,} sampled cells "
        f"({exact['occurrences']:,} occurrences), {exact['equal_mean']:,} means and "
        f"{exact['equal_joint']:,} joint probabilities are those of rational arithmetic, bit for "
        f"bit. {stream['texts']:,} texts "
        f"({stream['words'] / 1e6:.0f} million words) read as an `IterableDataset` and "
        f"folded into a matrix: under the same cap {stream['seconds']:.0f} s "
        f"and {stream['peak_mib']:,.0f} MiB; "
        f"without one, {free['different_words']:,} words discovered on the way, "
        f"{free['seconds']:.0f} s and {free['peak_mib']:,.0f} MiB."
    )

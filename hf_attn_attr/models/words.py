"""From tokens to words of the original text: plain Python, no dependency."""

from collections.abc import Sequence

Span = tuple[int, int]


def word_spans(
    word_ids: Sequence[int | None], offsets: Sequence[Span]
) -> tuple[list[Span], list[int]]:
    """Words of one text as slices of it, and the word of each token.

    Args:
        word_ids: For each token the index of its word, None for special tokens, as given by a fast
            tokenizer's encoding.
        offsets: For each token its (start, end) in the text.

    Returns:
        The (start, end) of each word in text order, and for each token the index of its word in
        that list, -1 for tokens that belong to no word.
    """
    spans: list[Span] = []
    owner: list[int] = []
    previous: int | None = None
    for word_id, (start, end) in zip(word_ids, offsets, strict=True):
        if word_id is not None and word_id == previous:
            spans[-1] = (min(spans[-1][0], start), max(spans[-1][1], end))
        elif word_id is None or start == end:
            owner.append(-1)
            continue
        else:
            spans.append((start, end))
            previous = word_id
        owner.append(len(spans) - 1)
    return spans, owner

"""What notebooks show of an answer about one text."""

import json
import re

import pytest

from hf_attn_attr.highlighting import Answer


def answer(*words, **changed):
    entries, position = [], 0
    for word, attention, attribution in words:
        entries.append(
            {
                "word": word,
                "start": position,
                "end": position + len(word),
                "attention": attention,
                "attribution": attribution,
            }
        )
        position += len(word) + 1
    return Answer({"label": "joy", "score": 0.75, "words": entries, **changed})


def marks(source):
    """(strength, red, title, text) of each word."""
    pattern = (
        r'<bdi title="([^"]*)" style="background:rgba\((\d+),\d+,\d+,([\d.]+)\);[^"]*">(.*?)</bdi>'
    )
    return [
        (float(strength), int(red) > 100, title, text)
        for title, red, strength, text in re.findall(pattern, source)
    ]


def test_words_are_coloured_by_sign_and_strength():
    source = answer(("so", 0.25, -1.0), ("happy", 0.75, 2.0))._repr_html_()
    so, happy = marks(source)
    assert so == (
        pytest.approx(0.28, abs=0.01),
        False,
        "attribution -1.000, attention +0.250",
        "so",
    )
    assert happy[:2] == (0.55, True)
    assert "</bdi> <bdi" in source
    assert "<bdi>joy</bdi></b> 0.750" in source


def test_attention_alone_is_shown_by_its_strength():
    found = marks(answer(("so", 0.25, None), ("happy", 0.75, None))._repr_html_())
    assert [red for _, red, _, _ in found] == [True, True]
    assert found[0][0] < found[1][0]


def test_hostile_words_are_text():
    source = answer(("<script>", 0.5, 1.0), ('"onload="', 0.5, 0.0), label="<b>")._repr_html_()
    assert "<script" not in source
    assert '"onload' not in source
    assert "&lt;b&gt;" in source
    assert "<p" in answer()._repr_html_()


def test_an_answer_is_a_dict_in_every_other_respect(run_result):
    from transformers import pipeline

    import hf_attn_attr  # noqa: F401

    trained = run_result[0].training
    ask = pipeline("attention-attribution", model=trained.model, tokenizer=trained.tokenizer)
    found = ask("a lovely day")
    assert isinstance(found, dict)
    assert json.loads(json.dumps(found)) == found
    assert [text for *_, text in marks(found._repr_html_())] == ["a", "lovely", "day"]
    assert [type(one) for one in ask(["a day", "b"])] == [Answer, Answer]

"""The word rule over all of Unicode."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_attn_attr.errors import InvalidInputError
from hf_attn_attr.influence import WordRule

RULES = [WordRule(lower, form) for lower in (True, False) for form in ("NFC", "NFKC", None)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_key_is_its_own_key_for_every_code_point(rule):
    for code in range(sys.maxunicode + 1):
        key = rule.key(chr(code))
        assert rule.key(key) == key, hex(code)


@given(st.text(), st.sampled_from(RULES))
def test_a_key_is_its_own_key(word, rule):
    assert rule.key(rule.key(word)) == rule.key(word)


@given(st.text(), st.sampled_from(["NFC", "NFKC"]))
def test_encodings_of_one_text_have_one_key(word, form):
    rule = WordRule(True, form)
    assert rule.key(unicodedata.normalize("NFD", word)) == rule.key(word)


def test_the_rule_says_which_spellings_are_one_word():
    rule = WordRule()
    assert rule.key("H\u0331") == rule.key("h\u0331") == "\u1e96"
    assert rule.key("NA\u00cfVE") == rule.key("nai\u0308ve")
    assert rule.key("\ufb01t") != rule.key("fit")
    assert WordRule(True, "NFKC").key("\ufb01t") == "fit"
    assert WordRule(False).key("US") != WordRule(False).key("us")
    assert (
        WordRule(False).key("\u00c9T\u00c9")
        == WordRule(False).key("E\u0301TE\u0301")
        == "\u00c9T\u00c9"
    )
    assert WordRule(True, None).key("na\u00efve") != WordRule(True, None).key("nai\u0308ve")


@given(st.sampled_from(RULES))
def test_a_rule_can_be_written_down_and_read_back(rule):
    assert WordRule(**rule.describe()) == rule


def test_an_unknown_rule_is_refused():
    with pytest.raises(InvalidInputError, match="NFD"):
        WordRule(True, "NFD")
    with pytest.raises(InvalidInputError, match="lowercase"):
        WordRule("yes")

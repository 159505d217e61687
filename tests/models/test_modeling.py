"""The model: exact decomposition, exactness under padding, transformers' conventions."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

import hf_attn_attr
from hf_attn_attr import (
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    SelfAttentiveModel,
)
from hf_attn_attr.models.modeling_self_attentive import char_ngrams, neighbours, redundancy

LINEAR = [
    {"value_source": source, "attention_type": attention, "num_attention_hops": hops, **rnn}
    for source, attention, hops, rnn in itertools.product(
        ("hidden", "embedding", "both", "gate", "both_gated"),
        ("additive", "key_value"),
        (1, 3),
        (
            {"rnn_type": "lstm", "num_hidden_layers": 1},
            {"rnn_type": "gru", "num_hidden_layers": 2},
        ),
    )
]


def tiny(dtype=torch.float64, **fields):
    """A small model in eval mode with random weights and, above all, random biases.

    At initialisation all biases and the padding embedding are 0, and a model that leaks padding
    looks exact.
    """
    config = SelfAttentiveConfig(
        **{
            "vocab_size": 40,
            "num_labels": 3,
            "embedding_size": 10,
            "hidden_size": 6,
            "attention_size": 5,
            "char_ngram_buckets": 20,
            "char_ngrams_per_token": 4,
            **fields,
        }
    )
    torch.manual_seed(0)
    model = SelfAttentiveForSequenceClassification(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
        if config.char_ngram_buckets:
            model.self_attentive.embeddings.ngram_ids.random_(0, 20)
    return model


def batch(padding="right"):
    """Five texts of 9, 5, 7, 1 and 0 tokens."""
    torch.manual_seed(1)
    ids = torch.randint(1, 40, (5, 9))
    mask = torch.arange(9) < torch.tensor([[9], [5], [7], [1], [0]])
    if padding == "left":
        ids, mask = ids.flip(1), mask.flip(1)
    return {"input_ids": ids * mask, "attention_mask": mask.long()}


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("fields", LINEAR, ids=lambda fields: "-".join(map(str, fields.values())))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_base_value_and_attributions_sum_to_the_logits(fields, dtype, tolerance):
    model = tiny(dtype, **fields)
    inputs = batch()
    model.measure_gauge([inputs])
    out = model(**inputs, output_attributions=True)
    rebuilt = out.base_value + out.attributions.sum(1)
    assert relative(rebuilt[:4], out.logits[:4]) < tolerance
    assert not out.attributions[inputs["attention_mask"] == 0].any()
    if fields["value_source"] == "gate":
        assert out.word_attributions is None
        assert out.context_attributions is None
    else:
        parts = out.word_attributions + out.context_attributions
        assert relative(parts, out.attributions) < tolerance
        assert out.word_attributions.any() == (fields["value_source"] != "hidden")
        assert out.context_attributions.any() == (fields["value_source"] != "embedding")


def test_base_value_is_the_mean_logit_of_the_measured_texts():
    model = tiny()
    inputs = batch()
    model.measure_gauge(
        [{k: v[:2] for k, v in inputs.items()}, {k: v[2:] for k, v in inputs.items()}]
    )
    out = model(**inputs, output_attributions=True)
    assert int(model.gauge_texts) == 4  # the text without tokens is left out
    assert torch.allclose(out.base_value, out.logits[:4].mean(0), atol=1e-12)


@pytest.mark.parametrize("source", ["both", "both_gated"])
@pytest.mark.parametrize("part", ["word", "context"])
def test_attributions_do_not_move_when_values_are_shifted_by_a_constant(part, source, monkeypatch):
    model = tiny(value_source=source)
    inputs = batch()
    model.measure_gauge([inputs])
    before = model(**inputs, output_attributions=True)

    values = model.self_attentive.values
    cut = values.hidden_size
    columns = slice(cut, None) if part == "word" else slice(0, cut)
    parts, shift = values.parts, torch.zeros(values.size, dtype=torch.float64)
    shift[columns] = torch.randn(values.size, dtype=torch.float64)[columns]
    shifts = shift.tensor_split([cut])
    monkeypatch.setattr(
        values,
        "parts",
        lambda *of: [found + by for found, by in zip(parts(*of), shifts, strict=True)],
    )
    with torch.no_grad():
        model.classifier.bias -= model.classifier.weight @ shift  # the logits stay as they were
    model.measure_gauge([inputs])
    after = model(**inputs, output_attributions=True)

    assert torch.allclose(after.logits[:4], before.logits[:4], atol=1e-12)
    assert torch.allclose(after.base_value, before.base_value, atol=1e-12)
    for name in ("attributions", "word_attributions", "context_attributions"):
        assert torch.allclose(getattr(after, name), getattr(before, name), atol=1e-12)


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize(
    "fields", [{}, {"rnn_type": "gru", "num_hidden_layers": 2}, {"value_source": "both_gated"}]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_a_text_alone_gives_what_it_gives_in_a_padded_batch(padding, fields, dtype, tolerance):
    model = tiny(dtype, **fields)
    inputs = batch(padding)
    together = model(**inputs, output_attentions=True)
    for row in range(4):
        real = inputs["attention_mask"][row].bool()
        alone = model(inputs["input_ids"][row : row + 1, real], output_attentions=True)
        assert relative(together.logits[row], alone.logits[0]) < tolerance
        weights = together.attentions[0][row][:, real]
        assert relative(weights, alone.attentions[0][0]) < tolerance


@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    hops=st.integers(1, 4),
    left=st.booleans(),
)
@settings(max_examples=60)
def test_attention_is_a_distribution_over_the_tokens_of_each_text(lengths, hops, left):
    model = tiny(num_attention_hops=hops)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    mask = mask.flip(1) if left else mask
    ids = torch.randint(1, 40, mask.shape)
    (attention,) = model(ids, mask.long(), output_attentions=True).attentions
    assert attention.shape == (len(lengths), hops, max(lengths))
    assert not attention.masked_select(~mask.unsqueeze(1)).any()
    wanted = (torch.tensor(lengths) > 0).double()[:, None].expand(-1, hops)
    assert torch.allclose(attention.sum(-1), wanted, atol=1e-12)


@pytest.mark.parametrize("padding", ["right", "left"])
def test_the_neighbours_of_a_word_alone_turn_it_round(padding):
    model = tiny(value_source="both_gated")
    inputs = batch(padding)
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    middle = int(inputs["attention_mask"][1].argmax()) + 2  # the third of the second text's tokens
    changed["input_ids"][1, middle] = 40 - inputs["input_ids"][1, middle]
    base, values = model.self_attentive, model.self_attentive.values
    gates = []
    for one in (inputs, changed):
        out = base(**one)
        gates.append(values.gating(out.last_hidden_state)[1, :, 0])
        own = out.value_parts[1][1]
        embeds = base.embeddings(one["input_ids"], None)[1]
        assert torch.allclose(own, gates[-1][:, None] * embeds)
    assert gates[0][middle] == gates[1][middle]
    assert (gates[0] != gates[1])[[middle - 1, middle + 1]].all()

    before = [neighbours(base(**inputs).last_hidden_state)[row] for row in range(3)]
    for row, states in enumerate(before):
        real = inputs["attention_mask"][row].bool()
        first, last = real.nonzero()[[0, -1], 0].tolist()
        assert not states[first, :6].any()  # nothing comes before, and nothing behind
        assert not states[last, 6:].any()


def test_a_new_gate_is_open_for_all_words():
    config = SelfAttentiveConfig(vocab_size=40, value_source="both_gated", char_ngram_buckets=0)
    model = SelfAttentiveForSequenceClassification(config).eval()
    states = model.self_attentive(**batch()).last_hidden_state
    gates = model.self_attentive.values.gating(states)
    assert (gates - math.tanh(1)).abs().max() < 0.1


@pytest.mark.parametrize("source", ["both", "both_gated"])
def test_context_dropout_leaves_the_states_of_whole_texts_out(source):
    model = tiny(
        value_source=source, context_dropout=0.5, embedding_dropout=0.0, word_dropout=0.0,
        hidden_dropout=0.0, classifier_dropout=0.0,
    )  # fmt: skip
    inputs = {"input_ids": torch.randint(1, 40, (200, 4))}
    full = model(**inputs).logits
    values = model.self_attentive.values
    with torch.no_grad():
        weight = model.classifier.weight.clone()
        model.classifier.weight[:, : values.hidden_size] = 0
        own = model(**inputs).logits
        model.classifier.weight.copy_(weight)
    found = model.train()(**inputs).logits
    without = torch.isclose(found, own).all(1)
    assert torch.isclose(found, full).all(1)[~without].all()
    assert 60 < without.sum() < 140
    assert torch.equal(model.eval()(**inputs).logits, full)


@pytest.mark.parametrize("source", ["both", "both_gated"])
@pytest.mark.parametrize("ids", [torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, 3).long()])
def test_texts_without_tokens_get_the_bias_as_logits(ids, source):
    model = tiny(value_source=source)
    out = model(ids, torch.zeros_like(ids), output_attentions=True)
    assert torch.equal(out.logits, model.classifier.bias.expand(2, -1))
    assert not out.attentions[0].any()


def test_folding_char_ngrams_keeps_the_outputs_and_drops_the_table(tmp_path):
    model = tiny()
    inputs = batch()
    before = model(**inputs).logits
    model.fold_embeddings()
    assert torch.allclose(model(**inputs).logits, before, atol=1e-12)
    model.save_pretrained(tmp_path)
    again = SelfAttentiveForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)
    assert not [name for name in again.state_dict() if "ngram" in name]


STATIC = [
    {"static_embedding_mode": "project", "static_embedding_size": 7},
    {"static_embedding_mode": "two_channel", "static_embedding_size": 4, "char_ngram_buckets": 0},
    {"static_embedding_mode": "two_channel", "static_embedding_size": 4},
    {"static_embedding_mode": "frozen", "static_embedding_size": 10, "char_ngram_buckets": 0},
]


def with_vectors(fields):
    model = tiny(**fields)
    vectors = torch.randn(40, fields["static_embedding_size"], dtype=torch.float64)
    model.set_static_vectors(vectors)
    return model, vectors


@pytest.mark.parametrize("fields", STATIC)
def test_folding_fixed_vectors_keeps_outputs_and_additivity(fields, tmp_path):
    model, _ = with_vectors(fields)
    before = model(**batch()).logits
    model.fold_embeddings()
    assert torch.allclose(model(**batch()).logits, before, atol=1e-12)
    model.measure_gauge([batch()])
    model.float().save_pretrained(tmp_path)
    again = SelfAttentiveForSequenceClassification.from_pretrained(tmp_path)
    assert not [name for name in again.state_dict() if "static" in name or "ngram" in name]
    out = again(**batch(), output_attributions=True)
    rebuilt = out.base_value + out.attributions.sum(1)
    real = batch()["attention_mask"].bool().any(1)
    assert (rebuilt - out.logits)[real].abs().max() < 1e-5
    assert (out.logits - before).abs().max() < 1e-5


@pytest.mark.parametrize("fields", STATIC)
def test_training_leaves_fixed_vectors_fixed_and_a_checkpoint_keeps_the_parts(fields, tmp_path):
    model, vectors = with_vectors(fields)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(**batch(), labels=torch.zeros(5, dtype=torch.long)).loss.backward()
    optimizer.step()
    embeddings = model.self_attentive.embeddings
    assert torch.equal(embeddings.static_vectors, vectors)
    trained = embeddings.embed_tokens.weight.grad
    size = {"project": 10, "two_channel": 6, "frozen": 0}[fields["static_embedding_mode"]]
    assert trained[:, :size].any() or not size
    assert not trained[:, size:].any()
    model.eval().save_pretrained(tmp_path)
    again = SelfAttentiveForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(again(**batch()).logits, model(**batch()).logits)
    again.fold_embeddings()
    assert torch.allclose(again(**batch()).logits, model(**batch()).logits, atol=1e-6)


def test_fixed_vectors_of_another_shape_are_refused():
    model = tiny(**STATIC[0])
    with pytest.raises(ValueError, match=r"shape \(40, 3\); this model needs \(40, 7\)"):
        model.set_static_vectors(torch.zeros(40, 3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"static_embedding_mode": "two_channel", "static_embedding_size": 10}, "below embedding"),
        ({"static_embedding_mode": "frozen", "static_embedding_size": 3}, "need embedding_size"),
    ],
)
def test_fixed_vectors_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        SelfAttentiveConfig(embedding_size=10, **fields)


def test_new_tokens_have_no_fixed_vector():
    model, vectors = with_vectors(STATIC[0])
    model.resize_token_embeddings(43)
    kept = model.self_attentive.embeddings.static_vectors
    assert torch.equal(kept[:40], vectors)
    assert not kept[40:].any()
    assert model(torch.tensor([[41, 42]])).logits.isfinite().all()


def test_char_ngrams_have_boundary_marks_and_continuations_only_an_end():
    assert char_ngrams("cat", 3, 4) == ["<ca", "cat", "at>", "<cat", "cat>"]
    assert char_ngrams("##ing", 3, 3) == ["ing", "ng>"]
    assert char_ngrams("a", 4, 5) == []


@pytest.mark.parametrize(
    "fields",
    [{}, {"head_hidden_size": 7}, {"value_source": "gate"}, {"value_source": "both_gated"}],
)
def test_saving_and_loading_changes_no_bit(fields, tmp_path):
    model = tiny(torch.float32, **fields)
    inputs = batch()
    if not fields.get("head_hidden_size"):
        model.measure_gauge([inputs])
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is SelfAttentiveForSequenceClassification
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_auto_classes_know_the_model(tmp_path):
    tiny(torch.float32).save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), SelfAttentiveConfig)
    assert isinstance(AutoModel.from_pretrained(tmp_path), SelfAttentiveModel)


def test_loading_in_half_precision_still_gives_a_distribution(tmp_path):
    tiny(torch.float32).save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    (attention,) = model(**batch(), output_attentions=True).attentions
    assert attention.dtype == torch.float32  # halves do not sum to 1
    assert (attention.sum(-1)[:4] - 1).abs().max() < 1e-6


def test_an_mlp_head_refuses_attributions_and_names_the_alternatives():
    model = tiny(head_hidden_size=8)
    assert model(**batch()).logits.shape == (5, 3)
    with pytest.raises(ValueError, match="head_hidden_size=0, or another attribution method"):
        model(**batch(), output_attributions=True)
    with pytest.raises(ValueError, match="hidden layer in its head"):
        model.measure_gauge([batch()])


def test_a_gauge_that_training_made_stale_is_refused():
    model = tiny()
    with pytest.raises(ValueError, match="measure_gauge"):
        model(**batch(), output_attributions=True)
    model.measure_gauge([batch()])
    model(**batch(), output_attributions=True)
    model.train()(**batch(), labels=torch.zeros(5, dtype=torch.long)).loss.backward()
    with pytest.raises(ValueError, match="measure_gauge"):
        model.eval()(**batch(), output_attributions=True)


def test_a_gauge_needs_a_text_with_tokens():
    empty = {"input_ids": torch.zeros(2, 3).long(), "attention_mask": torch.zeros(2, 3).long()}
    with pytest.raises(ValueError, match="No text has a token"):
        tiny().measure_gauge([empty])


@pytest.mark.parametrize(
    ("problem", "labels", "reference"),
    [
        ("single_label_classification", torch.tensor([0, 1, 2, 0, 1]), "cross_entropy"),
        (
            "multi_label_classification",
            torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1]]),
            "binary_cross_entropy_with_logits",
        ),
        ("regression", torch.tensor([[0.5] * 3, [1] * 3, [2] * 3, [0] * 3, [1] * 3]), "mse_loss"),
    ],
)
def test_each_problem_type_has_its_loss(problem, labels, reference):
    model = tiny(problem_type=problem)
    out = model(**batch(), labels=labels)
    target = labels if problem.startswith("single") else labels.double()
    wanted = getattr(torch.nn.functional, reference)(out.logits, target)
    assert torch.allclose(out.loss, wanted)
    out.loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_penalty_is_that_of_lin_et_al():
    attention = torch.rand(2, 3, 5, dtype=torch.float64)
    wanted = [
        torch.linalg.matrix_norm(a @ a.T - torch.eye(3, dtype=torch.float64)) ** 2
        for a in attention
    ]
    assert torch.allclose(redundancy(attention), torch.stack(wanted))
    plain, penalised = (tiny(num_attention_hops=3, attention_penalty=x) for x in (0.0, 0.7))
    labels = torch.zeros(5, dtype=torch.long)
    out = penalised(**batch(), labels=labels, output_attentions=True)
    extra = 0.7 * redundancy(out.attentions[0]).mean()
    assert torch.allclose(out.loss, plain(**batch(), labels=labels).loss + extra)


def test_inputs_embeds_replace_input_ids():
    model = tiny()
    inputs = batch()
    embeds = model.self_attentive.embeddings.lookup(inputs["input_ids"])
    by_embeds = model(inputs_embeds=embeds, attention_mask=inputs["attention_mask"])
    assert torch.equal(by_embeds.logits, model(**inputs).logits)
    with pytest.raises(ValueError, match="exactly one"):
        model(**inputs, inputs_embeds=embeds)
    with pytest.raises(ValueError, match="exactly one"):
        model()


def test_hidden_states_and_tuples_follow_transformers():
    model = tiny(num_hidden_layers=2)
    out = model(**batch(), output_hidden_states=True)
    assert [tuple(states.shape) for states in out.hidden_states] == [
        (5, 9, 10),
        (5, 9, 12),
        (5, 9, 12),
    ]
    assert out.attentions is None
    assert torch.equal(model(**batch(), return_dict=False)[0], out.logits)


def test_resizing_keeps_known_tokens_and_their_ngrams():
    model = tiny()
    inputs = batch()
    before = model(**inputs).logits
    model.resize_token_embeddings(50, mean_resizing=False)
    assert model.config.vocab_size == 50
    assert torch.equal(model(**inputs).logits, before)
    ids = torch.full((1, 2), 49)
    assert torch.isfinite(model(ids).logits).all()
    assert not model.self_attentive.embeddings.ngram_ids[40:].any()


def test_lin2017_preset_trains():
    from hf_attn_attr.models.configuration_self_attentive import PRESETS

    config = SelfAttentiveConfig(**{**PRESETS["lin2017"], "vocab_size": 40, "num_labels": 3})
    model = SelfAttentiveForSequenceClassification(config)
    labels = torch.tensor([0, 1, 2, 0, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        out = model(**batch(), labels=labels, output_attentions=True)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    assert out.attentions[0].shape == (5, 30, 9)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size"),
        ({"classifier_dropout": 1.0}, "classifier_dropout"),
        ({"attention_penalty": -1}, "attention_penalty"),
        ({"char_ngram_min": 5, "char_ngram_max": 4}, "char_ngram_max"),
        ({"problem_type": "guessing"}, "problem_type"),
        ({"thresholds": [0.5], "num_labels": 3}, "thresholds"),
        ({"rnn_type": "transformer"}, "rnn_type"),
        ({"value_source": "none"}, "value_source"),
        ({"hidden_size": "64"}, "hidden_size"),
    ],
)
def test_a_config_no_model_can_be_built_from_is_refused(fields, message):
    with pytest.raises(Exception, match=message):
        SelfAttentiveConfig(**fields)


def test_public_names_are_all_there():
    for name in hf_attn_attr.__all__:
        assert getattr(hf_attn_attr, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = hf_attn_attr.nothing_of_the_kind

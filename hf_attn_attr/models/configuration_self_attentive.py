"""Configuration of the structured self-attentive text classifier."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

PROBLEM_TYPES = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)


@strict
class SelfAttentiveConfig(PreTrainedConfig):
    """Embedding + bidirectional RNN + structured self-attention + classification head.

    The defaults are the model this package recommends: one attention hop over values
    `[BiLSTM state ; own embedding]` and a linear head, so that each logit splits exactly into one
    term per token. Source: Lin et al. 2017, "A Structured Self-attentive Sentence Embedding".

    Args:
        vocab_size: Number of tokens of the tokenizer.
        max_length: Tokens of a text beyond this many are cut off by the tokenizer.
        embedding_size: Width E of a token's embedding.
        char_ngram_buckets: Hash buckets of the character n-grams whose mean vector is added to the
            embedding of each token (Bojanowski et al. 2017); 0 turns them off. Their token table is
            filled by `model.set_char_ngrams(tokenizer)`.
        char_ngram_min: Shortest character n-gram.
        char_ngram_max: Longest character n-gram.
        char_ngrams_per_token: N-grams kept of each token, shorter ones first.
        static_embedding_size: Width S of fixed pretrained vectors that training keeps beside the
            token table; 0 is none. They are filled by `model.set_static_vectors(vectors)` and
            folded into the table by `model.fold_embeddings()`.
        static_embedding_mode: How the fixed vectors s enter a token's embedding: "project" adds
            P s with a trained matrix P; "two_channel" puts s into the last S columns and leaves
            the others to the trained table; "frozen" is s alone (S = E).
        hidden_size: Width of one direction of the RNN; its states have 2 * hidden_size entries.
        num_hidden_layers: Stacked RNN layers.
        rnn_type: "lstm" or "gru".
        num_attention_hops: Attention distributions r over each text.
        attention_type: "additive" is W_s2 tanh(W_s1 H^T) (Lin et al. 2017, eq. 5-6); "key_value" is
            the scaled dot product of learned constant queries with projected states, over
            separately projected values.
        attention_size: Width d_a of the attention's hidden layer (of keys and values in
            "key_value").
        attention_penalty: Weight of ||A A^T - I||_F^2 in the loss (Lin et al. 2017, eq. 8).
        attention_supervision: Weight in the loss of the cross-entropy between attention and the
            `attention_targets` of a batch (Mathew et al. 2021). Above 0 it says that attention was
            told what people marked as reasons, so their agreement is no finding.
        value_source: What attention pools: "hidden" states, the tokens' own "embedding", "both"
            side by side, "gate" (the embedding times a signed scalar, the tanh of a linear
            function of the state), or "both_gated" (the state beside the embedding times such a
            scalar, here a function of the states that its neighbours left: what comes before and
            behind a word can turn it round).
        head_hidden_size: Width of the head's hidden ReLU layer; 0 is a linear head. Only a linear
            head has exact attributions.
        embedding_dropout: Dropout on the embeddings.
        word_dropout: Probability that a token's embedding is dropped as a whole.
        hidden_dropout: Dropout on the RNN states.
        context_dropout: Probability that training leaves the states out of the pooled values of a
            text, where embeddings stand beside them ("both", "both_gated"): a word's own part then
            has to say what it can alone.
        classifier_dropout: Dropout on the pooled values.
        initializer_range: Standard deviation of new embeddings and linear weights.
        thresholds: Multi-label decision thresholds, one probability per label; None is 0.5 each.
        word_vectors: Where pretrained word vectors in the token table came from; None if there are
            none. Influence then includes lexical knowledge that the training texts did not teach.
        teacher: The classifier this one was distilled from; None if none.
        pad_token_id: Token whose embedding is zero.
    """

    model_type = "self_attentive"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "attentions",
        "hidden_states",
        "attributions",
        "word_attributions",
        "context_attributions",
    ]

    vocab_size: int = 30000
    max_length: int = 2048
    embedding_size: int = 128
    char_ngram_buckets: int = 20000
    char_ngram_min: int = 3
    char_ngram_max: int = 5
    char_ngrams_per_token: int = 32
    static_embedding_size: int = 0
    static_embedding_mode: Literal["project", "two_channel", "frozen"] = "project"
    hidden_size: int = 64
    num_hidden_layers: int = 1
    rnn_type: Literal["lstm", "gru"] = "lstm"
    num_attention_hops: int = 1
    attention_type: Literal["additive", "key_value"] = "additive"
    attention_size: int = 64
    attention_penalty: float | int = 0.0
    attention_supervision: float | int = 0.0
    value_source: Literal["hidden", "embedding", "both", "gate", "both_gated"] = "both"
    head_hidden_size: int = 0
    embedding_dropout: float | int = 0.4
    word_dropout: float | int = 0.1
    hidden_dropout: float | int = 0.2
    context_dropout: float | int = 0.0
    classifier_dropout: float | int = 0.4
    initializer_range: float | int = 0.1
    thresholds: list[float] | None = None
    word_vectors: str | None = None
    teacher: str | None = None
    pad_token_id: int | None = 0

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """A config from a dictionary, without what would bring code from a repository.

        No kernel is ever needed. What names the repository's own code is kept only where this class
        is such code itself.
        """
        unwanted = ["attn_implementation"]
        if not cls.__module__.startswith("transformers_modules."):
            unwanted += ["auto_map", "custom_pipelines"]
        config_dict = {name: value for name, value in config_dict.items() if name not in unwanted}
        return super().from_dict(config_dict, **kwargs)

    def validate_architecture(self) -> None:
        """Refuse settings that no model can be built from.

        Raises:
            ValueError: If a field is out of range; the message names the field and its range.
        """
        super().validate_architecture()
        for name in (
            "vocab_size",
            "max_length",
            "embedding_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_hops",
            "attention_size",
            "char_ngram_min",
            "char_ngrams_per_token",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in (
            "char_ngram_buckets",
            "static_embedding_size",
            "head_hidden_size",
            "attention_penalty",
            "attention_supervision",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative.")
        for name in (
            "embedding_dropout",
            "word_dropout",
            "hidden_dropout",
            "context_dropout",
            "classifier_dropout",
        ):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")
        if self.char_ngram_max < self.char_ngram_min:
            raise ValueError(
                f"char_ngram_max is {self.char_ngram_max}, below char_ngram_min "
                f"({self.char_ngram_min})."
            )
        self._validate_static_embeddings()
        if self.problem_type is not None and self.problem_type not in PROBLEM_TYPES:
            raise ValueError(
                f"problem_type is {self.problem_type!r}; it must be one of {PROBLEM_TYPES} or None."
            )
        if self.thresholds is not None and len(self.thresholds) != self.num_labels:
            raise ValueError(
                f"thresholds has {len(self.thresholds)} entries for {self.num_labels} labels; give "
                "one per label, or None."
            )

    def _validate_static_embeddings(self) -> None:
        size, mode = self.static_embedding_size, self.static_embedding_mode
        if mode == "two_channel" and size >= self.embedding_size:
            raise ValueError(
                f"static_embedding_size is {size}; two channels need it below embedding_size "
                f"({self.embedding_size})."
            )
        if mode == "frozen" and size not in (0, self.embedding_size):
            raise ValueError(
                f"static_embedding_size is {size}; frozen vectors need embedding_size "
                f"({self.embedding_size})."
            )


# A word's own part can be turned round by its neighbours, as "not" does, and learns to stand alone.
_FAITHFUL: dict[str, Any] = {"value_source": "both_gated", "context_dropout": 0.5}

PRESETS: dict[str, dict[str, Any]] = {
    "default": _FAITHFUL,
    "fast": {
        **_FAITHFUL,
        "embedding_size": 64,
        "char_ngram_buckets": 0,
        "hidden_size": 32,
        "attention_size": 32,
    },
    "plain": {},
    # Lin et al. 2017, section 4: 30 hops flattened, d_a = 350, u = 300, penalty, 2-layer ReLU head.
    "lin2017": {
        "embedding_size": 100,
        "char_ngram_buckets": 0,
        "hidden_size": 300,
        "num_attention_hops": 30,
        "attention_size": 350,
        "attention_penalty": 1.0,
        "value_source": "hidden",
        "head_hidden_size": 3000,
        "embedding_dropout": 0.0,
        "word_dropout": 0.0,
        "hidden_dropout": 0.0,
        "classifier_dropout": 0.5,
    },
}

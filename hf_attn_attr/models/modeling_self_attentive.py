"""Structured self-attentive text classifier whose logits split exactly into terms per token.

Source: Lin et al. 2017, "A Structured Self-attentive Sentence Embedding". Shapes use B texts,
T tokens, H = 2 * hidden_size, E = embedding_size, r hops, D values per hop, C labels.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import ModelOutput
from transformers.utils import can_return_tuple, logging

from .configuration_self_attentive import SelfAttentiveConfig
from .precision import without_cudnn

logger = logging.get_logger(__name__)


@dataclass
class SelfAttentiveModelOutput(ModelOutput):
    """What the encoder returns.

    Attributes:
        last_hidden_state: RNN states, float (B, T, H); 0 at padding.
        pooler_output: Attention-pooled values, hop after hop, float (B, r * D).
        hidden_states: Embeddings, then the states of each layer, if asked for.
        attentions: One tensor (B, r, T): each hop sums to 1 over the tokens of a text, is exactly 0
            at padding, and all 0 for a text without tokens.
        value_parts: What attention pools: the values' columns from states, (B, T, 0 or H), and from
            embeddings, (B, T, 0 or E).
    """

    last_hidden_state: Any = None
    pooler_output: Any = None
    hidden_states: Any = None
    attentions: Any = None
    value_parts: Any = None


@dataclass
class SelfAttentiveOutput(ModelOutput):
    """What the classifier returns.

    Attributes:
        loss: Mean loss plus attention penalty and supervision, float (), if labels were given.
        logits: float (B, C).
        hidden_states: Embeddings, then the states of each layer, if asked for.
        attentions: One tensor (B, r, T), if asked for.
        attributions: Signed terms of the logits in logits, float (B, T, C), if asked for.
            `base_value + attributions.sum(1) == logits` for every text with at least one token.
        word_attributions: The part of `attributions` from the token's own embedding, same shape;
            None for values "gate", which have no such split.
        context_attributions: The part from its RNN state, likewise.
        base_value: The average logit over the training texts, float (C,), with attributions.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    attributions: Tensor | None = None
    word_attributions: Tensor | None = None
    context_attributions: Tensor | None = None
    base_value: Tensor | None = None


def char_ngrams(word: str, shortest: int, longest: int) -> list[str]:
    """Character n-grams of a word between boundary marks, shorter ones first.

    A WordPiece continuation ("##ing") has only the end mark. Source: Bojanowski et al. 2017,
    "Enriching Word Vectors with Subword Information", section 3.2.
    """
    marked = word.removeprefix("##") + ">" if word.startswith("##") else f"<{word}>"
    return [
        marked[start : start + size]
        for size in range(shortest, longest + 1)
        for start in range(len(marked) - size + 1)
    ]


class SelfAttentiveEmbeddings(nn.Module):
    """Token vectors from up to three parts, which training keeps apart and `fold` makes one table.

    A table; the mean vector of each token's character n-grams, added to it; and fixed pretrained
    vectors, which enter as `config.static_embedding_mode` says.
    """

    ngram_ids: Tensor
    static_vectors: Tensor

    def __init__(self, config: SelfAttentiveConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(
            config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id
        )
        self.ngram_embeddings: nn.Embedding | None = None
        self.static_projection: nn.Linear | None = None
        self.static_size = config.static_embedding_size
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.word_dropout = config.word_dropout
        if config.char_ngram_buckets:
            # Row 0 pads the token table; hashed n-grams have rows 1..buckets.
            self.ngram_embeddings = nn.Embedding(
                config.char_ngram_buckets + 1, config.embedding_size, padding_idx=0
            )
            self.register_buffer(
                "ngram_ids",
                torch.zeros(config.vocab_size, config.char_ngrams_per_token, dtype=torch.int32),
            )
        if self.static_size:
            self.register_buffer("static_vectors", torch.zeros(config.vocab_size, self.static_size))
            if config.static_embedding_mode == "project":
                self.static_projection = nn.Linear(
                    self.static_size, config.embedding_size, bias=False
                )

    def forward(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        """Vectors of tokens (B, T) int, or the given vectors, after dropout: float (B, T, E)."""
        if inputs_embeds is None:
            assert input_ids is not None  # the encoder checks that one of them is given
            inputs_embeds = self.lookup(input_ids)
        if self.training and self.word_dropout:
            keep = torch.rand_like(inputs_embeds[..., :1]) >= self.word_dropout
            inputs_embeds = inputs_embeds * keep
        return self.dropout(inputs_embeds)

    def lookup(self, input_ids: Tensor) -> Tensor:
        """Vectors of token ids of any shape, float (..., E), without dropout."""
        if self.ngram_embeddings is None and not self.static_size:
            return self.embed_tokens(input_ids)
        # Each distinct token once: a batch repeats its words, and n-grams are the costly part.
        distinct, position = input_ids.unique(return_inverse=True)
        return self._combined(distinct)[position]

    def _combined(self, token_ids: Tensor) -> Tensor:
        """Vectors (n, E) of token ids (n,) from all parts."""
        vectors = self.embed_tokens(token_ids)
        if self.ngram_embeddings is not None:
            vectors = vectors + nn.functional.embedding_bag(
                self.ngram_ids[token_ids],
                self.ngram_embeddings.weight,
                mode="mean",
                padding_idx=0,
            )
        if not self.static_size:
            return vectors
        static = self.static_vectors[token_ids]
        if self.static_projection is not None:
            return vectors + self.static_projection(static)
        # Two channels; frozen vectors leave no column to the table.
        return torch.cat([vectors[:, : vectors.shape[1] - self.static_size], static], dim=1)

    def set_ngrams(self, tokens: Sequence[str | None], config: SelfAttentiveConfig) -> None:
        """Hash the n-grams of each token, None for special tokens, into the token table."""
        table = torch.zeros_like(self.ngram_ids, device="cpu")
        for token_id, token in enumerate(tokens[: table.shape[0]]):
            if token is None:
                continue
            ngrams = char_ngrams(token, config.char_ngram_min, config.char_ngram_max)
            rows = [
                1 + zlib.crc32(ngram.encode()) % config.char_ngram_buckets
                for ngram in ngrams[: table.shape[1]]
            ]
            table[token_id, : len(rows)] = torch.tensor(rows, dtype=table.dtype)
        self.ngram_ids.copy_(table)

    @torch.no_grad()
    def fold(self) -> None:
        """Make all parts one table and drop them; outputs stay the same."""
        every = torch.arange(
            self.embed_tokens.num_embeddings, device=self.embed_tokens.weight.device
        )
        self.embed_tokens.weight.copy_(self._combined(every))
        self.embed_tokens.weight.requires_grad_(True)
        if self.ngram_embeddings is not None:
            self.ngram_embeddings = None
            del self.ngram_ids
        if self.static_size:
            self.static_projection = None
            self.static_size = 0
            del self.static_vectors


class BidirectionalRNN(nn.Module):
    """Stacked bidirectional LSTM or GRU that padding cannot reach.

    Each direction is its own one-direction RNN; the second reads every text reversed in place, so
    that padding stays last for both: exact like packing, and faster.
    """

    def __init__(self, config: SelfAttentiveConfig):
        super().__init__()
        rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[config.rnn_type]
        widths = [config.embedding_size] + [2 * config.hidden_size] * (config.num_hidden_layers - 1)
        self.forward_layers = nn.ModuleList(
            rnn(width, config.hidden_size, batch_first=True) for width in widths
        )
        self.backward_layers = nn.ModuleList(
            rnn(width, config.hidden_size, batch_first=True) for width in widths
        )
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.width = 2 * config.hidden_size

    def forward(self, embeds: Tensor, mask: Tensor) -> list[Tensor]:
        """States of each layer, float (B, T, H), for embeddings (B, T, E) and mask bool (B, T)."""
        batch, length = mask.shape
        if length == 0:
            return [embeds.new_zeros(batch, 0, self.width) for _ in self.forward_layers]
        # Real tokens first, wherever the padding was; undone at the end.
        real = mask.long()
        count = real.sum(1, keepdim=True)
        restore = torch.where(mask, real.cumsum(1), count + (1 - real).cumsum(1)) - 1
        position = torch.arange(length, device=mask.device).expand(batch, length)
        compact = torch.zeros_like(restore).scatter(1, restore, position)
        reverse = torch.where(position < count, count - 1 - position, position)
        states = _take(embeds, compact)
        layers = []
        for ahead, behind in zip(self.forward_layers, self.backward_layers, strict=True):
            # Only training may be as fast as it can.
            with nullcontext() if self.training else without_cudnn(embeds.device):
                left, _ = ahead(states)
                right, _ = behind(_take(states, reverse))
            states = self.dropout(torch.cat([left, _take(right, reverse)], dim=-1))
            layers.append(_take(states, restore) * mask.unsqueeze(-1))
        return layers


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Tokens of `values` (B, T, X) in the order of `index` (B, T)."""
    batch, length = index.shape
    # Whole rows at once: `gather` looks up every number by itself, at five times the cost.
    rows = index + length * torch.arange(batch, device=index.device).unsqueeze(1)
    return values.flatten(0, 1).index_select(0, rows.flatten()).view_as(values)


class StructuredSelfAttention(nn.Module):
    """r attention distributions over the tokens of each text.

    "additive" scores are W_s2 tanh(W_s1 h) (Lin et al. 2017, eq. 5-6); "key_value" scores are
    q . (K h) / sqrt(d_a) with r learned constant queries q.
    """

    def __init__(self, config: SelfAttentiveConfig):
        super().__init__()
        self.additive = config.attention_type == "additive"
        self.projection = nn.Linear(2 * config.hidden_size, config.attention_size, bias=False)
        self.hops = nn.Linear(config.attention_size, config.num_attention_hops, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Attention (B, r, T), in float32 at least, for states (B, T, H) and mask bool (B, T)."""
        keys = self.projection(hidden)
        keys = keys.tanh() if self.additive else keys / keys.shape[-1] ** 0.5
        scores = self.hops(keys).transpose(1, 2)
        # Half precision loses 2e-4 of a sum of 1; float64 stays float64.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        real = mask.unsqueeze(1)
        scores = scores.masked_fill(~real, torch.finfo(scores.dtype).min)
        # The product turns the uniform weights of a text without tokens into zeros.
        return scores.softmax(dim=-1) * real


class TokenValues(nn.Module):
    """The vectors that attention pools, linear in [state ; embedding] but for a gate.

    A gate multiplies the embedding by a signed scalar of the context, as a negator turns a word
    round (Polanyi & Zaenen 2006, "Contextual Valence Shifters"). No bias is added to the values: a
    constant could move freely between the head's bias and every token's term.
    """

    def __init__(self, config: SelfAttentiveConfig):
        super().__init__()
        self.source = config.value_source
        hidden = 2 * config.hidden_size
        self.size = {
            "hidden": hidden,
            "embedding": config.embedding_size,
            "both": hidden + config.embedding_size,
            "gate": config.embedding_size,
            "both_gated": hidden + config.embedding_size,
        }[self.source]
        self.hidden_size = hidden if self.source in ("hidden", "both", "both_gated") else 0
        self.gate = nn.Linear(hidden, 1) if self.source in ("gate", "both_gated") else None
        self.context_dropout = config.context_dropout if 0 < self.hidden_size < self.size else 0.0
        self.projection: nn.Linear | None = None
        if config.attention_type == "key_value":
            self.projection = nn.Linear(self.size, config.attention_size, bias=False)
            self.size = config.attention_size

    def forward(self, context: Tensor, own: Tensor) -> Tensor:
        """Values float (B, T, D) of their two parts."""
        if self.training and self.context_dropout:
            context = context * (torch.rand_like(context[:, :1, :1]) >= self.context_dropout)
        values = torch.cat([context, own], dim=-1)
        return values if self.projection is None else self.projection(values)

    def parts(self, hidden: Tensor, embeds: Tensor) -> tuple[Tensor, Tensor]:
        """The values' columns from states, (B, T, 0 or H), and from embeddings, (B, T, 0 or E)."""
        context = hidden[..., : self.hidden_size]
        if self.source == "hidden":
            return context, embeds[..., :0]
        return context, embeds if self.gate is None else self.gating(hidden) * embeds

    def gating(self, hidden: Tensor) -> Tensor:
        """The gate of each token, between -1 and 1: float (B, T, 1)."""
        assert self.gate is not None  # asked for where there is one
        if self.source == "gate":
            return self.gate(hidden).tanh()
        # Open at first: training begins with what words mean alone.
        return (1 + self.gate(neighbours(hidden))).tanh()

    def head_on_raw(self, weight: Tensor) -> Tensor:
        """A head's weight (C, r, D) as a weight on the raw values, (C, r, raw D)."""
        return weight if self.projection is None else weight @ self.projection.weight


def neighbours(states: Tensor) -> Tensor:
    """The forward state of the token before and the backward state of the one behind, (B, T, H).

    With one RNN layer they have not seen the token itself. 0 at the ends of a text.
    """
    ahead, behind = states.chunk(2, dim=-1)
    end = torch.zeros_like(ahead[:, :1])
    return torch.cat(
        [torch.cat([end, ahead], dim=1)[:, :-1], torch.cat([behind, end], dim=1)[:, 1:]], dim=-1
    )


class SelfAttentivePreTrainedModel(PreTrainedModel):
    """Weight initialisation and loading, shared by encoder and classifier."""

    config: SelfAttentiveConfig
    config_class = SelfAttentiveConfig
    base_model_prefix = "self_attentive"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.GRU):
            for name, parameter in module.named_parameters():
                if "weight" in name:
                    init.xavier_uniform_(parameter)
                else:
                    init.zeros_(parameter)
        elif isinstance(module, SelfAttentiveEmbeddings):
            if module.ngram_embeddings is not None:
                init.zeros_(module.ngram_ids)
            if module.static_size:
                init.zeros_(module.static_vectors)
        elif isinstance(module, SelfAttentiveForSequenceClassification):
            for buffer in (module.gauge_word, module.gauge_context, module.gauge_texts):
                init.zeros_(buffer)


class SelfAttentiveModel(SelfAttentivePreTrainedModel):
    """Encoder: tokens to attention-pooled values.

    Source: Lin et al. 2017, section 2.
    """

    def __init__(self, config: SelfAttentiveConfig):
        super().__init__(config)
        self.embeddings = SelfAttentiveEmbeddings(config)
        self.encoder = BidirectionalRNN(config)
        self.attention = StructuredSelfAttention(config)
        self.values = TokenValues(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token table."""
        return self.embeddings.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token table."""
        self.embeddings.embed_tokens = value

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,  # noqa: ARG002 - transformers passes what it likes
    ) -> SelfAttentiveModelOutput:
        """Encode texts.

        Args:
            input_ids: int (B, T); or give `inputs_embeds`.
            attention_mask: 1 at tokens, 0 at padding on either side, (B, T); None is all tokens.
            inputs_embeds: float (B, T, E) in the place of the token table's vectors.
            output_attentions: Return attentions.
            output_hidden_states: Return embeddings and the states of each layer.
            kwargs: Ignored.

        Returns:
            A `SelfAttentiveModelOutput`.

        Raises:
            ValueError: If not exactly one of `input_ids` and `inputs_embeds` is given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds.")
        embeds = self.embeddings(input_ids, inputs_embeds)
        if attention_mask is None:
            attention_mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
        mask = attention_mask.to(embeds.device).bool()
        layers = self.encoder(embeds, mask)
        hidden = layers[-1]
        attention = self.attention(hidden, mask)
        parts = self.values.parts(hidden, embeds)
        values = self.values(*parts)
        pooled = attention.to(values.dtype) @ values
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        return SelfAttentiveModelOutput(
            last_hidden_state=hidden,
            pooler_output=pooled.flatten(1),
            hidden_states=(embeds, *layers) if output_hidden_states else None,
            attentions=(attention,) if output_attentions else None,
            value_parts=parts,
        )


class SelfAttentiveForSequenceClassification(SelfAttentivePreTrainedModel):
    """Classifier with exact per-token attributions (linear head).

    With values v_t, attention alpha and head W the logit is b_c + sum over hops and tokens of
    alpha_t (W_c . v_t). Attention sums to 1, so a constant could move between b_c and every
    W_c . v_t: the gauge. It is fixed by m_c, the mean over the training texts of the pooled
    W_c . v per hop, measured by `measure_gauge`:

        attribution_{t,c} = sum over hops of alpha_t (W_c . v_t - m_c)
        base_value_c      = b_c + sum over hops of m_c, the average logit

    Training makes a measured gauge stale, so the first training step discards it.
    """

    gauge_word: Tensor
    gauge_context: Tensor
    gauge_texts: Tensor

    # The losses are means; without this flag Trainer would sum them over accumulated batches.
    accepts_loss_kwargs = False

    def __init__(self, config: SelfAttentiveConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.self_attentive = SelfAttentiveModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        pooled = config.num_attention_hops * self.self_attentive.values.size
        if config.head_hidden_size:
            self.classifier: nn.Module = nn.Sequential(
                nn.Linear(pooled, config.head_hidden_size),
                nn.ReLU(),
                nn.Dropout(config.classifier_dropout),
                nn.Linear(config.head_hidden_size, config.num_labels),
            )
        else:
            self.classifier = nn.Linear(pooled, config.num_labels)
        gauge = torch.zeros(config.num_attention_hops, config.num_labels)
        self.register_buffer("gauge_word", gauge)
        self.register_buffer("gauge_context", gauge.clone())
        self.register_buffer("gauge_texts", torch.zeros((), dtype=torch.int64))
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        attention_targets: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attributions: bool = False,
        **kwargs: Any,  # noqa: ARG002 - transformers passes what it likes
    ) -> SelfAttentiveOutput:
        """Classify texts.

        Args:
            input_ids: int (B, T); or give `inputs_embeds`.
            attention_mask: 1 at tokens, 0 at padding on either side, (B, T); None is all tokens.
            inputs_embeds: float (B, T, E) in the place of the token table's vectors.
            labels: int (B,) for one class, 0/1 (B, C) for multi-label, float (B,) or (B, C) for
                regression.
            attention_targets: The attention that each token should get, float (B, T), for the loss
                (`config.attention_supervision`): rows sum to 1, or are 0 for texts without any.
            output_attentions: Return attentions (B, r, T).
            output_hidden_states: Return embeddings and the states of each layer.
            output_attributions: Return the exact terms of the logits, (B, T, C).
            kwargs: Ignored.

        Returns:
            A `SelfAttentiveOutput`. A text without tokens has zero attention and the head's bias as
            logits.

        Raises:
            ValueError: If attributions are asked of a model with a hidden layer in its head, or one
                whose gauge has not been measured since it was last trained.
        """
        if output_attributions:
            self._check_attributable()
        if self.training and torch.is_grad_enabled():
            self.gauge_texts.zero_()
            self._warn_if_ngrams_unset()
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        encoded = self.self_attentive(
            input_ids=input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=True,
            output_hidden_states=output_hidden_states,
        )
        (attention,) = encoded.attentions
        logits = self.classifier(self.dropout(encoded.pooler_output))
        loss = None
        if labels is not None:
            loss = self._loss(logits, labels)
            if self.config.attention_penalty:
                loss = loss + self.config.attention_penalty * redundancy(attention).mean()
            if self.config.attention_supervision and attention_targets is not None:
                missed = cross_entropy(attention.mean(1), attention_targets.to(attention))
                loss = loss + self.config.attention_supervision * missed.mean()
        output = SelfAttentiveOutput(
            loss=loss,
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=(attention,) if output_attentions else None,
        )
        if output_attributions:
            self._attribute(output, encoded, attention)
        return output

    def set_char_ngrams(self, tokenizer: Any) -> None:
        """Fill the table of character n-grams from the tokenizer's vocabulary.

        A new model needs this once before training; a saved one carries the table.
        """
        if self.config.char_ngram_buckets:
            special = set(tokenizer.all_special_ids)
            tokens = tokenizer.convert_ids_to_tokens(
                range(min(len(tokenizer), self.config.vocab_size))
            )
            self.self_attentive.embeddings.set_ngrams(
                [None if index in special else token for index, token in enumerate(tokens)],
                self.config,
            )

    @torch.no_grad()
    def set_static_vectors(self, vectors: Tensor) -> None:
        """Set the fixed pretrained vectors, float (vocab_size, static_embedding_size).

        Raises:
            ValueError: If the shape is another.
        """
        shape = (self.config.vocab_size, self.config.static_embedding_size)
        if tuple(vectors.shape) != shape:
            raise ValueError(
                f"The vectors have shape {tuple(vectors.shape)}; this model needs {shape}: one row "
                "per token and static_embedding_size columns."
            )
        if shape[1]:
            self.self_attentive.embeddings.static_vectors.copy_(vectors)

    def fold_embeddings(self) -> None:
        """Fold n-grams and fixed vectors into the token table: same outputs, smaller, faster."""
        if self.config.char_ngram_buckets or self.config.static_embedding_size:
            self.self_attentive.embeddings.fold()
            self.config.char_ngram_buckets = 0
            self.config.static_embedding_size = 0

    @torch.no_grad()
    def set_output_bias(self, bias: Tensor) -> None:
        """Start the output bias at `bias`, float (C,), for instance the logits of class shares."""
        *_, last = (part for part in self.classifier.modules() if isinstance(part, nn.Linear))
        last.bias.copy_(bias)

    @torch.no_grad()
    def measure_gauge(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Fix the gauge: the mean over texts of the pooled W_c . v of each hop.

        Args:
            batches: Model inputs (`input_ids`, `attention_mask`) that together cover the training
                texts once. Texts without tokens are left out.

        Raises:
            ValueError: If the head has a hidden layer, or no text has a token.
        """
        self._check_linear()
        was_training = self.training
        self.eval()
        shape = self.gauge_word.shape
        word = torch.zeros(shape, dtype=torch.float64)  # on the CPU: some devices lack it
        context = torch.zeros_like(word)
        texts = 0
        for batch in batches:
            encoded = self.self_attentive(
                input_ids=batch["input_ids"].to(self.device),
                attention_mask=batch["attention_mask"].to(self.device),
                output_attentions=True,
            )
            (attention,) = encoded.attentions
            texts += int(batch["attention_mask"].bool().any(1).sum())
            for total, scores in zip((word, context), self._scores(encoded), strict=True):
                total += torch.einsum(
                    "brt,btrc->rc", attention.cpu().double(), scores.cpu().double()
                )
        self.train(was_training)
        if texts == 0:
            raise ValueError("No text has a token, so the gauge cannot be measured.")
        self.gauge_word.copy_(word / texts)
        self.gauge_context.copy_(context / texts)
        self.gauge_texts.fill_(texts)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Resize the token table; new tokens have no n-grams or fixed vectors until set again."""
        table = super().resize_token_embeddings(*args, **kwargs)
        embeddings = self.self_attentive.embeddings
        if embeddings.ngram_embeddings is not None:
            embeddings.ngram_ids = _resized(embeddings.ngram_ids, table.num_embeddings)
        if embeddings.static_size:
            embeddings.static_vectors = _resized(embeddings.static_vectors, table.num_embeddings)
        return table

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        multi_label = self.config.problem_type == "multi_label_classification"
        if multi_label or self.config.problem_type == "regression":
            # The loss does not cast: integer indicators or targets would be refused.
            labels = labels.to(logits.dtype)
        return self.loss_function(labels=labels, pooled_logits=logits, config=self.config)

    def _attribute(
        self, output: SelfAttentiveOutput, encoded: SelfAttentiveModelOutput, attention: Tensor
    ) -> None:
        weights = attention.transpose(1, 2).unsqueeze(-1)  # (B, T, r, 1)
        word, context = (
            (weights * (part - gauge)).sum(2)
            for part, gauge in zip(
                self._scores(encoded), (self.gauge_word, self.gauge_context), strict=True
            )
        )
        _, bias = self._linear_head()
        output.base_value = bias + (self.gauge_word + self.gauge_context).sum(0)
        output.attributions = word + context
        if self.config.value_source != "gate":
            output.word_attributions = word
            output.context_attributions = context

    def _scores(self, encoded: SelfAttentiveModelOutput) -> tuple[Tensor, Tensor]:
        """W_c . v_t of each hop from the embedding and from the state, (B, T, r, C) each."""
        values = self.self_attentive.values
        weight, _ = self._linear_head()
        weight = weight.view(self.num_labels, self.config.num_attention_hops, values.size)
        weight = values.head_on_raw(weight).transpose(0, 1)  # (r, C, raw D)
        context, own = encoded.value_parts
        cut = values.hidden_size  # columns of the state come first
        return _on_heads(own, weight[..., cut:]), _on_heads(context, weight[..., :cut])

    def _linear_head(self) -> tuple[Tensor, Tensor]:
        """Weight (C, r * D) and bias (C,) of the head."""
        assert isinstance(self.classifier, nn.Linear)  # checked before attributions are made
        return self.classifier.weight, self.classifier.bias

    def _check_linear(self) -> None:
        if self.config.head_hidden_size:
            raise ValueError(
                f"This model has a hidden layer in its head (head_hidden_size="
                f"{self.config.head_hidden_size}), so its logits do not split exactly into terms "
                "per token. Use a model with head_hidden_size=0, or another attribution method."
            )

    def _check_attributable(self) -> None:
        self._check_linear()
        if int(self.gauge_texts) == 0:
            raise ValueError(
                "The gauge of this model has not been measured since it was last trained, so its "
                "attributions are defined only up to a constant. Call hf_attn_attr.measure_gauge("
                "model, tokenizer, texts) with the training texts, then save the model again."
            )

    def _warn_if_ngrams_unset(self) -> None:
        embeddings = self.self_attentive.embeddings
        if embeddings.ngram_embeddings is None or getattr(self, "_ngrams_checked", False):
            return
        self._ngrams_checked = True
        if not embeddings.ngram_ids.any():
            logger.warning(
                "char_ngram_buckets is set but the model does not know its tokens' n-grams; call "
                "model.set_char_ngrams(tokenizer) before training."
            )


def _on_heads(values: Tensor, weight: Tensor) -> Tensor:
    """Products of values (B, T, D) and heads (r, C, D): (B, T, r, C)."""
    return (values @ weight.flatten(0, 1).t()).unflatten(-1, weight.shape[:2])


def _resized(rows: Tensor, size: int) -> Tensor:
    """The first `size` rows, zeros beyond the last."""
    resized = rows.new_zeros(size, rows.shape[1])
    kept = min(len(rows), size)
    resized[:kept] = rows[:kept]
    return resized


def redundancy(attention: Tensor) -> Tensor:
    """||A A^T - I||_F^2 of each text, float (B,), for attention (B, r, T).

    Source: Lin et al. 2017, eq. 8.
    """
    gram = attention @ attention.transpose(1, 2)
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return (gram - identity).square().sum(dim=(1, 2))


def cross_entropy(attention: Tensor, wanted: Tensor) -> Tensor:
    """-sum over tokens of wanted * log(attention) for each text, float (B,); both (B, T).

    Source: Mathew et al. 2021, "HateXplain: A Benchmark Dataset for Explainable Hate Speech
    Detection" (attention supervision).
    """
    tiny = torch.finfo(attention.dtype).tiny  # padding, where nothing is wanted, has attention 0
    return -(wanted * attention.clamp(min=tiny).log()).sum(-1)

"""What transformers lacks: Switch Transformers as a classifier, and forms of T5 and Switch that a tracer can follow.

Imports torch; import it inside functions only.
"""

import copy
import types
from typing import ClassVar

import torch
import transformers as hf
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.switch_transformers import modeling_switch_transformers as switch

FACTOR = 0.3
"""Scale of new weights: transformers' own, 1, suits pretraining; small models learned faster from smaller weights."""


class SwitchForSequenceClassification(switch.SwitchTransformersPreTrainedModel):
    """The encoder of Switch Transformers (Fedus et al. 2022), the mean over real tokens, and one linear layer.

    Each token goes to one expert, chosen by a router.  The parameters have the names of the published checkpoints, so
    that these load; their decoders are left out.
    """

    _tied_weights_keys: ClassVar = ["encoder.embed_tokens.weight"]

    def __init__(self, config):
        super().__init__(config)
        inner = copy.deepcopy(config)
        inner.is_decoder = inner.is_encoder_decoder = inner.use_cache = False
        self.shared = torch.nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = switch.SwitchTransformersStack(inner, self.shared)
        self.dropout = torch.nn.Dropout(config.dropout_rate)
        self.classifier = torch.nn.Linear(config.d_model, config.num_labels)
        self.post_init()

    def get_input_embeddings(self):
        return self.shared

    def set_input_embeddings(self, embeddings):
        self.shared = embeddings
        self.encoder.set_input_embeddings(embeddings)

    def _tie_weights(self):
        self._tie_or_clone_weights(self.encoder.embed_tokens, self.shared)

    def _init_weights(self, module):
        super()._init_weights(module)
        if "classifier" in self._modules and module is self.classifier:
            module.weight.data.normal_(std=self.config.d_model**-0.5)
            module.bias.data.zero_()

    def forward(self, input_ids, attention_mask=None, return_dict=True):
        """`input_ids` and `attention_mask`: batch × length; the answer's `logits`: batch × classes."""
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).last_hidden_state
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        real = real.unsqueeze(-1).to(found.dtype)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout((found * real).sum(1) / real.sum(1))))


hf.AutoModelForSequenceClassification.register(
    hf.SwitchTransformersConfig, SwitchForSequenceClassification, exist_ok=True
)


def t5(size: int, end: int, layers: int, width: int, heads: int, inner: int, dropout: float, **names):
    """A new T5 for `size` token ids, of which `end` ends each text; encoder and decoder of `layers` each.

    transformers' own classifier: the decoder reads the text again, and its last position is classified.
    """
    return hf.T5ForSequenceClassification(
        hf.T5Config(
            vocab_size=size, d_model=width, d_kv=width // heads, d_ff=inner, num_layers=layers, num_heads=heads,
            dropout_rate=dropout, initializer_factor=FACTOR, pad_token_id=0, decoder_start_token_id=0,
            eos_token_id=end, **names,
        )
    )  # fmt: skip


def switch_encoder(
    size: int, end: int, layers: int, width: int, heads: int, inner: int, dropout: float, experts: int, **names
):
    """A new `SwitchForSequenceClassification`; every second layer has `experts` experts.  Arguments as for `t5`."""
    return SwitchForSequenceClassification(
        hf.SwitchTransformersConfig(
            vocab_size=size, d_model=width, d_kv=width // heads, d_ff=inner, num_layers=layers, num_decoder_layers=0,
            num_sparse_encoder_layers=layers // 2, num_experts=experts, num_heads=heads, dropout_rate=dropout,
            initializer_factor=FACTOR, pad_token_id=0, eos_token_id=end, **names,
        )
    )  # fmt: skip


def traceable(model):
    """A copy of a classifier whose answers do not depend on Python's reading of its tensors; others as they are.

    - T5: the last real position is classified, by its place; transformers looks for the end token.
    - Switch: every expert reads every token, and the answer of the token's own is kept; transformers asks only the
      experts that some token of the batch chose, which a tracer takes for a constant.
    """
    if not isinstance(model, (hf.T5ForSequenceClassification, SwitchForSequenceClassification)):
        return model
    model = copy.deepcopy(model)
    if isinstance(model, hf.T5ForSequenceClassification):
        model.forward = types.MethodType(_last_position, model)
    for part in model.modules():
        if isinstance(part, switch.SwitchTransformersSparseMLP):
            part.forward = types.MethodType(_every_expert, part)
    return model


def _last_position(self, input_ids, attention_mask, return_dict=True):
    """T5ForSequenceClassification's forward for texts that end with the end token and are padded behind it."""
    shifted = self._shift_right(input_ids)
    found = self.transformer(
        input_ids, attention_mask=attention_mask, decoder_input_ids=shifted, use_cache=False, return_dict=True
    ).last_hidden_state
    last = attention_mask.sum(1) - 1
    here = found[torch.arange(input_ids.shape[0], device=found.device), last]
    return SequenceClassifierOutput(logits=self.classification_head(here))


def _every_expert(self, hidden_states):
    """SwitchTransformersSparseMLP's forward without a choice of experts: the same sums, zeros added."""
    mask, probabilities, logits = self.router(hidden_states)
    answers = [mask[..., i : i + 1] * expert(hidden_states) for i, expert in enumerate(self.experts.values())]
    return probabilities * sum(answers), (logits, mask.argmax(-1))

"""Peak activation memory: what an engine's profile run sees on one rank of a stage."""

from __future__ import annotations

from functools import lru_cache

from shardwright.model.layout import Layout, Stage
from shardwright.model.shape import Cut, Layer, ModelShape
from shardwright.model.units import GIB
from shardwright.planner.limits import Limits
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.planner.overheads import Overheads
from shardwright.shape.split import rank_tensor


def activation_bytes(
    question: MemoryQuestion, stage: Stage, limits: Limits, known: Overheads
) -> int:
    """Return the peak activation the profile run sees on one rank of a stage.

    The greatest of three: compiling the embedding (its table once more, and two residual streams);
    the widest layer on a full batch (gate, up and their product, query, key and value, two
    streams); sampling max_num_seqs rows over the vocabulary, on the last stage.
    """
    shape, width = question.shape, question.element_bytes
    tokens = limits.max_num_batched_tokens
    stream = tokens * shape.hidden_size * width
    widest = _widest(shape, question.layout, stage.first_layer, stage.num_layers, width)
    peaks = [tokens * widest * width + 2 * stream]
    if stage.first_layer == 0:
        table = sum(rank_tensor(t, question.layout, width).num_bytes for t in shape.first)
        peaks.append(table + 2 * stream)
    if stage.last_layer == shape.num_layers - 1:
        logits = min(limits.max_num_seqs, tokens) * shape.vocab_size
        # figures are for 16-bit logits; wider ones are kept beside their 32-bit copy
        per_logit = (known.sampler_bytes_per_logit or 4) + width - 2
        peaks.append(round(logits * per_logit + known.sampler_base_gib * GIB) + stream)
    encoder = stream if shape.is_multimodal and stage.first_layer == 0 else 0
    return max(peaks) + encoder


ROUTED_STREAMS = 3
"""Hidden-width buffers per routed token: its permuted input, its output and their sum's partner."""


@lru_cache(maxsize=4096)
def _widest(shape: ModelShape, layout: Layout, first: int, num: int, width: int) -> int:
    """Return the most elements per token any of some layers holds; the GPU does not matter."""
    layers = {id(layer.tensors): layer for layer in shape.layers[first : first + num]}
    return max(_layer_elements(layer, shape, layout, width) for layer in layers.values())


def _layer_elements(layer: Layer, shape: ModelShape, layout: Layout, width: int) -> int:
    """Return the elements per token that one layer holds at its peak beside the residual."""
    attention = inner = routed = 0
    for tensor in layer.tensors:
        held = rank_tensor(tensor, layout, width)
        name = tensor.name.rpartition(".")[2]
        if not tensor.is_linear:
            continue
        if tensor.cut in (Cut.ROWS, Cut.KV_HEADS) and "proj" in name:
            if tensor.is_routed:
                routed += held.rows
            elif name in {"gate_proj", "up_proj"}:
                inner += held.rows
            else:
                attention += held.rows
    # the product of gate and up is as wide as either of them
    total = attention + inner + inner // 2
    moe = shape.moe
    if routed and moe:
        wide = moe.latent_size or shape.hidden_size
        total += moe.experts_per_token * (routed + routed // 2 + ROUTED_STREAMS * wide)
    return total

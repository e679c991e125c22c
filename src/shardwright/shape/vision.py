"""Vision towers and projectors of multimodal checkpoints; they are stored and loaded with the text.

Sources: the published modelling code of each family (transformers 5.19). Constants in this file are
defaults of those config classes, used where the published file leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from shardwright.model.shape import Cut, Tensor
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import linear, mlp, norms, vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Equal transformer blocks of a tower: square attention, then an MLP."""

    width: int
    inner: int
    depth: int
    attn_bias: bool = True
    is_gated: bool = False
    mlp_bias: bool = True
    norms: tuple[str, ...] = ("norm1", "norm2")
    norm_bias: bool = True
    extra: tuple[Tensor, ...] = ()

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """Return the tensors of all blocks, as `depth` copies of one block's."""
        one: tuple[Tensor, ...] = ()
        for part in ("q_proj", "k_proj", "v_proj"):
            one += linear(f"attn.{part}", self.width, self.width, Cut.ROWS, bias=self.attn_bias)
        one += linear("attn.proj", self.width, self.width, Cut.COLS, bias=self.attn_bias)
        one += mlp(self.width, self.inner, gated=self.is_gated, bias=self.mlp_bias)
        one += norms(self.width, *self.norms, bias=self.norm_bias) + self.extra
        return tuple(replace(t, name=f"{name}.{t.name}", copies=self.depth) for t in one)


def patches(name: str, width: int, inputs: int, *, bias: bool = True) -> tuple[Tensor, ...]:
    """Return the map from pixels of a patch to the tower's width, which nobody quantizes."""
    return tuple(replace(t, is_linear=False) for t in linear(name, width, inputs, bias=bias))


def qwen3_vl(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the tower of Qwen3-VL and Qwen3.5, with its deep-stack mergers."""
    width, merge = v.num("hidden_size"), v.num("spatial_merge_size", default=2) ** 2
    pixels = 3 * v.num("temporal_patch_size", default=2) * v.num("patch_size") ** 2
    blocks = Blocks(width=width, inner=v.num("intermediate_size"), depth=v.num("depth"))
    out = (
        *patches("visual.patch_embed", width, pixels),
        Tensor(name="visual.pos_embed", rows=v.num("num_position_embeddings"), cols=width),
        *blocks.tensors("visual.blocks"),
    )
    wide, target = width * merge, v.num("out_hidden_size", default=text_hidden)
    body = linear("linear_fc1", wide, wide, Cut.ROWS, bias=True) + linear(
        "linear_fc2", target, wide, Cut.COLS, bias=True
    )
    deep = len(v.sequence("deepstack_visual_indexes") or ())
    for name, norm_width, copies in (("merger", width, 1), ("deepstack", wide, deep)):
        if copies:
            merger = norms(norm_width, "norm", bias=True) + body
            out += tuple(replace(t, name=f"visual.{name}.{t.name}", copies=copies) for t in merger)
    return out


def llama4(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the tower, adapter and projector of Llama 4."""
    width, patch = v.num("hidden_size"), v.num("patch_size")
    positions = (v.num("image_size") // patch) ** 2 + 1
    shuffled = int(v.num("intermediate_size"))
    return (
        vector("vision_model.class_embedding", width),
        Tensor(name="vision_model.positional_embedding_vlm", rows=positions, cols=width),
        *patches("vision_model.patch_embedding", width, 3 * patch**2, bias=False),
        *norms(width, "vision_model.layernorm_pre", "vision_model.layernorm_post", bias=True),
        *Blocks(width=width, inner=shuffled, depth=v.num("num_hidden_layers")).tensors(
            "vision_model.model.layers"
        ),
        *linear("vision_model.vision_adapter.mlp.fc1", v.num("projector_input_dim"), shuffled),
        *linear(
            "vision_model.vision_adapter.mlp.fc2",
            v.num("projector_output_dim"),
            v.num("projector_input_dim"),
        ),
        *linear("multi_modal_projector.linear_1", text_hidden, v.num("vision_output_dim")),
    )


def mllama(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the two-stage tower of Llama 3.2 Vision, with its tile and position tables."""
    width, patch, tiles = v.num("hidden_size"), v.num("patch_size"), v.num("max_num_tiles")
    positions = (v.num("image_size") // patch) ** 2 + 1
    ratios = len(v.sequence("supported_aspect_ratios") or ()) + 1
    inner = v.num("intermediate_size", default=4 * width)
    p = "vision_model"
    gated = Blocks(
        width=width, inner=inner, depth=v.num("num_global_layers"), attn_bias=False,
        extra=(vector("gate_attn", 1), vector("gate_ffn", 1)),
    )  # fmt: skip
    local = Blocks(width=width, inner=inner, depth=v.num("num_hidden_layers"), attn_bias=False)
    return (
        vector(f"{p}.class_embedding", width),
        *patches(f"{p}.patch_embedding", width, 3 * patch**2, bias=False),
        vector(f"{p}.gates", 3),
        Tensor(name=f"{p}.positions", rows=positions, cols=width),
        Tensor(name=f"{p}.tile_positions", rows=ratios, cols=tiles * positions * width),
        Tensor(name=f"{p}.pre_and_post_tiles", rows=2 * ratios, cols=tiles * width),
        *norms(width, f"{p}.layernorm_pre", f"{p}.layernorm_post", bias=True),
        *local.tensors(f"{p}.transformer.layers"),
        *gated.tensors(f"{p}.global_transformer.layers"),
        *linear("multi_modal_projector", text_hidden, v.num("vision_output_dim"), bias=True),
    )


def siglip(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the SigLIP tower of Gemma 3 and its projector."""
    width, patch = v.num("hidden_size"), v.num("patch_size")
    return (
        *patches("vision_tower.patch_embedding", width, 3 * patch**2),
        Tensor(name="vision_tower.positions", rows=(v.num("image_size") // patch) ** 2, cols=width),
        *Blocks(
            width=width, inner=v.num("intermediate_size"), depth=v.num("num_hidden_layers")
        ).tensors("vision_tower.encoder.layers"),
        *norms(width, "vision_tower.post_layernorm", bias=True),
        Tensor(name="multi_modal_projector.mm_input_projection", rows=text_hidden, cols=width),
        *norms(width, "multi_modal_projector.mm_soft_emb_norm"),
    )


def pixtral(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the Pixtral tower of Mistral Small 3 and Devstral 2, with its patch merger."""
    width = v.num("hidden_size")
    merge = int(v.outer.get("spatial_merge_size") or 2) ** 2
    blocks = Blocks(
        width=width, inner=v.num("intermediate_size"), depth=v.num("num_hidden_layers"),
        attn_bias=False, is_gated=True, mlp_bias=False, norm_bias=False,
    )  # fmt: skip
    bias = bool(v.outer.get("multimodal_projector_bias"))
    return (
        *patches("vision_tower.patch_conv", width, 3 * v.num("patch_size") ** 2, bias=False),
        *norms(width, "vision_tower.ln_pre", "multi_modal_projector.norm"),
        *blocks.tensors("vision_tower.transformer.layers"),
        *linear("multi_modal_projector.patch_merger.merging_layer", width, width * merge),
        *linear("multi_modal_projector.linear_1", text_hidden, width, bias=bias),
        *linear("multi_modal_projector.linear_2", text_hidden, text_hidden, bias=bias),
    )


def kimi(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the MoonViT tower of Kimi K2.5 and its patch-merging projector."""
    width = v.num("vt_hidden_size")
    rows, cols = v.num("init_pos_emb_height"), v.num("init_pos_emb_width")
    kernel = v.sequence("merge_kernel_size") or [2, 2]
    wide = width * int(kernel[0]) * int(kernel[1])
    return (
        *patches("vision_tower.patch_embed.proj", width, 3 * v.num("patch_size") ** 2),
        Tensor(name="vision_tower.patch_embed.pos_emb", rows=rows * cols, cols=width),
        *Blocks(
            width=width, inner=v.num("vt_intermediate_size"), depth=v.num("vt_num_hidden_layers")
        ).tensors("vision_tower.layers"),
        *norms(width, "vision_tower.final_layernorm", "mm_projector.pre_norm", bias=True),
        *linear("mm_projector.in_proj", wide, wide, bias=True),
        *linear("mm_projector.out_proj", text_hidden, wide, bias=True),
    )


def kimi_k3(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the MoonViT tower of Kimi K3: attention wider than the tower, no biases."""
    width, wide, depth = (
        v.num("vt_hidden_size"),
        v.num("qkv_hidden_size"),
        v.num("vt_num_hidden_layers"),
    )
    kernel = v.sequence("merge_kernel_size") or [2, 2]
    merged = width * int(kernel[0]) * int(kernel[1])
    block = (
        *linear("wqkv", 3 * wide, width, Cut.ROWS),
        *linear("wo", width, wide, Cut.COLS),
        *mlp(width, v.num("vt_intermediate_size"), gated=False),
        *norms(width, "norm0", "norm1"),
    )
    p = "vision_tower"
    return (
        *patches(f"{p}.patch_embed.proj", width, 3 * v.num("patch_size") ** 2, bias=False),
        Tensor(
            name=f"{p}.patch_embed.pos_emb",
            rows=v.num("init_pos_emb_height") * v.num("init_pos_emb_width"),
            cols=width,
        ),
        *(replace(t, name=f"{p}.encoder.blocks.{t.name}", copies=depth) for t in block),
        *norms(width, f"{p}.encoder.final_layernorm"),
        *linear("mm_projector.linear_1", merged, merged),
        *linear("mm_projector.linear_2", text_hidden, merged),
        *norms(text_hidden, "mm_projector.post_norm"),
    )


def gemma4(v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the Gemma 4 tower and its projection."""
    width, dim = v.num("hidden_size"), v.num("head_dim")
    blocks = Blocks(
        width=width, inner=v.num("intermediate_size"), depth=v.num("num_hidden_layers"),
        attn_bias=False, is_gated=True, mlp_bias=False, norm_bias=False,
        norms=("norm1", "norm2", "norm3", "norm4"), extra=norms(dim, "q_norm", "k_norm"),
    )  # fmt: skip
    return (
        *patches("vision_tower.input_proj", width, 3 * v.num("patch_size") ** 2, bias=False),
        Tensor(
            name="vision_tower.positions", rows=2 * v.num("position_embedding_size"), cols=width
        ),
        *blocks.tensors("vision_tower.encoder.layers"),
        *linear("embed_vision.embedding_projection", text_hidden, width),
    )


def step(_v: Fields, text_hidden: int) -> tuple[Tensor, ...]:
    """Return the tower of Step 3.7, whose sizes its published file does not give."""
    width, inner, depth, grid = 1536, 8960, 47, 52
    blocks = Blocks(
        width=width, inner=inner, depth=depth, extra=norms(width, "lambda_1", "lambda_2")
    )
    first, second = 2 * width, 4 * width
    return (
        *patches("vision_model.patch_embedding", width, 3 * 14**2, bias=False),
        Tensor(name="vision_model.positions", rows=grid**2, cols=width),
        *norms(width, "vision_model.pre_layernorm", bias=True),
        *blocks.tensors("vision_model.layers"),
        *patches("vision_model.downsampler1", first, width * 9),
        *patches("vision_model.downsampler2", second, first * 9),
        *linear("multi_modal_projector", text_hidden, second),
    )


TOWERS: dict[str, Callable[[Fields, int], tuple[Tensor, ...]]] = {
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_moe": qwen3_vl,
    "qwen3_5": qwen3_vl,
    "qwen3_5_moe": qwen3_vl,
    "llama4": llama4,
    "mllama": mllama,
    "gemma3": siglip,
    "mistral3": pixtral,
    "kimi_k25": kimi,
    "kimi_k3": kimi_k3,
    "gemma4": gemma4,
    "step3p7": step,
}
"""By the model_type of the whole file."""

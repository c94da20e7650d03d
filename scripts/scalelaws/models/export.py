"""A trained run as a folder that `transformers` opens: config, weights in safetensors, tokenizer.

Transformers with rotary positions become an ArceeForCausalLM, whose mathematics is ours: root-mean-square norms (gains
set to one), a feed-forward layer without a gate, no biases. A Universal Transformer becomes its layers, repeated. For
learned positions behind such norms, for LSTMs, and for encoder-decoders that read a pair as one text, transformers has
nothing: their folders carry our own modules.
"""

import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from scalelaws.errors import InputError
from scalelaws.io import atomic_path, read_json, write_json
from scalelaws.models.hub_names import parameter_name
from scalelaws.models.shapes import DECODERS, Shape
from scalelaws.tokens.bpe import END_OF_DOCUMENT, load_tokenizer

COPIED = ("hub", "hub_names", "families", "encoder_decoder", "lstm", "transformer", "parts", "shapes")


def export_run(run: Path, folder: Path) -> None:
    """Write the run in the folder results/<study>/runs/<run> to a new folder, with the study's tokenizer."""
    record = run / "run.json"
    tokenizer = run.parent.parent / "tokens" / "tokenizer"
    for path in (record, tokenizer):
        if not path.exists():
            raise InputError(str(path), "there is no such file", "Name a folder results/<study>/runs/<run>.")
    if folder.exists():
        raise InputError(str(folder), "exists already", "Name a new folder.")
    shape = shape_in(read_json(record)["run"])
    weights = load_file(run / "model.safetensors")
    with atomic_path(folder) as temporary:
        shutil.copytree(tokenizer, temporary)
        (temporary / "provenance.json").unlink(missing_ok=True)
        write_json(temporary / "run.json", read_json(record))
        arcee = shape.family in DECODERS and shape.positions == "rotary"
        config, tensors = arcee_model(shape, weights) if arcee else own_model(shape, weights)
        end = load_tokenizer(tokenizer).token_to_id(END_OF_DOCUMENT)
        write_json(temporary / "config.json", {**config, "bos_token_id": end, "eos_token_id": end})
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / "model.safetensors")
        if not arcee:
            copy_modules(temporary)


def shape_in(record: Mapping[str, Any]) -> Shape:
    """The shape in a run's record."""
    return Shape(**{field.name: record[field.name] for field in fields(Shape) if field.name in record})


def arcee_model(shape: Shape, weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and tensors of the ArceeForCausalLM that is the same function as a rotary Transformer of ours."""
    D, inner = shape.d_model, shape.d_feed_forward
    depth = shape.n_layer * shape.recurrence
    config = {
        "architectures": ["ArceeForCausalLM"],
        "model_type": "arcee",
        "vocab_size": shape.vocabulary,
        "hidden_size": D,
        "intermediate_size": inner,
        "num_hidden_layers": depth,
        "num_attention_heads": shape.n_head,
        "num_key_value_heads": shape.n_head,
        "head_dim": D // shape.n_head,
        "hidden_act": "gelu_pytorch_tanh",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": shape.tied and shape.output_scale == 1,
        "pad_token_id": None,
        "dtype": "float32",
    }
    # Arcee divides attention scores by √K and has no scale before its output layer.
    query_scale = math.sqrt(D / shape.n_head) / shape.attention_divisor
    tensors = {"model.embed_tokens.weight": weights["token_embedding"]}
    tensors["model.norm.weight"] = torch.full((D,), shape.output_scale)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = weights["token_embedding" if shape.tied else "output_embedding"].clone()
    for layer in range(depth):
        ours, theirs = f"layers.{layer % shape.n_layer}.", f"model.layers.{layer}."
        query, key, value = weights[ours + "attention_in"].chunk(3)
        tensors |= {
            theirs + "input_layernorm.weight": torch.ones(D),
            theirs + "post_attention_layernorm.weight": torch.ones(D),
            theirs + "self_attn.q_proj.weight": query * query_scale,
            theirs + "self_attn.k_proj.weight": key.clone(),
            theirs + "self_attn.v_proj.weight": value.clone(),
            theirs + "self_attn.o_proj.weight": weights[ours + "attention_out"].clone(),
            theirs + "mlp.up_proj.weight": weights[ours + "feed_forward_in"].clone(),
            theirs + "mlp.down_proj.weight": weights[ours + "feed_forward_out"].clone(),
        }
    return config, tensors


def own_model(shape: Shape, weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and tensors of a ScalelawsForCausalLM (models.hub)."""
    config = {
        "architectures": ["ScalelawsForCausalLM"],
        "model_type": "scalelaws",
        "auto_map": {"AutoConfig": "hub.ScalelawsConfig", "AutoModelForCausalLM": "hub.ScalelawsForCausalLM"},
        "shape": asdict(shape),
        "dtype": "float32",
    }
    return config, {parameter_name(name): tensor for name, tensor in weights.items()}


def copy_modules(folder: Path) -> None:
    """Put the modules that the hub's model is made of into the folder, importing one another from there."""
    for name in COPIED:
        source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        relative = source.replace("from scalelaws.models.", "from .")
        (folder / f"{name}.py").write_text(relative, encoding="utf-8")

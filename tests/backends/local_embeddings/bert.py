"""Writes a BERT into a folder as sentence-transformers lays it out: a small one, or one with real weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing


Weights = Mapping[str, NDArray[np.float32]]
_OPSET = 17
WORDS = ["the", "cat", "sat", "on", "a", "mat", "while", "it", "rained", "and", "nobody", "knew", "why"]


class Shape(msgspec.Struct, frozen=True):
    """How large a BERT is, in the words of its ``config.json``."""

    vocab_size: int = 64
    hidden_size: int = 16
    num_hidden_layers: int = 2
    num_attention_heads: int = 2
    intermediate_size: int = 32
    max_position_embeddings: int = 12
    layer_norm_eps: float = 1e-12


class _Graph:
    """Nodes and weights, with a method for each kind of step."""

    def __init__(self, weights: Weights) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._weights = weights

    def step(self, operation: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def weight(self, name: str) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(self._weights[name]), name)
        return name

    def constant(self, value: float | list[int]) -> str:
        array = np.array(value, np.int64 if isinstance(value, list) else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def linear(self, x: str, name: str) -> str:
        turned = self.step("Transpose", self.weight(f"{name}.weight"), perm=[1, 0])
        return self.step("Add", self.step("MatMul", x, turned), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str, shape: Shape) -> str:
        return self.step(
            "LayerNormalization",
            x,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            axis=-1,
            epsilon=shape.layer_norm_eps,
        )

    def gelu(self, x: str) -> str:
        erf = self.step("Erf", self.step("Div", x, self.constant(2**0.5)))
        return self.step(
            "Mul", self.step("Mul", x, self.constant(0.5)), self.step("Add", erf, self.constant(1.0))
        )


def write_folder(
    folder: Path, tokenizer: str, weights: Weights, shape: Shape, *, pooling: str = "mean"
) -> None:
    """Write the model's files into ``folder``; ``tokenizer`` is the text of ``tokenizer.json``."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "1_Pooling").mkdir()
    onnx.save(_model(weights, shape), str(folder / "onnx" / "model.onnx"))
    (folder / "tokenizer.json").write_text(tokenizer)
    (folder / "config.json").write_text(json.dumps(msgspec.to_builtins(shape)))
    modules = [
        {"type": f"sentence_transformers.models.{step}"} for step in ("Transformer", "Pooling", "Normalize")
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    said = {f"pooling_mode_{name}": name == f"{pooling}_tokens" for name in ("mean_tokens", "cls_tokens")}
    said["pooling_mode_cls_token"] = said.pop("pooling_mode_cls_tokens")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))


def tokenizer() -> str:
    """Return the text of a ``tokenizer.json`` that knows some words."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    made = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    text: str = made.to_str()
    return text


def random_weights(shape: Shape, seed: int = 0) -> Weights:
    """Return weights that no training has touched."""
    chance = np.random.default_rng(seed)
    hidden, inner = shape.hidden_size, shape.intermediate_size
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (shape.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (shape.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for number in range(shape.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        for name, rows, columns in (
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", inner, hidden),
            ("output.dense", hidden, inner),
        ):
            sizes |= {f"{layer}.{name}.weight": (rows, columns), f"{layer}.{name}.bias": (rows,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            sizes |= {f"{layer}.{name}.weight": (hidden,), f"{layer}.{name}.bias": (hidden,)}
    return {name: chance.normal(0, 0.4, size).astype(np.float32) for name, size in sizes.items()}


def _model(weights: Weights, shape: Shape) -> onnx.ModelProto:
    graph = _Graph(weights)
    long = graph.step("Slice", graph.step("Shape", "input_ids"), graph.constant([1]), graph.constant([2]))
    positions = graph.step(
        "Slice",
        graph.weight("embeddings.position_embeddings.weight"),
        graph.constant([0]),
        long,
        graph.constant([0]),
    )
    x = graph.step("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    types = graph.step("Gather", graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
    x = graph.norm(graph.step("Add", graph.step("Add", x, types), positions), "embeddings.LayerNorm", shape)
    hidden = graph.step("Cast", "attention_mask", to=TensorProto.FLOAT)
    missing = graph.step("Sub", graph.constant(1.0), graph.step("Unsqueeze", hidden, graph.constant([1, 2])))
    mask = graph.step("Mul", missing, graph.constant(-1e9))
    for number in range(shape.num_hidden_layers):
        x = _layer(graph, x, mask, f"encoder.layer.{number}", shape)
    graph.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))

    whole = ["batch", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, whole)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*whole, shape.hidden_size])
    ]
    made = helper.make_graph(graph.nodes, "bert", inputs, outputs, list(graph.constants.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _layer(graph: _Graph, x: str, mask: str, name: str, shape: Shape) -> str:
    heads = shape.num_attention_heads
    size = shape.hidden_size // heads
    apart, together = graph.constant([0, 0, heads, size]), graph.constant([0, 0, shape.hidden_size])

    def head(part: str, perm: list[int]) -> str:
        linear = graph.linear(x, f"{name}.attention.self.{part}")
        return graph.step("Transpose", graph.step("Reshape", linear, apart), perm=perm)

    scores = graph.step("MatMul", head("query", [0, 2, 1, 3]), head("key", [0, 2, 3, 1]))
    scores = graph.step("Add", graph.step("Div", scores, graph.constant(size**0.5)), mask)
    seen = graph.step("MatMul", graph.step("Softmax", scores, axis=-1), head("value", [0, 2, 1, 3]))
    joined = graph.step("Reshape", graph.step("Transpose", seen, perm=[0, 2, 1, 3]), together)
    attended = graph.linear(joined, f"{name}.attention.output.dense")
    x = graph.norm(graph.step("Add", attended, x), f"{name}.attention.output.LayerNorm", shape)
    inner = graph.gelu(graph.linear(x, f"{name}.intermediate.dense"))
    added = graph.step("Add", graph.linear(inner, f"{name}.output.dense"), x)
    return graph.norm(added, f"{name}.output.LayerNorm", shape)

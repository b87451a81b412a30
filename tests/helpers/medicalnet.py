"""MedicalNet's 3D ResNet in NumPy, with random weights in PyTorch's names and layout."""

from collections.abc import Iterator

import numpy as np

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
STAGES = ((1, 1), (2, 1), (1, 2), (1, 4))  # stride, dilation


def random_weights(depth: int, shortcut: str, width: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Name -> float32 array; convolutions (filters, channels, depth, rows, columns)."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for name, shape in _convolutions(depth, shortcut, width):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        tensors[f"{name}.weight"] = (rng.normal(size=shape) * scale).astype("f4")
        norm = _norm_of(name)
        count = shape[0]
        tensors[f"{norm}.weight"] = rng.uniform(0.5, 1.5, count).astype("f4")
        tensors[f"{norm}.bias"] = rng.normal(0, 0.1, count).astype("f4")
        tensors[f"{norm}.running_mean"] = rng.normal(0, 0.1, count).astype("f4")
        tensors[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, count).astype("f4")
        tensors[f"{norm}.num_batches_tracked"] = np.array(7, "i8")
    return tensors


def maps_of(image: np.ndarray, tensors: dict, depth: int, shortcut: str) -> np.ndarray:
    """Maps of a trained network, in float64; image and maps are (channels, depth, rows, columns)."""
    x = np.maximum(_normed(_convolved(image, tensors["conv1.weight"], 2, 3), tensors, "bn1"), 0)
    x = _max_pooled(x)
    for stage, (stride, dilation) in enumerate(STAGES, 1):
        for number in range(BLOCKS[depth][stage - 1]):
            first = stride if number == 0 else 1
            x = _block(x, tensors, f"layer{stage}.{number}", (first, dilation), shortcut)
    return x


def _block(x, tensors, name: str, steps: tuple[int, int], shortcut: str) -> np.ndarray:
    stride, dilation = steps
    bottleneck = f"{name}.conv3.weight" in tensors
    steps = ((1, 1), (stride, dilation), (1, 1)) if bottleneck else ((stride, dilation), (1, dilation))
    y = x
    for number, (step, apart) in enumerate(steps, 1):
        kernel = tensors[f"{name}.conv{number}.weight"]
        y = _convolved(y, kernel, step, apart * (kernel.shape[-1] // 2), apart)
        y = _normed(y, tensors, f"{name}.bn{number}")
        y = y if number == len(steps) else np.maximum(y, 0)
    if stride != 1 or len(x) != len(y):
        if shortcut == "A":
            x = x[:, ::stride, ::stride, ::stride]
            x = np.concatenate([x, np.zeros((len(y) - len(x), *x.shape[1:]))])
        else:
            x = _convolved(x, tensors[f"{name}.downsample.0.weight"], stride, 0)
            x = _normed(x, tensors, f"{name}.downsample.1")
    return np.maximum(x + y, 0)


def _convolved(x, kernel, stride: int, border: int, dilation: int = 1) -> np.ndarray:
    size = kernel.shape[-1]
    x = np.pad(x, [(0, 0)] + [(border, border)] * 3)
    lengths = [(side - dilation * (size - 1) - 1) // stride + 1 for side in x.shape[1:]]
    total = 0.0
    for place in np.ndindex(size, size, size):
        cut = tuple(slice(dilation * at, dilation * at + stride * (length - 1) + 1, stride)
                    for at, length in zip(place, lengths, strict=True))  # fmt: skip
        total = total + np.tensordot(kernel[(..., *place)].astype(float), x[(slice(None), *cut)], axes=1)
    return total


def _normed(x, tensors, name: str) -> np.ndarray:
    scale, shift, mean, variance = (
        tensors[f"{name}.{part}"].astype(float)[:, None, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


def _max_pooled(x) -> np.ndarray:
    x = np.pad(x, [(0, 0)] + [(1, 1)] * 3, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3, 3), axis=(1, 2, 3))
    return windows[:, ::2, ::2, ::2].max(axis=(-3, -2, -1))


def _norm_of(name: str) -> str:
    if name.endswith("downsample.0"):
        return name.removesuffix("0") + "1"
    return name.replace("conv", "bn")


def _convolutions(depth: int, shortcut: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape of the kernel) of each convolution."""
    yield "conv1", (width, 1, 7, 7, 7)
    before, bottleneck = width, depth == 50
    for stage in range(4):
        own = width * 2**stage
        after = own * (4 if bottleneck else 1)
        for number in range(BLOCKS[depth][stage]):
            name = f"layer{stage + 1}.{number}"
            sizes = ((1, own), (3, own), (1, after)) if bottleneck else ((3, own), (3, own))
            channels = before
            for place, (size, filters) in enumerate(sizes, 1):
                yield f"{name}.conv{place}", (filters, channels, size, size, size)
                channels = filters
            changes = number == 0 and (stage == 1 or before != after)
            if changes and shortcut == "B":
                yield f"{name}.downsample.0", (after, before, 1, 1, 1)
            before = after

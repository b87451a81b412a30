"""A Keras network as a PyTorch module, trained by benchmarks/steps.py in a separate interpreter.

    python benchmarks/steps_peers.py FOLDER CORES

FOLDER holds network.json (layers in order: name, kind, settings, inputs), weights.npz and batch.npz.
Each line on stdin is a command in JSON: {"start": "eager" | "compiled" | "monai", "precision": ...}
builds the network anew, "monai" as MONAI's ResNet-18, and answers with the losses of its first steps;
{"steps": n} answers with seconds a step.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FIRST_STEPS = 3
LEARNING_RATE, EPSILON = 1e-3, 1e-7  # of Keras' Adam


class Network(nn.Module):
    """Runs the layers of network.json on channels-first tensors that lie in memory channels-last."""

    def __init__(self, layers: list[dict], weights: dict[str, np.ndarray]):
        super().__init__()
        self.layers, self.steps = layers, nn.ModuleDict()
        for layer in layers:
            own = [weights[key] for key in layer["weights"]]
            if layer["kind"].startswith("Conv"):
                self.steps[layer["name"]] = _convolution(layer, own)
            elif layer["kind"] == "Dense":
                step = nn.Linear(*own[0].shape)
                step.weight.data, step.bias.data = torch.tensor(own[0].T), torch.tensor(own[1])
                self.steps[layer["name"]] = step
            elif layer["kind"] == "BatchNormalization":
                self.steps[layer["name"]] = _batch_norm(layer, own)

    def forward(self, image):
        """Logits: the network without its last softmax."""
        values = {}
        for layer in self.layers:
            inputs = [values[name] for name in layer["inputs"]] or [image]
            values[layer["name"]] = x = self._layer(layer, inputs)
        return x

    def _layer(self, layer: dict, inputs: list):
        x, kind, settings = inputs[0], layer["kind"], layer["settings"]
        if layer["name"] in self.steps:
            return self.steps[layer["name"]](x)
        if kind == "Activation":
            return F.relu(x)
        if kind == "Concatenate":
            return torch.cat(inputs, dim=1)
        if kind == "Add":
            return sum(inputs[1:], x)
        if kind.startswith("MaxPooling"):
            pool = F.max_pool2d if x.ndim == 4 else F.max_pool3d
            return pool(x, settings["pool_size"], settings["strides"])
        if kind.startswith("UpSampling"):
            return F.interpolate(x, scale_factor=settings["size"], mode="nearest")
        if kind.startswith("GlobalAveragePooling"):
            return x.mean(dim=tuple(range(2, x.ndim)))
        if kind == "ZeroPadding2D":
            (top, bottom), (left, right) = settings["padding"]
            return F.pad(x, (left, right, top, bottom))
        if kind == "Rescaling":
            scale = torch.tensor(settings["scale"]).view(1, -1, 1, 1)
            return x * scale + torch.tensor(settings["offset"]).view(1, -1, 1, 1)
        assert kind in ("InputLayer", "Identity", "Dropout", "Softmax"), kind
        return x


class MonaiResNet18(nn.Module):
    """MONAI's ResNet-18 with the weights of network.json, after the same scaling of the image."""

    def __init__(self, network: Network):
        super().__init__()
        from monai.networks.nets import resnet18

        self.scaling = [layer for layer in network.layers if layer["kind"] == "Rescaling"]
        self.network = network
        self.monai = resnet18(
            spatial_dims=2, n_input_channels=3, num_classes=2, conv1_t_size=7, conv1_t_stride=2,
            shortcut_type="B", bias_downsample=False,
        )  # fmt: skip
        for name, step in self.monai.named_modules():
            if isinstance(step, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
                own = network.steps[_keras_name(name, network)]
                step.load_state_dict(own.state_dict())
                if isinstance(step, nn.BatchNorm2d):
                    step.eps, step.momentum = own.eps, own.momentum

    def forward(self, image):
        for layer in self.scaling:
            image = self.network._layer(layer, [image])
        return self.monai(image)


def _keras_name(name: str, network: Network) -> str:
    """The layer of ours that a module of MONAI's ResNet is."""
    if name == "fc":
        return next(own for own, step in network.steps.items() if isinstance(step, nn.Linear))
    if "." not in name:  # conv1, bn1
        return f"conv1_{name.rstrip('1')}"
    stack, block, part = name.removeprefix("layer").split(".", 2)
    part = {"downsample.0": "0_conv", "downsample.1": "0_bn"}.get(part, f"{part[-1]}_{part[:-1]}")
    return f"stack{int(stack) - 1}_block{block}_{part}"


def _convolution(layer: dict, weights: list[np.ndarray]):
    kernel = weights[0]  # (*size, inputs, outputs)
    kind = {4: nn.Conv2d, 5: nn.Conv3d}[kernel.ndim]
    settings, bias = layer["settings"], len(weights) > 1
    same = settings["padding"] == "same"
    assert not same or set(settings["strides"]) == {1}
    step = kind(
        kernel.shape[-2], kernel.shape[-1], kernel.shape[:-2], stride=tuple(settings["strides"]),
        padding="same" if same else 0, bias=bias,
    )  # fmt: skip
    step.weight.data = torch.tensor(np.moveaxis(kernel, (-1, -2), (0, 1)).copy())
    if bias:
        step.bias.data = torch.tensor(weights[1])
    return step


def _batch_norm(layer: dict, weights: list[np.ndarray]):
    gamma, beta, mean, variance = weights
    kind = {4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[layer["rank"]]
    step = kind(len(gamma), eps=layer["settings"]["epsilon"], momentum=1 - layer["settings"]["momentum"])
    step.weight.data, step.bias.data = torch.tensor(gamma), torch.tensor(beta)
    step.running_mean, step.running_var = torch.tensor(mean), torch.tensor(variance)
    return step


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Training:
    """Training steps of a network by Adam on one batch, on a GPU where there is one."""

    def __init__(self, folder: Path, how: str, precision: str):
        layers = json.loads((folder / "network.json").read_text())
        network = Network(layers, dict(np.load(folder / "weights.npz")))
        network = MonaiResNet18(network) if how == "monai" else network
        batch = np.load(folder / "batch.npz")
        form = torch.channels_last if batch["image"].ndim == 4 else torch.channels_last_3d
        self.network = network.to(DEVICE, memory_format=form).train()
        image = torch.from_numpy(np.moveaxis(batch["image"], -1, 1).copy())
        self.image = image.to(DEVICE, memory_format=form)
        self.label = torch.from_numpy(batch["label"]).to(DEVICE)
        self.call = torch.compile(self.network) if how == "compiled" else self.network
        self.precision = precision
        trained = getattr(network, "monai", network).parameters()
        self.adam = torch.optim.Adam(trained, LEARNING_RATE, eps=EPSILON)

    def step(self) -> float:
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=self.precision == "bfloat16"):
            logits = self.call(self.image)
        loss = F.cross_entropy(logits.float(), self.label)
        loss.backward()
        self.adam.step()
        return loss.item()


def main() -> None:
    folder, cores = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(cores)
    training = None
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            training = Training(folder, command["start"], command["precision"])
            answer = [training.step() for _ in range(FIRST_STEPS)]
        else:
            answer = []
            for _ in range(command["steps"]):
                begun = time.perf_counter()
                training.step()
                answer.append(time.perf_counter() - begun)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

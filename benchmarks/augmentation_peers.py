"""Runs MONAI or TorchIO for benchmarks/augmentation.py, in a separate interpreter.

    python benchmarks/augmentation_peers.py MONAI|TorchIO FOLDER

A line "compare AXES OPERATION" changes the first record with the parameters in the folder and writes
NAME_result.npy; "time AXES OPERATION" draws and changes every record of the batch. The wall and CPU
seconds go to stdout. All on one thread.
"""

import pickle
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

warnings.simplefilter("ignore")
MR_LIKE = ("bias field", "blur", "low resolution")
# The same for all: what `augmentation.py` gives mri_tf.
GAMMA, CONTRAST, DEGREES, SHIFT, ZOOM = (0.85, 1.15), (0.8, 1.25), 10.0, 0.05, (0.9, 1.1)
COEFFICIENT, BLUR, FACTOR, SD, ERASED, MOST = 0.3, 1.0, 3.0, 0.1, 0.3, 4.0


class Given:
    """In place of a random state: the standard normal numbers that it was given, one after the other."""

    def __init__(self, normals: np.ndarray):
        self.normals = iter(normals)

    def normal(self, mean: float, sd: float, size: tuple) -> np.ndarray:
        return mean + sd * next(self.normals).reshape(size)


# ---- MONAI


def monai_fixed(name: str, axes: int, p: dict):
    from monai import transforms as t

    linear = "bilinear" if axes == 2 else "trilinear"

    def field(image):  # the identity, and the displacements of each axis
        from monai.transforms.utils import create_grid

        grid = create_grid(image.shape[1:], backend="torch")
        grid[:axes] += torch.from_numpy(np.moveaxis(p["field"], -1, 0))
        return t.Resample(mode="bilinear", padding_mode="border")(image, grid)

    def bias(image):
        change = t.RandBiasField(degree=3, prob=1.0)
        change._coeff, change._do_transform = p["legendre"], True
        return change(image, randomize=False)

    def thick(image):
        few = (image.shape[1] // p["factor"], *image.shape[2:])
        return t.Resize(image.shape[1:], mode=linear)(t.Resize(few, mode="area")(image))

    def noise(image):
        change = t.RandRicianNoise(prob=1.0, std=[p["sd"]] * len(image), channel_wise=True,
                                   sample_std=False)  # fmt: skip
        pairs = np.moveaxis(p["normals"][0], -1, 0)  # (channels, 2, *grid)
        change.R = Given(pairs.reshape(-1, *image.shape[1:]))
        change._do_transform = True
        return change(image, randomize=False)

    def erased(image):
        change = t.RandCoarseDropout(1, 1, fill_value=0.0, prob=1.0)
        box = (slice(a, b) for a, b in zip(p["start"], p["stop"], strict=True))
        change.hole_coords, change._do_transform = [(slice(None), *box)], True
        return change(image, randomize=False)

    return {
        "flip": lambda image: t.Flip(axes - 1)(image),
        "quarter turn": lambda image: t.Rotate90(1, (1, 2))(image),
        "affine": lambda image: t.Affine(
            affine=torch.tensor(p["matrix"]), padding_mode="border", image_only=True
        )(image),
        "elastic": field,
        "contrast": lambda image: t.ScaleIntensityFixedMean(p["factor"] - 1, channel_wise=True)(image),
        "gamma": lambda image: t.AdjustContrast(p["exponent"])(image),
        "bias field": bias,
        "blur": lambda image: t.GaussianSmooth(p["sd"], approx="sampled")(image),
        "blur, MONAI's own kernel": lambda image: t.GaussianSmooth(p["sd"])(image),
        "low resolution": thick,
        "Rician noise": noise,
        "erased box": erased,
    }[name]


def monai_random(name: str, size: tuple[int, ...]):
    from monai import transforms as t

    axes = len(size)
    turned = dict(
        rotate_range=[np.radians(DEGREES)] * (1 if axes == 2 else 3),
        translate_range=[SHIFT * length for length in size], scale_range=[(-0.1, 0.1)] * axes,
        padding_mode="border", prob=1.0,
    )  # fmt: skip

    def elastic(affine: dict):
        if axes == 2:  # the magnitudes are in pixels, at control points so far apart
            return t.Rand2DElastic((size[0] / 4, size[1] / 4), (0, MOST), **affine)
        return t.Rand3DElastic((5, 7), (50, 150), **affine)

    whole = {
        "flip": lambda: t.RandFlip(1.0, axes - 1),
        "quarter turn": lambda: t.RandRotate90(1.0, spatial_axes=(1, 2)),
        "affine": lambda: t.RandAffine(**turned),
        "elastic": lambda: elastic(dict(padding_mode="border", prob=1.0)),
        "contrast": lambda: t.RandScaleIntensityFixedMean(1.0, (-0.2, 0.25), channel_wise=True),
        "gamma": lambda: t.RandAdjustContrast(1.0, GAMMA),
        "bias field": lambda: t.RandBiasField(3, (-COEFFICIENT, COEFFICIENT), prob=1.0),
        "blur": lambda: t.RandGaussianSmooth(*[(0.01, BLUR)] * 3, prob=1.0),
        "low resolution": lambda: t.RandSimulateLowResolution(
            1.0, upsample_mode="bilinear" if axes == 2 else "trilinear", zoom_range=(1 / FACTOR, 1.0)
        ),
        "Rician noise": lambda: t.RandRicianNoise(1.0, std=SD, channel_wise=True, relative=True),
        "erased box": lambda: t.RandCoarseDropout(
            1, [1] * axes, max_spatial_size=[round(ERASED * length) for length in size], prob=1.0,
            fill_value=0.0,
        ),
    }  # fmt: skip
    if name == "all":  # the affine map and the elastic one in one resampling
        first = [whole[one]() for one in ("contrast", "gamma", "flip")]
        return t.Compose([*first, elastic(turned), *(whole[one]() for one in (
            *MR_LIKE, "Rician noise", "erased box"))])  # fmt: skip
    return whole[name]()


# ---- TorchIO


def torchio_fixed(name: str, axes: int, p: dict):
    import torchio as t

    def deformed():
        control = p["control"]
        if axes == 2:
            control = np.repeat(control[:, :, None], 4, axis=2)  # the same at each depth
            control = np.concatenate([control, 0 * control[..., :1]], axis=-1)
        # ITK counts control points in LPS, from the other end of the first two axes.
        control = control[::-1, ::-1]
        return t.ElasticDeformation(control * np.float32([-1, -1, 1]), (1.0, 1.0, 1.0))

    sd = p.get("sd", 0.0)
    change = {
        "flip": lambda: t.Flip(axes - 1),
        "affine": lambda: t.Affine(p["zooms"], p["degrees"], p["translation"]),
        "elastic": deformed,
        "gamma": lambda: t.Gamma(p["exponent"]),
        "bias field": lambda: t.BiasField(p["powers"], 3),
        "blur": lambda: t.Blur((sd, sd, sd if axes == 3 else 0.0)),
        "low resolution": lambda: _thick(p["factor"]),
        "ghosting": lambda: t.Ghosting(p["ghosts"], 0, p["intensity"], None),
    }[name]()
    return _on_tensor(change, axes)


def _thick(factor: int):
    """RandomAnisotropy with a fixed factor along the first axis."""
    import torchio as t

    return t.RandomAnisotropy(axes=(0,), downsampling=(factor, factor))


def torchio_random(name: str, size: tuple[int, ...]):
    import torchio as t

    axes = len(size)
    along = tuple(range(axes))
    third = lambda value: value if axes == 3 else 0  # noqa: E731
    whole = {
        "flip": lambda: t.RandomFlip(axes - 1, 1.0, copy=False),
        "affine": lambda: t.RandomAffine(
            ZOOM, (DEGREES, DEGREES, DEGREES) if axes == 3 else (0, 0, 0, 0, -DEGREES, DEGREES),
            tuple(SHIFT * length for length in size) + ((0,) if axes == 2 else ()), copy=False,
        ),
        "elastic": lambda: t.RandomElasticDeformation(
            7 if axes == 3 else (7, 7, 4), (MOST, MOST, third(MOST)), 1, copy=False
        ),
        "gamma": lambda: t.RandomGamma((-0.15, 0.15), copy=False),
        "bias field": lambda: t.RandomBiasField(COEFFICIENT, 3, copy=False),
        "blur": lambda: t.RandomBlur((0, BLUR, 0, BLUR, 0, third(BLUR)), copy=False),
        "low resolution": lambda: t.RandomAnisotropy(along, (1, FACTOR), copy=False),
        "ghosting": lambda: t.RandomGhosting((4, 10), along, (0, 0.5), copy=False),
        "Rician noise": lambda: t.RandomNoise(0, (0, SD / 4), copy=False),  # Gaussian
    }  # fmt: skip
    if name == "all":
        order = ("gamma", "flip", "affine", "elastic", *MR_LIKE, "Rician noise")
        return _on_tensor(t.Compose([whole[one]() for one in order], copy=False), axes)
    return _on_tensor(whole[name](), axes)


def _on_tensor(change, axes: int):
    """On (channels, [depth,] rows, columns); an image is a volume of one slice."""
    import torchio

    def run(image: torch.Tensor) -> torch.Tensor:
        tensor = image if axes == 3 else image[..., None]
        done = change(torchio.Subject(image=torchio.ScalarImage(tensor=tensor))).image.data
        return done if axes == 3 else done[..., 0]

    return run


def main() -> None:
    library, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    if library == "MONAI":
        from monai.data import set_track_meta

        set_track_meta(False)  # plain tensors: faster
        fixed, random = monai_fixed, monai_random
    else:
        import SimpleITK

        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        fixed, random = torchio_fixed, torchio_random
    batches = {axes: torch.from_numpy(np.load(folder / f"batch{axes}.npy")) for axes in (2, 3)}
    parameters = pickle.loads((folder / "parameters.pickle").read_bytes())
    made = {}
    for line in sys.stdin:
        what, axes, name = line.strip().split(" ", 2)
        batch = batches[int(axes)].clone()
        if what == "compare":
            case = parameters[int(axes)][name]
            change, records = fixed(name, int(axes), case), [batch[0][:, case["cut"]]]
        else:
            key = axes, name
            made[key] = change = made.get(key) or random(name, tuple(batch.shape[2:]))
            records = list(batch)
        wall, cpu = time.perf_counter(), time.process_time()
        results = [change(one) for one in records]
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        if what == "compare":
            np.save(folder / f"{library}_result.npy", np.asarray(results[0]))
        print(*seconds, flush=True)


if __name__ == "__main__":
    main()

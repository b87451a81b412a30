"""ResNets of MedicalNet: converted weights give PyTorch's numbers; files that run code are refused."""

import json
import pickle
import zipfile

import keras
import numpy as np
import pytest
from medicalnet import maps_of, random_weights
from refused import error_line
from torch_like import write_safetensors, write_torch

from mri_tf.convert import torch_file
from mri_tf.convert.__main__ import main as convert
from mri_tf.convert.torch_file import read_tensors
from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError
from mri_tf.models.frozen_probe import frozen_probe
from mri_tf.models.resnet3d import load_converted, resnet3d, resnet3d_maps
from mri_tf.models.weights import origin_of

WIDTH, LICENCE = 4, "MIT, made up for a test"
SHAPE = (24, 17, 19)  # depth, rows, columns: no two alike, and not divisible by 8


@pytest.mark.parametrize(
    ("depth", "shortcut", "zipped"),
    [(10, "B", False), (18, "A", True), (18, "B", True), (34, "A", False), (50, "B", True)],
)
def test_converted_weights_give_the_maps_of_pytorch(tmp_path, capsys, depth, shortcut, zipped):
    tensors = random_weights(depth, shortcut, WIDTH)
    named = {f"module.{name}": value for name, value in tensors.items()}
    named["module.conv_seg.0.weight"] = np.ones((2, 3), "f4")  # a head, which is left out
    file = write_torch(tmp_path / "net.pth", named, zipped, more={"epoch": 3})
    out = tmp_path / "net.weights.h5"
    assert run_command(convert, ["--file", str(file), "--licence", LICENCE, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"depth {depth}, shortcuts {shortcut}, width {WIDTH}" in said and LICENCE in said
    image = np.random.default_rng(1).normal(size=(*SHAPE, 1)).astype("f4")
    x = keras.Input(image.shape)
    network = keras.Model(x, resnet3d_maps(x, depth, shortcut, WIDTH))
    load_converted(network, str(out), depth)
    maps = network(image[None], training=False)[0].numpy()  # (depth, rows, columns, features)
    expected = maps_of(np.moveaxis(image, -1, 0), tensors, depth, shortcut)
    assert maps.shape[:3] == (3, 3, 3) and maps.std() > 0.01
    np.testing.assert_allclose(np.moveaxis(maps, -1, 0), expected, atol=1e-4 * np.abs(expected).max())
    assert origin_of(str(out)).licence == LICENCE and origin_of(str(out)).file == "net.pth"


def test_all_kinds_of_files_hold_the_same_tensors(tmp_path):
    tensors = {"a.weight": np.arange(24, dtype="f4").reshape(2, 3, 4).transpose(2, 0, 1),
               "a.count": np.array([5], "i8")}  # fmt: skip
    for zipped in (True, False):
        found = read_tensors(write_torch(tmp_path / f"{zipped}.pth", tensors, zipped))
        assert found.keys() == tensors.keys()
        for name, value in tensors.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype
    found = read_tensors(write_safetensors(tmp_path / "a.safetensors", tensors))
    np.testing.assert_array_equal(found["a.weight"], tensors["a.weight"])


class _Runs:
    """A value whose pickle runs a command when an ordinary unpickler reads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path, zipped):
    evil, mark = tmp_path / "evil.pth", tmp_path / "was_here"
    if zipped:
        with zipfile.ZipFile(evil, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"a": _Runs(mark)}, 2))
    else:
        evil.write_bytes(pickle.dumps(_Runs(mark), 2))
    with pytest.raises(InputError, match="nothing in it was run. Received: .*io.open"):
        read_tensors(evil)
    assert not mark.exists()


def test_damaged_files_and_views_beyond_their_numbers_are_refused(tmp_path):
    whole = write_torch(tmp_path / "a.pth", {"a": np.arange(12, dtype="f4")}, zipped=False).read_bytes()
    for name, data in {
        "cut": whole[:-8], "empty": b"", "text": b"hello", "count": whole.replace(
            (12).to_bytes(8, "little"), (-1).to_bytes(8, "little", signed=True)),
        "long": whole.replace(b"K\x0c\x85", b"K\x0d\x85"),
    }.items():  # fmt: skip
        assert name in ("empty", "text") or data != whole, name
        (tmp_path / f"{name}.pth").write_bytes(data)
        with pytest.raises(InputError, match="damaged|other than tensors"):
            read_tensors(tmp_path / f"{name}.pth")
    with pytest.raises(InputError, match="cannot be read"):
        read_tensors(tmp_path / "absent.pth")


def test_views_of_one_storage_count_each_as_they_are_copied(tmp_path, monkeypatch):
    storage = torch_file._Storage(np.dtype("<f4"), np.zeros(1, "<f4"))
    views = {name: torch_file._Tensor(storage, 0, (200,), (0,)) for name in "abc"}
    monkeypatch.setattr(torch_file, "_sequence", lambda path: views)
    file = tmp_path / "a.pth"
    file.write_bytes(b"few")
    assert read_tensors(file).keys() == set("abc")
    monkeypatch.setattr(torch_file, "MOST_BYTES", 2000)
    with pytest.raises(InputError, match="cannot be used. Received: .*more than"):
        read_tensors(file)


def test_tensors_of_a_type_that_is_not_read_are_named(tmp_path):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match="cannot be used. Received: .*BF16.*float32"):
        read_tensors(file)


def test_weights_of_another_network_are_refused_with_what_is_missing(tmp_path, capsys):
    tensors = random_weights(18, "A", WIDTH)
    cases = {
        "no tensor layer3.1.bn2.bias": {k: v for k, v in tensors.items() if k != "layer3.1.bn2.bias"},
        "also layer1.0.more.weight": tensors | {"layer1.0.more.weight": np.ones(3, "f4")},
        "a first convolution over 3 channels": tensors | {
            "conv1.weight": np.ones((4, 3, 7, 7, 7), "f4")},
        "no tensor conv1.weight of five axes": {"fc.weight": np.ones((2, 2), "f4")},
        "layer4.0.conv1.weight of shape": tensors | {
            "layer4.0.conv1.weight": tensors["layer4.0.conv1.weight"][:-1]},
    }  # fmt: skip
    for expected, given in cases.items():
        file = write_torch(tmp_path / "net.pth", given, zipped=True)
        line = error_line(capsys, convert, "--file", file, "--licence", "x", "--out",
                          tmp_path / "a.weights.h5")  # fmt: skip
        assert expected in line
        assert not list(tmp_path.glob("*.h5"))


def test_several_sequences_share_the_kernel_of_one_so_that_sums_keep_their_size(tmp_path):
    file = write_torch(tmp_path / "net.pth", random_weights(10, "B", 64), zipped=True)
    out = tmp_path / "net.weights.h5"
    assert run_command(convert, ["--file", str(file), "--licence", LICENCE, "--out", str(out)]) == 0
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 16, 1)).astype("f4")
    one = resnet3d((16, 16, 16, 1), 2, depth=10, weights=str(out))
    three = resnet3d((16, 16, 16, 3), 2, depth=10, weights=str(out))
    maps = [keras.Model(net.input, net.get_layer("average").output)(x, training=False).numpy()
            for net, x in ((one, image), (three, image.repeat(3, axis=-1)))]  # fmt: skip
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-4)
    probe = frozen_probe((16, 16, 16, 1), 2, encoder="resnet3d_10", weights=str(out), cut_after="layer2")
    assert {v.path.split("/")[0] for v in probe.trainable_variables} == {"probabilities"}
    read = probe.get_layer("average").output
    assert read.shape == (None, 128)
    stage = keras.Model(one.input, one.get_layer("layer2_0_relu").output)(image, training=False).numpy()
    found = keras.Model(probe.input, read)(image, training=False).numpy()
    np.testing.assert_allclose(found, stage.mean(axis=(1, 2, 3)), atol=1e-4)


def test_arguments_that_make_no_network_are_refused():
    for expected, given in {
        "depth must be one of 10, 18, 34, 50": dict(depth=19),
        "shortcut must be A or B": dict(shortcut="C"),
        "must be a file of python -m mri_tf.convert": dict(weights="nowhere.weights.h5"),
    }.items():
        with pytest.raises(InputError, match=expected):
            resnet3d((16, 16, 16, 1), 2, **given)
    with pytest.raises(InputError, match="at least 16 voxels"):
        resnet3d((8, 16, 16, 1), 2)
    with pytest.raises(InputError, match="an encoder of volumes"):
        frozen_probe((32, 32, 1), 2, encoder="resnet3d_10", weights="none")
    with pytest.raises(InputError, match="layer1, layer2, layer3 or layer4"):
        frozen_probe((16, 16, 16, 1), 2, encoder="resnet3d_10", weights="none", cut_after="stack2")

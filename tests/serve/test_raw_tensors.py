"""Arrays as bytes over REST, our own addition: right answers, and right refusals."""

import concurrent.futures
import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from rest import PREDICT, ask, error_of
from serving_models import serving

from mri_tf.predict.rest_client import RestModel
from mri_tf.serve.raw_tensors import MEDIA_TYPE, TYPES, arrays_of, tensors_body, tensors_header
from mri_tf.serve.status import ServingError


def _post(client, header: str, body: bytes, signature: str = "", path: str = PREDICT, **more):
    headers = {"content-type": MEDIA_TYPE, "x-tensors": header, "x-signature-name": signature} | more
    return client.post(path, body, headers=headers)


def _received(response) -> dict[str, np.ndarray]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    return arrays_of(response.headers["x-tensors"], response.content)


def test_bytes_give_the_numbers_that_json_gives(client):
    a, b = np.float32([1.5, 3.25, -1e30]), np.float32([2, 5, 1e-30])
    found = _received(_post(client, "b=float32[3]; a=float32[3]", b.tobytes() + a.tobytes(), "sum"))
    told = ask(client, {"inputs": {"a": a.tolist(), "b": b.tolist()}}, "sum").json()["outputs"]
    assert set(found) == set(told)
    for name, values in told.items():
        np.testing.assert_array_equal(found[name], np.float32(values))
        assert found[name].dtype == np.float32


def test_every_type_of_number_goes_and_comes(client):
    row = {
        "flag": np.array([True, False]), "i8": np.int8([-128, 127]), "d": np.array([0.1, np.nan]),
        "u8": np.uint8([255, 0]), "i64": np.int64([2**63 - 1, -1]), "i32": np.int32([1, -(2**31)]),
    }  # fmt: skip
    found = _received(_post(client, tensors_header(row), tensors_body(row), "types"))
    assert found.keys() == row.keys()
    for name, values in row.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
    half = _received(_post(client, "h=float16[1]", np.float16([0.5]).tobytes(), "half"))
    assert half["h"].dtype == np.float16 and half["h"] == 0.5


def test_an_answer_without_axes_is_an_array_without_axes(client):
    found = _received(_post(client, "x=float32[2]", np.float32([1, 2]).tobytes(), "scalar"))
    assert found["sum"].shape == () and found["sum"] == 3


REFUSED = {
    "a type that is none": ("x=float33[1]", b"1234", "has type float33; known are float16"),
    "a text as a type": ("x=string[1]", b"1234", "has type string"),
    "no shape": ("x=float32", b"1234", "Cannot read the header X-Tensors at: 'x=float32'"),
    "an empty header": ("", b"", "Cannot read the header X-Tensors at: ''"),
    "a negative size": ("x=float32[-1]", b"1234", "Cannot read the header"),
    "a size beyond reason": ("x=float32[" + "9" * 30 + "]", b"1234", "Cannot read the header"),
    "too few bytes": ("x=float32[2]", b"1234", "The body ends before the values of x"),
    "too many bytes": ("x=float32[1]", b"12345678", "describes 4 bytes, but the body has 8"),
    "a product beyond memory": (
        "x=float32[999999999999,999999999999,999999999999]", b"1234", "The body ends before"
    ),
    "a size of nothing beyond memory": ("x=float32[0,999999999999999999]", b"", "x has no values"),
    "a name twice": ("x=float32[1]; x=float32[1]", b"12345678", "names x twice"),
    "forty axes": ("x=float32[" + ",".join("1" * 40) + "]", b"1234", "has 40 axes"),
    "another input": ("y=float32[1]", b"1234", "Sent extra: {y}. Missing but required: {x}."),
    "another type than the model's": (
        "x=int32[1]", b"1234", "input tensor x is of type int32; expected type: float"
    ),
    "another shape than the model's": ("x=float32[1,1]", b"1234", "input tensor x has shape [1, 1]"),
}  # fmt: skip


@pytest.mark.parametrize("sent", REFUSED)
def test_what_does_not_fit_is_refused_and_named(client, sent):
    header, body, says = REFUSED[sent]
    assert says in error_of(_post(client, header, body))


def test_bytes_are_for_predict_and_need_their_media_type(client):
    body, header = np.float32([1]).tobytes(), "x=float32[1]"
    other = client.post(PREDICT, body, headers={"content-type": "image/png", "x-tensors": header})
    assert "X-Tensors needs Content-Type" in error_of(other, 415)
    classify = _post(client, header, body, path="/v1/models/many:classify")
    assert error_of(classify) == "X-Tensors is for predict; classify takes JSON"
    assert "not found in signature def" in error_of(_post(client, header, body, "other"))
    error_of(_post(client, header, body, path="/v1/models/none:predict"), 404)


def test_texts_in_an_answer_cannot_be_bytes(client):
    """`classes` of the signature classify are texts."""
    message = error_of(_post(client, "inputs=float32[1]", b"1234", "classify"))
    assert "expected type: string" in message
    with pytest.raises(ServingError) as caught:
        tensors_header({"classes": np.array([b"low"], object)})
    assert caught.value.code == "UNIMPLEMENTED" and "use JSON" in caught.value.message


def test_json_may_call_itself_bytes_as_tf_serving_allows(client):
    response = client.post(PREDICT, '{"instances": [1.0]}', headers={"content-type": MEDIA_TYPE})
    assert response.json() == {"predictions": [2.5]}


def test_bytes_have_the_limits_of_json(saved):
    with serving(saved, body_bytes=1 << 20, decompressed_bytes=2 << 20, token="right") as client:
        access = {"authorization": "Bearer right"}
        values = np.zeros(200_000, np.float32)
        header = f"x=float32[{len(values)}]"
        assert _post(client, header, values.tobytes()).status_code == 401
        found = _received(_post(client, header, values.tobytes(), **access))
        np.testing.assert_array_equal(found["y"], values / 2 + 2)
        packed = gzip.compress(values.tobytes())
        found = _received(_post(client, header, packed, **access, **{"content-encoding": "gzip"}))
        assert len(found["y"]) == len(values)
        large = np.zeros(400_000, np.float32).tobytes()
        assert _post(client, "x=float32[400000]", large, **access).status_code == 413
        bomb = gzip.compress(bytes(8 << 20))
        bombed = _post(client, "x=float32[2097152]", bomb, **access, **{"content-encoding": "gzip"})
        assert bombed.status_code == 413


def test_requests_of_bytes_and_of_json_share_a_batch(client):
    def one(number: int) -> float:
        if number % 2:
            return ask(client, {"instances": [float(number)]}).json()["predictions"][0]
        response = _post(client, "x=float32[1]", np.float32([number]).tobytes())
        return float(_received(response)["y"][0])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [number / 2 + 2 for number in range(40)]


few = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
arrays = st.sampled_from(sorted(TYPES)).flatmap(
    lambda kind: st_numpy.arrays(kind, st_numpy.array_shapes(min_dims=0, max_dims=4, max_side=3))
)


@few
@given(named=st.dictionaries(st.text(min_size=1, max_size=6), arrays, min_size=1, max_size=4))
def test_arrays_of_any_name_type_and_shape_come_back_as_they_went(named):
    found = arrays_of(tensors_header(named), tensors_body(named))
    assert list(found) == list(named)
    for name, values in named.items():
        assert found[name].dtype == values.dtype and found[name].shape == values.shape
        assert found[name].tobytes() == values.tobytes()


@few
@given(header=st.text("x=float32[1,];0 in8", max_size=40), body=st.binary(max_size=16))
def test_any_header_is_read_or_refused(header, body):
    try:
        found = arrays_of(header, body)
    except ServingError:
        return
    assert sum(array.nbytes for array in found.values()) == len(body)


@pytest.fixture
def asked(monkeypatch):
    """The media types that the client sends."""
    seen, answer = [], RestModel._answer

    def noted(self, verb, body, headers):
        seen.append(headers.get("Content-Type", ""))
        return answer(self, verb, body, headers)

    monkeypatch.setattr(RestModel, "_answer", noted)
    return seen


def test_the_client_sends_bytes_where_the_server_offers_it_and_json_to_tf_serving(
    client, monkeypatch, asked
):
    values = {"a": np.float32([1, 1e-7]), "b": np.float32([np.pi, 2])}
    address = f"http://127.0.0.1:{client.server.rest_port}"
    by_bytes, by_json = (RestModel(address, "many") for _ in range(2))
    assert by_bytes.signatures()["sum"] == {"a": (-1,), "b": (-1,)}
    fast = by_bytes.call("sum", values)
    monkeypatch.setattr("mri_tf.serve.rest.OFFER", {})  # as TF Serving, which does not know of it
    assert by_json.signatures()["sum"] == {"a": (-1,), "b": (-1,)}
    slow = by_json.call("sum", values)
    assert asked == ["", MEDIA_TYPE, "", "application/json"]
    assert fast.keys() == slow.keys() == {"total", "difference"}
    for name in fast:
        np.testing.assert_array_equal(fast[name], np.float32(slow[name]))


def test_the_client_sends_json_for_what_is_no_number(client, asked):
    model = RestModel(f"http://127.0.0.1:{client.server.rest_port}", "many")
    model.signatures()
    assert "strings" not in model._types and "types" not in model._types and "sum" in model._types

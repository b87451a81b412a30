"""Long lists of numbers are read in a fast way, which gives what the exact one gives, or leaves it."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from mri_tf.serve import json_numbers
from mri_tf.serve.json_numbers import array_of, read_with_arrays
from mri_tf.serve.json_requests import COLUMNAR, ROW, parse_json, request_tensors, signature_of
from mri_tf.serve.json_responses import predictions_json
from mri_tf.serve.predict_body import PredictBody, fast_tensors
from mri_tf.serve.signatures import Slot
from mri_tf.serve.status import ServingError

FLOAT = Slot("x", "float", np.dtype(np.float32), None)
SLOTS = {
    "float": FLOAT, "double": Slot("x", "double", np.dtype(np.float64), None),
    "int32": Slot("x", "int32", np.dtype(np.int32), None),
    "string": Slot("x", "string", np.dtype(object), None),
    "bool": Slot("x", "bool", np.dtype(bool), None),
    "half": Slot("x", "half", np.dtype(np.float16), None),
}  # fmt: skip
# Hundreds in the suite, thousands in the slow tier.
few = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
many = settings(few, max_examples=5000)


@pytest.fixture(scope="module", autouse=True)
def short_lists_too():
    """All lists of numbers are read in the fast way, so that small examples show it."""
    before, json_numbers.MIN_BYTES = json_numbers.MIN_BYTES, 0
    yield
    json_numbers.MIN_BYTES = before


def _exact(body: bytes, slots: dict):
    document = parse_json(body)
    return signature_of(document), *request_tensors(document, slots)


def _as_served(body: bytes, slots: dict):
    sent = PredictBody(body)
    return sent.signature, *sent.tensors(slots)


def _outcome(read, body: bytes, slots: dict):
    """What a reader makes of a body, in a form that can be compared to the last bit."""
    try:
        name, arrays, form = read(body, slots)
    except ServingError as error:
        return error.code, error.message
    pairs = ((key, one.dtype, one.shape, one.tolist() if one.dtype == object else one.tobytes())
             for key, one in arrays.items())  # fmt: skip
    return name, form, sorted(pairs)


def _agree(body: bytes, slots: dict) -> None:
    assert _outcome(_as_served, body, slots) == _outcome(_exact, body, slots), body


def _is_fast(body: bytes, slots: dict) -> bool:
    document = read_with_arrays(body)
    return document is not None and fast_tensors(document, slots) is not None


plain = st.floats(-1e6, 1e6, width=32) | st.integers(-5000, 5000) | st.floats(-1e4, 1e4)
odd = st.one_of(
    st.none(), st.booleans(), st.sampled_from([
        "1.5", "NaN", "", [], {}, [[]], [1.0], {"b64": "YQ=="}, {"x": [1.0, 2.0]}, float("nan"),
        float("inf"), -float("inf"), -0.0, 0, 2**24 - 1, 2**24, -(2**24), 2**53, 2**63, 2**64, 10**30,
        1e39, -1e39, 1e308, 1e-50, 16777217.0, "\\", "é", "\ud800",
    ]),
)  # fmt: skip


@st.composite
def nested(draw, leaves):
    """Lists of one shape, of at most four axes."""
    shape = draw(st.lists(st.integers(1, 3), min_size=0, max_size=4))

    def build(sizes):
        return [build(sizes[1:]) for _ in range(sizes[0])] if sizes else draw(leaves)

    return build(shape)


@st.composite
def almost_regular(draw):
    """Lists of one shape in which something may have been changed."""
    value = draw(nested(plain))
    for _ in range(draw(st.integers(0, 2))):
        place, parent = value, None
        while isinstance(place, list) and place and draw(st.booleans()):
            parent, index = place, draw(st.integers(0, len(place) - 1))
            place = place[index]
        if parent is not None and draw(st.booleans()):
            parent[index] = draw(odd)
        elif parent is not None:
            parent.pop()
    return value


values = almost_regular() | nested(plain)
rows = st.lists(st.fixed_dictionaries({"a": values}, optional={"b": values | odd}), max_size=3)
documents = st.fixed_dictionaries(
    {},
    optional={
        "instances": values | rows | st.lists(values, max_size=3) | odd,
        "inputs": values
        | st.fixed_dictionaries({"a": values}, optional={"b": values, "c": values | odd}),
        "signature_name": st.sampled_from(["", "rows", 'a"b', "é", "[1, 2]"]) | odd,
        "context": values | odd,
    },
)  # fmt: skip
slots_asked = st.dictionaries(st.sampled_from("ab"), st.sampled_from(sorted(SLOTS)), min_size=1).map(
    lambda types: {name: SLOTS[kind] for name, kind in types.items()}
)
one_float = st.sampled_from([{"a": FLOAT}, {"a": FLOAT, "b": FLOAT}, {"a": SLOTS["double"]}])


def one_key(value):
    """Requests of one input `a`, with one key."""
    return st.one_of(
        st.fixed_dictionaries({"instances": value}), st.fixed_dictionaries({"inputs": value}),
        st.fixed_dictionaries({"inputs": st.fixed_dictionaries({"a": value})}),
        st.fixed_dictionaries(
            {"instances": st.lists(st.fixed_dictionaries({"a": value}), min_size=1, max_size=3)}
        ),
    )  # fmt: skip


layouts = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"indent": 1}, {"indent": "\t"}, {"ensure_ascii": False}]
)


asked = (
    st.tuples(documents, slots_asked | one_float)
    | st.tuples(one_key(nested(plain)), st.just({"a": FLOAT}))
    | st.tuples(one_key(almost_regular()), st.just({"a": FLOAT}))
)
texts = st.sampled_from(
    [b"", b"[", b"]", b",", b"{", b"}", b'"', b"\\", b"0", b"-", b".", b"e", b"+", b" ", b"\n", b"\x00",
     b"\x0b", b"/", b"1", b"NaN", b"null", b"true", b"1 2", b"][", b"]1", b"1[", b":", b"\xef\xbb\xbf",
     b"\xff", b"Infinity", b"-NaN", b"0x1", b"1_0", b"1e5", b"1E+5", b"-0", b"00"]
)  # fmt: skip


def _check_layout(sent, layout) -> None:
    document, slots = sent
    body = json.dumps(document, **layout).encode("utf-8", "surrogatepass")
    _agree(body, slots)
    event(f"in the fast way: {_is_fast(body, slots)}")



def _check_cut(sent, place, count, added) -> None:
    document, slots = sent
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    at = int(place * len(body))
    body = body[:at] + added + body[at + count :]
    _agree(body, slots)
    event(f"in the fast way: {_is_fast(body, slots)}")


def _check_text(text) -> None:
    array = array_of(text.encode())
    if array is not None:
        np.testing.assert_array_equal(array, np.array(json.loads(text), np.float64))


some_text = st.text("[]{},:.-+eE019 \n\"ab\\", max_size=40)
cuts = dict(place=st.floats(0, 1), count=st.integers(0, 3), added=texts)


@few
@given(sent=asked, layout=layouts)
def test_documents_that_are_almost_requests_are_read_alike(sent, layout):
    _check_layout(sent, layout)


@few
@given(sent=asked, **cuts)
def test_a_text_in_which_characters_were_added_or_cut_is_read_alike(sent, place, count, added):
    _check_cut(sent, place, count, added)


@few
@given(text=some_text)
def test_a_text_of_brackets_and_digits_is_an_array_only_where_it_is_one_in_json(text):
    _check_text(text)


@pytest.mark.slow
@many
@given(sent=asked, layout=layouts, text=some_text, **cuts)
def test_thousands_of_texts_are_read_alike(sent, layout, text, place, count, added):
    _check_layout(sent, layout)
    _check_cut(sent, place, count, added)
    _check_text(text)


@pytest.mark.parametrize(
    "body",
    [b'{"instances": [1, 2], "instances": [3.5]}', b'{"inputs": {"a": [1], "a": [2, 3]}}',
     b'\xef\xbb\xbf{"instances": [1.5, 2]}', b'{"instances": [1.5, 2]} x', b'{"instances": [1.5, 2]',
     b'{"instances" [1.5]}', b'{"instances": [1.5]]}', b'[[1.5, 2]]', b'"a": [1, 2]',
     b'{"\\u0061": [1]}',
     b'{"instances": [[1][2]]}', b'{"instances": [1[], [2]]}', b'{"instances": [[1]2, [3]]}',
     b'{"instances": NaN, "inputs": [1.5, 2]}', b'{"instances": [1.5], "context": NaN}',
     b'{"instances": [1.5], "signature_name": [1.5]}',
     b'{"instances": ' + b"[" * 99 + b"1" + b"]" * 99 + b"}",
     b'{"instances": ' + b"[" * 5000 + b"1.5}", b'{"inputs": {"a": [[1.5], [2]], "b": -1}}',
     b'{"instances": [{"a": [{"x": [1, 2]}]}]}', b'{"instances": [9007199254740993, 1e-7]}',
     b'{"instances": [1.5, 2],}', b'{"instances": [1.5, 2], }', b'{"instances": [1.5, 2,]}'],
)  # fmt: skip
@pytest.mark.parametrize("names", ["a", "ab"])
def test_what_only_looks_like_an_array_is_read_alike(body, names):
    _agree(body, dict.fromkeys(names, FLOAT))


@pytest.mark.parametrize(
    "body",
    ['{"instances": IMAGES}', '{"inputs": IMAGES}', '{"inputs": {"a": IMAGES}}',
     '{"signature_name": "explain", "instances": [{"a": IMAGES}, {"a": IMAGES}]}'],
)  # fmt: skip
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_requests_as_clients_write_them_go_the_fast_way(body, separators):
    images = np.random.default_rng(0).normal(0, 300, (2, 5, 4, 3)).astype(np.float32)
    text = json.dumps(images.tolist(), separators=separators)
    body = body.replace("IMAGES", text).encode()
    assert _is_fast(body, {"a": FLOAT})
    _, arrays, _ = _as_served(body, {"a": FLOAT})
    np.testing.assert_array_equal(arrays["a"].reshape(-1, 5, 4, 3)[:2], images)
    _agree(body, {"a": FLOAT})


@pytest.mark.parametrize(
    "values",
    [np.array([[1, -(2**63)]], np.longlong), np.array([[0, 2**64 - 1]], np.ulonglong),
     np.array([[True, False]]), np.float32([[0.1, -0.0, 1e-45, 3.4028235e38, 16777216.0]]),
     np.float64([[0.1, 5e-324, 1e308]]), np.float32([[1, 2], [3, 4]]).T, np.int8([[-128, 127]]),
     np.float32([[np.nan, np.inf, -np.inf, 0.1]])],
    ids=lambda values: f"{values.dtype.char}{values.shape}",
)  # fmt: skip
@pytest.mark.parametrize("request_format", [ROW, COLUMNAR])
def test_numbers_are_written_so_that_they_read_back(values, request_format):
    for array in (values, values[0], values[:1, :1]):
        (found,) = json.loads(predictions_json({"y": array}, request_format)).values()
        back = np.array(found, array.dtype)
        assert back.tobytes() == np.ascontiguousarray(array).tobytes() and back.shape == array.shape


def test_a_row_may_have_an_image_and_a_whole_number():
    body = b'{"instances": [{"a": [1.5, 2, 3], "b": -1}, {"b": 0, "a": [1, 2, 3e2]}]}'
    slots = {"a": FLOAT, "b": SLOTS["int32"]}
    assert _is_fast(body, slots)
    _agree(body, slots)

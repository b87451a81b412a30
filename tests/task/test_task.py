"""A task is values: it survives JSON, takes --set and variants alike, and refuses what it is not."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refused import refusal

from mri_tf.core.errors import InputError
from mri_tf.store.fingerprints import prep_fingerprint, task_fingerprint
from mri_tf.task import Task
from mri_tf.task import files as tasks
from mri_tf.task.overrides import parse_assignment, with_values
from mri_tf.task.rules import BASE_VARIANT
from mri_tf.task.spec import from_json, to_json

BASE = dict(
    name="tiny", channels=("t1",), image_shape=(32, 32), class_names=("a", "b"), model="mnet",
    augment={"random_affine": {"max_degrees": 10.0, "zoom": (0.9, 1.1)}},
    variants={
        "short": {"epochs": 2, "batch_size": 4},
        "long": {"epochs": 9},
        "bare": {"augment": {}},
        "turn": {"augment.random_affine.max_degrees": 45.0},
    },
)  # fmt: skip


def tiny(**changes) -> Task:
    return Task(**{**BASE, **changes})


def load(name: str) -> tuple[Task, object]:
    file = tasks.find_task_file(name)
    return tasks.load_task(file), file


WITH_FEATURES = [name for name in tasks.task_names() if load(name)[0].features_from]


def with_set(task: Task, *texts: str) -> Task:
    return tasks.resolve_task(task, [], list(texts))


def through_json(task: Task) -> Task:
    return from_json(json.loads(json.dumps(to_json(task))))


def test_epochs_that_are_set_after_a_budget_of_steps_count():
    budget = with_values(tiny(), {"steps": 300, "features.steps": 200})
    changed = with_values(budget, {"epochs": 3, "features.epochs": 2})
    assert (changed.epochs_of(5), changed.features) == (3, {"epochs": 2})
    assert with_values(budget, {"epochs": 3, "steps": 12}).epochs_of(5) == 3  # 12 steps of 5
    assert with_values(budget, {"learning_rate": 0.1}).epochs_of(7) == 43


@pytest.mark.parametrize("name", tasks.task_names())
def test_a_built_in_task_each_of_its_variants_and_all_together_survive_json(name):
    task, _ = load(name)
    for variants in [[BASE_VARIANT], *([variant] for variant in task.variants), list(task.variants)]:
        resolved = tasks.resolve_task(task, variants, [])
        assert through_json(resolved) == resolved
        assert task_fingerprint(through_json(resolved)) == task_fingerprint(resolved)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_plain_values_inside_a_dictionary_survive_json(values):
    task = tiny(model_args=values)
    assert through_json(task) == task


@pytest.mark.parametrize("value", [{1, 2}, b"raw", 2j, ...])
def test_a_value_that_json_cannot_hold_is_refused_in_one_line(value):
    refusal(lambda: to_json(with_values(tiny(), {"model_args.key": value})))


def test_lists_become_tuples_at_every_depth():
    task = tiny(channels=["t1", "t2"], model_args={"sizes": [[1, 2], [3]], "inner": {"deep": [4]}})
    assert task.channels == ("t1", "t2")
    assert task.model_args == {"sizes": ((1, 2), (3,)), "inner": {"deep": (4,)}}


def test_whole_numbers_become_floats_where_the_field_is_a_float():
    task = tiny(learning_rate=1, augment_probability=1)
    assert (type(task.learning_rate), type(task.augment_probability)) == (float, float)
    assert task_fingerprint(task) == task_fingerprint(tiny(learning_rate=1.0, augment_probability=1.0))


OF_ANOTHER_TYPE = [
    {"epochs": True}, {"batch_size": False}, {"image_shape": (True, 32)}, {"epochs": 3.0},
    {"learning_rate": True}, {"learning_rate": "0.1"}, {"channels": "t1"}, {"name": 3},
    {"oversample": 1}, {"augment": [1]}, {"channels": (1,)}, {"split_fractions": 0.5},
]  # fmt: skip
OUT_OF_RANGE = [
    {"kind": "detection"}, {"image_shape": (32,)}, {"image_shape": (0, 32)}, {"channels": ()},
    {"class_names": ("a",)}, {"class_names": ("a", "a")}, {"loss_weights": "some"},
    {"augment_probability": 1.5}, {"augment_probability": -0.1}, {"split_fractions": (0.5, 0.5)},
    {"split_fractions": (0.5, 0.5, 0.5)}, {"split_fractions": (1.0, 0.0, 0.0)}, {"epochs": 0},
    {"batch_size": 0}, {"patience": -1}, {"learning_rate": 0.0}, {"name": "two words"},
    {"variants": {"manual": {}}}, {"schedule": "linear"}, {"steps": -1}, {"warm_up": -1},
    {"clip_norm": -1.0}, {"label_smoothing": 1.0}, {"choose_epoch": "best"},
    {"dice_share": 0.5}, {"dice_share": 1.0, "kind": "segmentation"},
    {"patience": 3, "choose_epoch": "budget"}, {"feature_bank": 2, "kind": "segmentation"},
]  # fmt: skip


@pytest.mark.parametrize("changes", OF_ANOTHER_TYPE + OUT_OF_RANGE, ids=str)
def test_a_value_of_another_type_or_out_of_its_range_is_refused(changes):
    assert next(iter(changes)) in refusal(tiny, **changes)


def test_a_task_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().epochs = 3


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("learning_rate=1e-4", "learning_rate", 1e-4),
        ("oversample=True", "oversample", True),
        ("image_shape=(64, 64)", "image_shape", (64, 64)),
        ("model=3", "model", "3"),
        ("features_from=", "features_from", ""),
        ("loss_weights=none", "loss_weights", "none"),
        ("model_args.weights=none", "model_args.weights", "none"),
        ("model_args.weights=None", "model_args.weights", None),
        ("model_args.formula=a=b", "model_args.formula", "a=b"),
        ("normalize.method=range", "normalize.method", "range"),
        ("augment.random_affine.max_degrees=5", "augment.random_affine.max_degrees", 5),
    ],
)
def test_an_assignment_is_a_literal_or_the_string_as_written(text, key, value):
    parsed = parse_assignment(tiny(), text)
    assert parsed == (key, value)
    assert type(parsed[1]) is type(value)


def test_views_of_an_image_are_set_like_any_dictionary():
    task = with_set(tiny(), 'test_time.flips=("columns",)', "test_time.shift_voxels=1")
    assert task.test_time == {"flips": ("columns",), "shift_voxels": 1}
    assert through_json(task) == task


def test_set_reaches_into_a_dictionary_and_leaves_the_rest():
    task = with_set(tiny(), "augment.random_affine.max_degrees=5", "augment.random_flip.axis=rows")
    assert task.augment == {
        "random_affine": {"max_degrees": 5, "zoom": (0.9, 1.1)},
        "random_flip": {"axis": "rows"},
    }
    assert tiny().augment == BASE["augment"]


def test_set_of_a_whole_dictionary_replaces_it_and_the_later_of_two_wins():
    assert with_set(tiny(), "augment={'random_flip': {}}").augment == {"random_flip": {}}
    assert with_set(tiny(), "epochs=3", "epochs=5").epochs == 5


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("eopchs=3", "epochs"), ("modle=vgg", "model"), ("agument.random_flip.axis=rows", "augment"),
        ("learning_rat=0.1", "learning_rate"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_with_its_nearest_match(text, hint):
    assert f"Did you mean {hint}?" in refusal(with_set, tiny(), text)


@pytest.mark.parametrize(
    "text",
    [
        "epochs", "=3", "epochs=many", "epochs=True", "epochs=2.5", "learning_rate=fast",
        "augment=none", "augment=3", "oversample=yes", "image_shape=64", "channels=t1",
        "epochs.inner=3", "augment.random_affine.max_degrees.deep=3", "name=other", "variants={}",
        "zzz=1", "epochs=", "epochs.=3", "learning_rate=1e999", f"learning_rate={'9' * 400}",
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_an_assignment_that_does_not_fit_is_refused_in_one_line(text):
    refusal(with_set, tiny(), text)


@pytest.mark.parametrize("text", ["epochs={[1]: 2}", "model_args.key={[1]: 2}"])
def test_a_literal_that_python_cannot_build_does_not_escape_as_another_error(text):
    try:
        task = with_set(tiny(), text)
    except InputError:
        return
    assert task.model_args == {"key": "{[1]: 2}"}


@given(
    st.sampled_from(["epochs", "model", "learning_rate", "model_args.x", "augment", "zoo"]),
    st.text(st.characters(codec="ascii"), max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_gives_a_value_or_an_input_error(key, raw):
    try:
        parsed, _ = parse_assignment(tiny(), f"{key}={raw}")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert parsed == key


def test_variants_compose_left_to_right_and_set_comes_after_them():
    def resolved(*variants, texts=()):
        return tasks.resolve_task(tiny(), list(variants), list(texts))

    assert resolved("short", "long").epochs == 9
    assert resolved("long", "short").epochs == 2
    assert resolved("short", "long").batch_size == 4
    assert resolved("turn", "bare").augment == {}
    assert resolved("bare", "turn").augment == {"random_affine": {"max_degrees": 45.0}}
    assert resolved("short", "long", texts=["epochs=4"]).epochs == 4


def test_manual_is_the_task_without_variants():
    assert tasks.resolve_task(tiny(), [BASE_VARIANT], []) == tiny()
    assert tasks.resolve_task(tiny(), [], []) == tiny()
    assert BASE_VARIANT == "manual"


def test_an_unknown_variant_is_refused_with_those_there_are():
    assert "short" in refusal(tasks.resolve_task, tiny(), ["demo"], [])


def test_a_key_of_a_variant_that_is_no_key_of_the_task_is_refused():
    task = tiny(variants={"odd": {"epoch": 3}})
    assert "Did you mean epochs?" in refusal(tasks.resolve_task, task, ["odd"], [])


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_a_setting_of_the_features_reaches_the_feature_task_alone(name):
    task, file = load(name)
    changed = with_set(task, "features.epochs=3", "features.model_args.dropout=0.25")
    kept = {key: value for key, value in task.features.items() if key != "steps"}  # epochs end them
    assert changed.features == {**kept, "epochs": 3, "model_args.dropout": 0.25}
    assert changed.epochs == task.epochs
    plain, _ = tasks.feature_task(task, file)
    features, path = tasks.feature_task(changed, file)
    assert (features.epochs, features.model_args["dropout"]) == (3, 0.25)
    assert path == tasks.find_task_file(task.features_from)
    assert features == dataclasses.replace(
        plain, epochs=3, steps=0, model_args={**plain.model_args, "dropout": 0.25}
    )


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_the_demo_of_a_classifier_sets_its_feature_task(name):
    task, file = load(name)
    demo = tasks.resolve_task(task, ["demo"], [])
    features, _ = tasks.feature_task(demo, file)
    own = {key.partition(".")[2]: value for key, value in task.variants["demo"].items()}
    trained = [key for key in ("epochs", "steps", "learning_rate") if key in own]
    assert trained and all(getattr(features, key) == own[key] for key in trained)


def test_a_misspelt_key_of_the_features_is_refused():
    task, file = load(WITH_FEATURES[0])
    misspelt = with_set(task, "features.eopchs=3")
    assert "Did you mean epochs?" in refusal(tasks.feature_task, misspelt, file)


def test_features_from_a_classifier_are_refused():
    task, file = load(WITH_FEATURES[0])
    from_itself = dataclasses.replace(task, features_from=task.name)
    assert "segmentation" in refusal(tasks.feature_task, from_itself, file)


TASK_FILE = """
from mri_tf.task import Task
TASK = Task(name={name!r}, channels=("t1",), image_shape=(32, 32), class_names=("a", "b"),
            model="mnet", kind="segmentation")
"""


def test_a_task_file_of_the_users_own_is_found_by_its_path(tmp_path):
    (tmp_path / "mine.py").write_text(TASK_FILE.format(name="mine"))
    file = tasks.find_task_file(str(tmp_path / "mine.py"))
    assert tasks.load_task(file).name == "mine"


def test_a_feature_task_is_looked_for_beside_the_task_file_first(tmp_path):
    (tmp_path / "mine.py").write_text(TASK_FILE.format(name="mine"))
    (tmp_path / "cardiac_structures.py").write_text(TASK_FILE.format(name="cardiac_structures"))
    found = tasks.find_task_file("cardiac_structures", beside=tmp_path / "mine.py")
    assert found == (tmp_path / "cardiac_structures.py").resolve()


def test_a_task_named_otherwise_than_its_file_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(TASK_FILE.format(name="yours"))
    line = refusal(tasks.load_task, tmp_path / "mine.py")
    assert "yours" in line and "mine.py" in line


@pytest.mark.parametrize("text", ["", "TASK = 3", "TASK = ", "import no_such_module_here"])
def test_a_file_that_holds_no_task_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "mine.py").write_text(text)
    assert "mine.py" in refusal(tasks.load_task, tmp_path / "mine.py")


@pytest.mark.parametrize("argument", ["no_such_task", "no/such/file.py"])
def test_a_task_that_does_not_exist_is_refused_in_one_line(argument):
    assert argument in refusal(tasks.find_task_file, argument)


def test_the_task_fingerprint_ignores_order_and_variants():
    one = tiny(prep={"a": 1, "b": {"c": 2, "d": 3}})
    other = tiny(prep={"b": {"d": 3, "c": 2}, "a": 1}, variants={})
    assert task_fingerprint(one) == task_fingerprint(other)


@pytest.mark.parametrize(
    "changes", [{"epochs": 3}, {"prep": {"a": 2}}, {"class_names": ("b", "a")}, {"model": "vgg"}]
)
def test_the_task_fingerprint_changes_with_what_is_trained(changes):
    assert task_fingerprint(tiny(**changes)) != task_fingerprint(tiny())


HELD_BY_A_SET = [
    {"prep": {"a": 2}}, {"image_shape": (32, 64)}, {"channels": ("t2",)}, {"name": "other"},
    {"class_names": ("b", "a")}, {"kind": "segmentation"},
]  # fmt: skip
TRAINED_ON_A_SET = [
    {"epochs": 3}, {"model": "vgg"}, {"augment": {}}, {"normalize": {"method": "range"}},
    {"variants": {}}, {"split_fractions": (0.5, 0.25, 0.25)},
]  # fmt: skip


@pytest.mark.parametrize("changes", HELD_BY_A_SET + TRAINED_ON_A_SET, ids=str)
def test_the_prep_fingerprint_changes_with_what_a_set_holds_and_with_nothing_else(changes):
    changed = prep_fingerprint(tiny(**changes)) != prep_fingerprint(tiny())
    assert changed == (changes in HELD_BY_A_SET)

"""Covariates of a table as features: numbers, categories, what is missing, and ages."""

import numpy as np

from data_prep.ages import OLDEST
from mri_tf.audit.covariates import column_of, design

LEARNED = np.array([0, 1, 2])


def facts(name, *values):
    return [{} if value is None else {name: value} for value in values]


def test_a_column_of_numbers_is_one_number():
    column = column_of(facts("field", "1.5", 3, "3.0", "1.5"), "field")
    np.testing.assert_array_equal(design([column], LEARNED), [[1.5], [3.0], [3.0], [1.5]])


def test_a_missing_number_is_the_mean_of_the_learned_side_and_said():
    column = column_of(facts("age", "40", None, "60", "90"), "age")
    np.testing.assert_array_equal(design([column], LEARNED), [[40, 0], [50, 1], [60, 0], [90, 0]])


def test_two_words_are_one_column_and_more_are_one_each():
    sex = column_of(facts("sex", "F", "M", "F", "M"), "sex")
    np.testing.assert_array_equal(design([sex], LEARNED), [[0], [1], [0], [1]])
    stage = column_of(facts("stage", "I", "II", "III", "IV"), "stage")
    np.testing.assert_array_equal(design([stage], LEARNED), [*np.eye(3), [0, 0, 0]])


def test_ages_are_read_as_years_and_end_at_the_oldest():
    column = column_of(facts("age", "063Y", "64", "95", 101), "age")
    np.testing.assert_array_equal(column.numbers, [63, 64, OLDEST, OLDEST])


def test_ages_of_children_and_words_for_a_sex_are_one_scale():
    ages = column_of(facts("age", "018M", "3", "6 months", "2 years"), "age")
    np.testing.assert_array_equal(ages.numbers, [1.5, 3, 0.5, 2])
    sex = column_of(facts("sex", "F", "male", "female", "M"), "sex")
    np.testing.assert_array_equal(sex.words, ["female", "male", "female", "male"])
    assert set(column_of(facts("sex", "1", "2", "1"), "sex").numbers) == {1, 2}  # the table's own codes


def test_what_is_the_same_in_all_or_another_word_in_each_is_no_covariate():
    assert not column_of(facts("site", "a", "a", "a"), "site").usable
    assert not column_of(facts("note", *(f"word {number}" for number in range(40))), "note").usable
    assert not column_of([{}, {}], "age").usable
    assert column_of(facts("sex", "F", None, "F"), "sex").usable  # whether it is known may tell

"""The report: right in every story a comparison can tell."""

from __future__ import annotations

import html
import json
import re

import pytest
from report_stories import HOSTILE, STORIES, told
from report_text import markup, source, titles, words


@pytest.mark.parametrize("name", STORIES)
def test_every_story_becomes_a_page_without_gaps(name):
    folder = told(name)
    text = words(folder)
    assert not re.search(r"\bnan\b|\binf\b|\bundefined\b|None\b(?! of)", text)
    assert " style=" not in markup(folder)
    for section in (
        "Verdict",
        "What to do",
        "Warnings",
        "Spread",
        "Every number",
        "Shapes",
        "Reference health",
        "Glossary",
    ):
        assert section in text


def test_a_number_never_shows_a_negative_zero_or_a_hyphen_for_a_minus():
    for name in ("overconfident", "disagreeing"):
        assert not re.search(r"[−-]0\.0+\b(?![1-9])", words(told(name)))


def test_an_overconfident_method_is_the_subject_of_the_headings():
    assert "CAVI makes" in titles(told("overconfident"))
    assert "CAVI’s intervals hold less than they promise" in titles(told("overconfident"))
    assert "The centres agree; the widths do not" in titles(told("overconfident"))


def test_a_calibrated_page_accuses_nobody():
    said = titles(told("calibrated"))
    assert "too small" not in said
    assert "Intervals hold what they promise" in said


def test_a_failed_reference_is_said_before_any_number():
    folder = told("no_verdict")
    text = words(folder)
    assert text.index("failed its own checks") < text.index("90 %")
    assert "too small" not in titles(folder)
    assert "so no number below is a verdict" in text


def test_a_method_that_did_not_converge_is_not_blamed_on_its_family():
    said = titles(told("not_converged"))
    assert "too small" not in said
    assert "had not converged" in words(told("not_converged"))


def test_biased_and_underconfident_methods_are_named():
    text = words(told("disagreeing"))
    assert "means more than a quarter of an sd off" in text
    assert "sds more than 10 % too large" in text
    assert "EM gives one point" in text


def test_empty_components_are_counted_and_listed_with_their_quantiles():
    text = words(told("empty_components"))
    assert "Four of six components own a row in at least 95 % of draws" in text
    assert "Left out of the verdict" in text
    assert "Its component is occupied in 12 % of draws" in text
    assert "Two of six components own a row in fewer than 95 % of draws and are not drawn: components 4 and 5" in text


def test_a_reference_that_only_a_file_names_is_called_the_reference():
    text = words(told("two_files"))
    assert "of its sd under the reference" in text
    assert "under b" not in text
    assert "(the reference in grey)" in text
    assert "a makes" in titles(told("two_files"))
    assert "<code>a</code> makes" in markup(told("two_files"))


def test_a_table_with_a_missing_number_says_so():
    assert "A dash: there is no finite number." in words(told("constant"))
    assert "A dash:" not in words(told("overconfident"))


def test_without_rows_the_weights_stay_and_the_page_says_what_is_missing():
    text = words(told("without_data"))
    assert "The rows themselves were not kept" in text
    assert "All three components are occupied" in text


def test_of_five_columns_the_page_names_the_two_it_draws():
    assert re.search(r"Of 5 columns, \w and \w separate the components most", words(told("five_columns")))


def test_a_generic_model_keeps_its_coordinates_and_has_no_data_section():
    text = words(told("disagreeing"))
    assert "theta[Phillips Andover]" in text
    assert "In the data" not in text


def test_a_check_of_two_files_leaves_out_what_nobody_knows():
    text = words(told("two_files"))
    assert "not known" in text
    assert "Wall time" not in text


def test_many_parameters_are_all_in_the_table_and_forty_in_the_forest():
    folder = told("many_parameters")
    forest = json.loads((folder / "figures" / "forest.json").read_text())
    assert len(forest["layout"]["meta"]["order"]) == 40
    assert len(re.findall(r"<tr [^>]*data-name", markup(folder))) == 202
    assert markup(folder).count('class="thumb"') == 36


def test_hostile_names_are_text_and_nothing_else():
    page = source(told("hostile_names"))
    assert HOSTILE not in page
    assert "<img" not in page
    assert len(re.findall(r"<script\b", page.split("<body>")[1].split('<script type="application/json"')[0])) == 0
    assert html.escape(HOSTILE, quote=False)[:40] in page.replace("&#34;", '"').replace("&#39;", "'")

"""Tables from every kind of source, and a clear sentence for each that is unfit."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vi_vs_mcmc.data import read, thin
from vi_vs_mcmc.errors import DataError, SettingError

# Each a sum of few powers of two, so that float32 holds them too.
VALUES = np.array([[3.5, 79.0], [1.75, 54.5], [3.25, 74.0], [2.5, 62.0]])
CELLS = "3.5,79\n1.75,54.5\n3.25,74\n2.5,62\n"
LISTS = VALUES.T.tolist()
# of moderate size, negative zero among them: what cannot be squared is refused
FINITE = st.floats(-1e29, 1e29).map(lambda x: x if abs(x) > 1e-10 else 0.0 * x)
TABLES = hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=FINITE)


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def files(tmp_path):
    frame = pl.DataFrame(VALUES, schema=["x0", "x1"])
    frame.write_csv(tmp_path / "t.csv")
    frame.write_csv(tmp_path / "t.TSV", separator="\t")
    frame.write_parquet(tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", np.asfortranarray(VALUES))
    return tmp_path


def same(table):
    np.testing.assert_array_equal(table.values, VALUES)
    assert (table.columns, table.left_out) == (("x0", "x1"), ())
    assert table.sha256 == read(VALUES).sha256
    assert (table.values.dtype, table.values.flags.c_contiguous) == (np.float64, True)
    return table


@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.parquet", "t.npy"])
def test_every_file_format_gives_the_same_table_and_hash(name, files):
    assert same(read(files / name)).name == name
    assert same(read(str(files / name))).warnings == ()


SOURCES = {
    "big-endian and strided": np.repeat(VALUES.astype(">f8"), 2, axis=0)[::2],
    "float32": VALUES.astype(np.float32),
    "list of rows": VALUES.tolist(),
    "jax": jnp.asarray(VALUES, dtype=jnp.float32),
    "xarray": xr.DataArray(VALUES, dims=("row", "column")),
    "pandas": pd.DataFrame(VALUES, columns=["x0", "x1"], index=list("abcd")),
    "pandas without names": pd.DataFrame(VALUES),
    "pandas nullable": pd.DataFrame(VALUES, columns=["x0", "x1"]).convert_dtypes(),
    "polars": pl.DataFrame(VALUES, schema=["x0", "x1"]),
    "arrow": pa.table(LISTS, names=["x0", "x1"]),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_array_and_frame_gives_the_same_table_and_hash(kind):
    name = "frame" if kind[:5] in ("panda", "polar", "arrow") else "array"
    assert (same(read(SOURCES[kind])).name, read(SOURCES[kind]).warnings) == (name, ())


def test_csv_dialects_give_the_same_table(file):
    same(read(file("t.csv", "x0;x1\n" + CELLS.replace(",", ";"))))
    same(read(file("t.csv", b'\xef\xbb\xbf"x0","x1"\r\n' + CELLS.replace("\n", "\r\n").encode())))
    assert "has no header: its first row" in same(read(file("t.csv", CELLS.strip()))).warnings[0]


def test_the_hash_sees_values_names_order_and_shape_but_no_negative_zero():
    frame = pd.DataFrame(VALUES, columns=["a", "b"])
    others = [frame + 1, frame.rename(columns={"a": "c"}), frame[["b", "a"]], frame.iloc[:3]]
    assert len({read(f).sha256 for f in [frame, *others]}) == 5
    assert read([[0.0, 1.0]]).sha256 == read([[-0.0, 1.0]]).sha256


def test_a_table_neither_changes_nor_follows_what_it_was_read_from():
    table = read(source := VALUES.copy())
    source[0, 0] = 99.0
    same(table)
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 1.0


def test_columns_that_are_not_numbers_are_left_out_by_name():
    days = pl.Series(["2026-01-01"] * 2).str.to_date()
    price = pl.Series(["1.10", "2.20"]).cast(pl.Decimal(10, 2))
    frame = {"text": ["a", "b"], "day": days, "flag": [True] * 2, "n": [2**53 + 1, 2**63 - 1], "price": price}
    for table in (read(pl.DataFrame(frame)), read(pl.DataFrame(frame).to_arrow())):
        assert (table.columns, table.left_out) == (("n", "price"), ("text", "day", "flag"))
        np.testing.assert_array_equal(table.values, [[2.0**53, 1.1], [2.0**63, 2.2]])


def test_chosen_columns_come_in_the_order_chosen_and_only_they_are_checked(file):
    table = read(file("t.csv", "a,b,c\n1,,3.5\n2.5,4,7\n0.5,1,1\n"), columns=["c", "a"])
    assert (table.columns, table.left_out) == (("c", "a"), ("b",))
    np.testing.assert_array_equal(table.values[0], [3.5, 1.0])
    assert read(file("t.csv", "width,height\n1,2\n"), columns="width").columns == ("width",)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "rownames", "__index_level_0__", "id"])
def test_a_column_that_numbers_the_rows_is_left_out_with_a_word(name):
    frame = pd.DataFrame({name: np.arange(4) + (name == "id"), "a": VALUES[:, 0], "b": VALUES[:, 1]})
    table = read(frame)
    assert (table.columns, table.left_out) == (("a", "b"), (name,))
    assert f"column {name!r} only numbers the rows" in table.warnings[0]
    assert read(frame, columns=[name, "a"]).columns == (name, "a")
    assert read(frame.iloc[[1, 0, 2, 3]]).columns == (name, "a", "b")
    assert read(frame[[name]]).columns == (name,)


def test_a_long_csv_is_read_in_full_though_its_column_turns_real_late(file):
    values = np.floor(1000 * np.random.default_rng(0).random((200_000, 8)))
    values[-1] += 0.5
    text = pl.DataFrame(values, schema=list("abcdefgh")).write_csv()
    np.testing.assert_array_equal(read(file("t.csv", text.replace(".0", ""))).values, values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=TABLES, data=st.data())
def test_any_finite_table_survives_csv_parquet_and_npy(tmp_path, values, data):
    name = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map("c".__add__)
    names = data.draw(st.lists(name, min_size=values.shape[1], max_size=values.shape[1], unique=True))
    frame = pl.DataFrame(values, schema=names)
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", values)
    for table in (read(tmp_path / "t.csv"), read(tmp_path / "t.parquet")):
        np.testing.assert_array_equal(table.values, values)
        assert table.columns == tuple(names)
        assert table.sha256 == read(frame).sha256
    assert read(tmp_path / "t.npy").sha256 == read(values).sha256


@pytest.mark.parametrize("name", ["größe", "高さ", "a,b", 'say "hi"', "two\nlines", " spaced ", "a;b", "𝜎²"])
def test_an_odd_column_name_is_kept_as_it_is(name, tmp_path):
    frame = pd.DataFrame(VALUES, columns=[name, "column_names"])
    frame.to_csv(tmp_path / "größe.csv", index=False)
    frame.to_parquet(tmp_path / "größe.parquet")
    for source in (frame, tmp_path / "größe.csv", tmp_path / "größe.parquet"):
        assert read(source).columns == (name, "column_names")
        assert read(source).sha256 == read(frame).sha256


def refused(source, match, **options):
    with pytest.raises(DataError, match=match) as caught:
        read(source, **options)
    assert str(caught.value).endswith((".", "?"))
    assert "\n" not in str(caught.value)


def test_a_path_that_leads_to_no_table_says_what_is_there(files, file):
    refused(files / "tt.csv", "no file '.*tt.csv'; did you mean '.*/t.csv'")
    refused(files / "nowhere" / "t.csv", r"no file '.*t.csv'\.")
    refused(files, r"is a folder; want a file \(.csv, .tsv")
    refused(file("t.xlsx", "a"), "t.xlsx has extension .xlsx; want .csv, .tsv, .parquet, .npy")
    refused(file("table", "a"), "table has no extension; want .csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_an_empty_cut_off_or_damaged_file_says_so(suffix, files, file):
    refused(file(f"u.{suffix}", ""), f"u.{suffix} is empty")
    refused(file(f"u.{suffix}", "\n\n"), f"u.{suffix} cannot be read as {suffix}, it may be damaged")
    if suffix != "csv":  # a csv may end anywhere
        refused(file(f"u.{suffix}", (files / f"t.{suffix}").read_bytes()[:-2]), "may be damaged")
    np.save(files / "t.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    refused(files / "t.npy", "allow_pickle=False")


def test_a_csv_that_is_not_utf8_or_ragged_says_where(file):
    refused(file("t.csv", "größe,b\n1,2\n".encode("latin-1")), "t.csv is not UTF-8 text; save it as UTF-8")
    refused(file("t.csv", 'a,"b\nc"\n1,2\n1,2,3\n'), r"line 4 has another number of cells \(3\) than")
    refused(file("t.csv", "a,b\n1,2\n".encode("utf-16")), "t.csv is not UTF-8 text")
    refused(file("t.csv", 'a,b\n1,"2\n3,4\n'), "may be damaged .unexpected end of data")
    refused(file("t.csv", "a;b\n1,5;u\n2,5;v\n"), r"only 'a': string \(row 1 holds '1,5'\), 'b': string;")


def test_too_few_rows_names_both_numbers(file):
    refused(VALUES, r"the array has too few rows \(4\); want at least 5", minimum_rows=5)
    refused(file("t.csv", "a,b\n"), "t.csv has no rows; want at least 3", minimum_rows=3)
    refused(np.empty((0, 2)), "the array has no rows; want at least 1")
    refused(pd.DataFrame({"a": [], "b": pd.Series([], dtype=str)}), "the frame has no rows")


UNFIT = {
    r"the array has shape \(500,\): want \(rows, columns\); for one column use x\[:, None\]": np.zeros(500),
    r"shape \(2, 3, 4\): want \(rows, columns\)\.": np.zeros((2, 3, 4)),
    r"shape \(3,\)": pd.Series([1.0, 2.0, 3.0]),
    "the array holds text; want real numbers": [["1", "2"]],
    "the array holds objects; want real numbers": [[1.0, None]],
    "holds booleans": [[True, False]],
    "holds complex numbers": [[1j, 2.0]],
    "holds datetime64": np.array([["2026-01-01"]], dtype="datetime64[D]"),
    r"holds \[\('a', '<i8'\)": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    "the array is ragged; want a list of rows": [[1.0, 2.0], [3.0]],
    "cannot read a table from a dict; want a path": {"a": [1.0]},
    "no numeric column, only no columns at all": np.empty((3, 0)),
    "only 'a': string, 'b': boolean; want at least one": pl.DataFrame({"a": ["u"], "b": [True]}),
    "frame has more than one column called 'a'; rename": pd.DataFrame(VALUES, columns=["a", "a"]),
    "more than one column called 'a'": pa.table(LISTS, names=["a", "a"]),
    "more than one column called '1'": pd.DataFrame(VALUES, columns=[1, "1"]),
    "frame has no value in column 'a', row 2; drop the rows or": pd.DataFrame({"a": [1, np.nan], "b": 1}),
    "no value in column 'b', row 2;": pd.DataFrame({"a": 1, "b": pd.array([1, None], dtype="Int64")}),
    "no value in column 'c', row 2;": pl.DataFrame({"a": [1, 4], "c": [1, None]}),
    "no value in column 'd', row 2;": pa.table({"a": [1, 4], "d": [1.5, None]}),
    "no value in column 'e', row 2;": pl.DataFrame({"e": pl.Series(["1.5", None]).cast(pl.Decimal(10, 2))}),
    "no value in column 'f', row 1, the first of 2": pl.DataFrame({"f": [None, None], "b": [1, 2]}),
    "the array has -inf in column 'x1', row 1;": [[1.0, -np.inf], [2.0, 3.0]],
    "no value in column 'x1', row 2;": np.ma.masked_array(VALUES, mask=VALUES == 54.5),
}


@pytest.mark.parametrize("sentence", UNFIT)
def test_an_unfit_array_or_frame_is_refused_with_a_sentence(sentence):
    refused(UNFIT[sentence], sentence)


def test_an_unfit_cell_of_a_csv_names_its_column_row_and_line(file):
    path = file("t.csv", 'a,"b\nc"\n1,2\n\n3,4\n5,\n,NA\n')
    refused(path, r"t.csv has no value in column 'b\\nc', row 3 \(line 6 of the file\), the first of 3")
    refused(path, r"cells \(in 'a', 'b\\nc'\); drop the rows or fill the cells")
    refused(file("t.csv", "1,2\n3,\n"), r"row 2 \(line 2 of the file\);")
    refused(file("t.csv", "a\n1\n1e999\n"), "t.csv has inf in column 'a', row 2")
    refused(file("t.csv", "a,b,\n1,2,\n2,4,\n"), "no value in column '', row 1 .* the first of 2")
    refused(file("t.csv", "a,b,a\n1,2,3\n"), "t.csv has more than one column called 'a'")


def test_a_wrong_choice_of_columns_is_a_setting_or_not_numeric():
    frame = pl.DataFrame({"width": [1.0], "name": ["u"]})
    refused(frame, "column 'name' of the frame is not numeric but string", columns=["name"])
    with pytest.raises(SettingError, match="no column of the frame is called 'widht'; did you mean 'width'"):
        read(frame, columns=["widht"])
    with pytest.raises(SettingError, match="want at least one name, each once"):
        read(frame, columns=["width", "width"])


NORMAL = np.random.default_rng(1).normal(size=(50, 3)) * [1.0, 1e3, 1e-3] + [0.0, 1e6, 5.0]
A, B, C, NOISE = *NORMAL.T, np.random.default_rng(2).normal(size=50)
ABC = pd.DataFrame(NORMAL, columns=list("abc"))
CAUTIONS = {
    "column 'd' is constant (3.0): its variance cannot be learned": ABC.assign(d=3.0),
    "column 'd' is constant (0.3": ABC.assign(d=np.resize([0.1 + 0.2, 0.3], 50)),
    "column 'd' is collinear with 'b': some direction has no spread": ABC.assign(d=7 - 2 * B),
    "column 'd' is collinear with 'a':": ABC.assign(d=A + 1e-5 * NOISE),
    "column 'd' is collinear with 'a', 'c':": ABC.assign(d=A - 1e3 * C),
    "there are no more rows (3) than columns (3): some direction": NORMAL[:3],
    "there are no more rows (1) than columns (2)": VALUES[:1],
    "column 'd' holds only 0, 1, 2, taken as numbers: if they code": ABC.assign(d=np.resize([0, 1, 2], 50)),
    "column 'd' is left out, though mostly numbers: it is string (row 2 holds '?')": ABC.assign(
        d=["1", "?", *["3"] * 48]
    ),
    "column 'd' is left out, though mostly numbers: it is string (of plain numbers)": ABC.assign(
        d=["1", None, *["3"] * 48]
    ),
}


@pytest.mark.parametrize("sentence", CAUTIONS)
def test_an_unusual_column_gives_one_warning_with_what_follows(sentence):
    (warning,) = read(CAUTIONS[sentence]).warnings
    assert warning.startswith(sentence)
    assert warning.endswith(("with --columns.", "missing cells as empty."))


def test_ordinary_and_merely_correlated_columns_give_no_warning():
    assert read(ABC.assign(d=A + 1e-3 * NOISE, e=np.arange(50) ** 2)).warnings == ()


@given(rows=st.integers(0, 300), limit=st.integers(1, 120))
def test_thinned_rows_are_distinct_evenly_spaced_and_keep_the_ends(rows, limit):
    index = thin(np.zeros((rows, 2)), limit)
    assert len(index) == min(rows, limit)
    if len(index) > 1:
        assert (index[0], index[-1]) == (0, rows - 1)
        assert 1 <= np.diff(index).min() <= np.diff(index).max() <= np.diff(index).min() + 1
    with pytest.raises(SettingError, match="limit is 0"):
        thin(VALUES, 0)


def test_importing_the_module_loads_no_reader():
    code = "import sys, vi_vs_mcmc.data; print(*{'pyarrow', 'narwhals', 'pandas', 'jax'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "\n"

"""Csv files as CmdStan writes them become the posterior that their columns name."""

import numpy as np
import pytest

import vi_vs_mcmc as vm
from vi_vs_mcmc import posterior, stan

SAMPLE = """\
# stan_version_major = 2
# model = schools_model
# method = sample (Default)
#   sample
#     num_samples = 4
#     num_warmup = {warmup}
#     save_warmup = {saved}
#     thin = 2
#         engine = nuts (Default)
#             max_depth = 10 (Default)
# id = {chain}
lp__,accept_stat__,stepsize__,treedepth__,n_leapfrog__,divergent__,energy__,mu,L.1.1,L.2.1,L.1.2,L.2.2
{early}# Adaptation terminated
# Step size = 0.8
# Diagonal elements of inverse mass matrix:
# 0.5, 0.5
-1,0.9,0.8,2,3,0,7.1,{chain}.1,11,21,12,22
-2,0.9,0.8,2,3,0,7.2,{chain}.2,11,21,12,22
-3,0.9,0.8,3,7,1,7.3,{chain}.3,11,21,12,-2.2e1
-4,0.9,0.8,2,3,0,7.4,{chain}.4,11,21,12,22
#
#  Elapsed Time: 0.001 seconds (Warm-up)
#                0.002 seconds (Total)
"""
VARIATIONAL = """\
# method = variational
#   variational
#     algorithm = meanfield (Default)
lp__,log_p__,log_g__,mu,theta.1,theta.2
# Stepsize adaptation complete.
# eta = 1
0,0,0,100,200,300
0,-5,-1,1,2,3
0,-5,-1,1.5,2.5,3.5
0,-5,-1,1,2,3
0,-5,-1,1,2,3
"""


def write(folder, chains=(1, 2), *, warmup=3, saved="0 (Default)", early="") -> None:
    for chain in chains:
        text = SAMPLE.format(chain=chain, warmup=warmup, saved=saved, early=early)
        (folder / f"run-{chain}.csv").write_text(text)


def test_chains_are_read_with_their_arrays_and_the_samplers_statistics(tmp_path):
    write(tmp_path, (10, 2))
    (tmp_path / "comparison.csv").write_text("method,parameter\n")
    for source in (tmp_path, tmp_path / "run-*.csv", str(tmp_path / "run-?*.csv")):
        tree = posterior.read(source, "mcmc")
        draws, stats = tree["posterior"], tree["sample_stats"]
        assert set(draws.data_vars) == {"mu", "L"}
        np.testing.assert_array_equal(draws["mu"], [[2.1, 2.2, 2.3, 2.4], [10.1, 10.2, 10.3, 10.4]])  # 2 before 10
        np.testing.assert_array_equal(draws["L"][0, 0], [[11, 12], [21, 22]])
        assert draws["L"].dims == ("chain", "draw", "L_dim_0", "L_dim_1")
        assert draws["L"][1, 2, 1, 1] == -22
        assert stats["diverging"].sum() == 2
        assert set(stats.data_vars) == set(stan.KNOWN.values())
        assert tree.attrs["max_tree_depth"] == 10


def test_one_file_is_one_chain(tmp_path):
    write(tmp_path)
    assert posterior.read(tmp_path / "run-2.csv", "mcmc")["posterior"].sizes["chain"] == 1


def test_warm_up_that_was_saved_is_no_draw(tmp_path):
    early = "".join(f"-9,0.9,0.8,2,3,0,7.1,{i},0,0,0,0\n" for i in (50, 60))  # 3 of warm-up thinned by 2: 1st and 3rd
    write(tmp_path, saved="true", early=early)
    assert posterior.read(tmp_path, "mcmc")["posterior"]["mu"].shape == (2, 4)
    assert posterior.read(tmp_path, "mcmc")["posterior"]["mu"].max() < 3


def test_the_first_row_of_the_variational_method_is_its_mean_and_no_draw(tmp_path):
    (tmp_path / "advi.csv").write_text(VARIATIONAL)
    tree = posterior.read(tmp_path / "advi.csv", "vi")
    np.testing.assert_array_equal(tree["posterior"]["theta"][0, :2], [[2, 3], [2.5, 3.5]])
    assert tree["posterior"]["mu"].max() == 1.5
    assert "sample_stats" not in tree.children  # log p and log g lack constants, and no ELBO comes of them


def test_stans_files_are_judged_as_any_posterior(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "nuts").mkdir()
    head = "# method = sample (Default)\nlp__,divergent__,mu,theta.1,theta.2\n"
    for chain in range(4):
        rows = [f"0,0,{a!r},{b!r},{c!r}\n" for a, b, c in rng.standard_normal((500, 3)).tolist()]
        (tmp_path / "nuts" / f"run_{chain}.csv").write_text(head + "".join(rows))
    rows = [f"0,0,0,{a!r},{b!r},{c!r}\n" for a, b, c in (0.5 * rng.standard_normal((1000, 3))).tolist()]
    (tmp_path / "advi.csv").write_text(VARIATIONAL.split("0,0,0")[0] + "0,0,0,0,0,0\n" + "".join(rows))
    found = vm.check(tmp_path / "advi.csv", tmp_path / "nuts" / "run_*.csv")
    assert found.summary["verdicts"]["advi"]["verdict"] == ["overconfident"]
    assert list(found.table["parameter"]) == ["mu", "theta[0]", "theta[1]"]
    assert found.summary["reference"]["method"] == "run"
    assert found.summary["reference"]["divergences"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "is no csv file of Stan's"),
        ("# method = sample\na,b\n1,2\n", "is no csv file of Stan's"),
        (SAMPLE.format(chain=1, warmup=3, saved=0, early="").replace("12,22", "12"), "it may be cut off"),
        ("# method = sample\nlp__,a\n1\n2\n", "2 names and 1 columns"),
        ("# method = sample\nlp__,a\n1,x\n", "cannot be read as a csv file of Stan's"),
        ("# method = sample\nlp__,a\n", "want 4 draws or more"),
        ("# method = optimize\nlp__,a\n1,2\n", "method optimize, which draws from no posterior"),
        ("", "is no csv file of Stan's"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(vm.DataError, match=words):
        vm.check(tmp_path / "a.csv", tmp_path / "a.csv")


def test_chains_that_do_not_belong_together_are_named(tmp_path):
    write(tmp_path)
    text = (tmp_path / "run-2.csv").read_text()
    (tmp_path / "run-2.csv").write_text(text.replace("-4,0.9,0.8,2,3,0,7.4,2.4,11,21,12,22\n", ""))
    with pytest.raises(vm.DataError, match=r"run-2\.csv has 3 draws and .*run-1\.csv has 4"):
        posterior.read(tmp_path, "mcmc")
    (tmp_path / "run-2.csv").write_text(VARIATIONAL)
    with pytest.raises(vm.DataError, match="has other columns than"):
        posterior.read(tmp_path, "mcmc")


def test_a_folder_or_pattern_without_such_files_is_no_posterior(tmp_path):
    (tmp_path / "comparison.csv").write_text("method,parameter\n")
    with pytest.raises(vm.DataError, match="is a folder; want a posterior"):
        posterior.read(tmp_path, "vi")
    with pytest.raises(vm.DataError, match="no file"):
        posterior.read(tmp_path / "run-*.csv", "vi")


HEAD = "# method = sample\n# num_samples = 5\n# thin = 1\n"
ROWS = "".join(f"0,0.{i},1.{i},2.{7 * i % 10}\n" for i in range(5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "lp__,a,b,c\n" + ROWS[:-14], "4 draws and its header promises 5"),
        (HEAD + "# save_warmup = 1\nlp__,a,b,c\n" + ROWS, "num_warmup = nothing in its header"),
        (
            HEAD.replace("thin = 1", "thin = 0") + "lp__,a,b,c\n" + ROWS,
            "thin = 0 in its header; want a whole number, 1",
        ),
        (HEAD.replace("thin = 1", "thin = x") + "lp__,a,b,c\n" + ROWS, "thin = x in its header"),
        (HEAD + "# max_depth = ten\nlp__,a,b,c\n" + ROWS, "max_depth = ten in its header"),
        (HEAD + "lp__,a,a.1,c\n" + ROWS, "a with unequal numbers of indices"),
        (HEAD + "lp__,a.1,a.1.2,c\n" + ROWS, "a with unequal numbers of indices"),
        (HEAD + "lp__,a.1,a.99999999999,c\n" + ROWS, "2 entries of a, which are no whole array"),
        (HEAD + "lp__,a.0,a.1,c\n" + ROWS, "its indices want to begin at 1"),
        (HEAD + "lp__,a.1,a.1,c\n" + ROWS, "the column a.1 twice"),
        (HEAD + "lp__,a/b,b,c\n" + ROWS, "a parameter called 'a/b'"),
        (HEAD + "lp__,chain,b,c\n" + ROWS, "a parameter called 'chain'"),
        (HEAD + "lp__,,b,c\n" + ROWS, "a parameter called ''"),
        (HEAD + "lp__,a.1,a.2,a_dim_0\n" + ROWS, "called 'a_dim_0', as a dimension of another"),
    ],
)
def test_a_damaged_or_odd_file_gives_a_sentence(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(vm.DataError, match=words):
        posterior.read(tmp_path / "a.csv", "mcmc")


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path):
    (tmp_path / "a.csv").write_text(HEAD + "lp__,a,b,c\n" + ROWS, encoding="utf-8-sig")
    (tmp_path / "folder.csv").mkdir()
    assert posterior.read(tmp_path, "mcmc")["posterior"]["a"].shape == (1, 5)


def test_a_chain_that_is_there_twice_is_refused(tmp_path):
    for chain in (1, 2):
        (tmp_path / f"run-{chain}.csv").write_text(HEAD + "lp__,a,b,c\n" + ROWS)
    for vi, mcmc in ((tmp_path / "run-1.csv", tmp_path), (tmp_path, tmp_path / "run-1.csv")):
        with pytest.raises(vm.DataError, match="chains 0 and 1 are the same draws"):
            vm.check(vi, mcmc)

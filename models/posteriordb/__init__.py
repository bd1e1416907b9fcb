"""posteriordb: posteriors with known answers, as NumPyro programs of our own.

    posteriordb(posterior="kidiq-kidscore_interaction")   a problem
    reference("kidiq-kidscore_interaction")               its means, sds and quantiles, with their errors
    CATALOGUE                                             every entry by name

Likelihoods, priors and the names of parameters are those of the Stan models; the programs are written anew. Each is held against
an independent log density and against Stan's draws (`tests/models/test_posteriordb.py`). To add a posterior: an entry in a
family's table, or a file with a new family and its name in `catalogue.FAMILIES`; then
`benchmarks/posteriordb_data.py` writes data and reference.

All that have reference draws are here, but for `mcycle_gp-accel_gp`.

What is known: of each posterior the means, sds and quantiles of 10 000 draws that Stan made and posteriordb checked, with their
errors. There is no closed form to run: NUTS, svi:GUIDE, laplace, dadvi and pathfinder apply.

Source: Magnusson, Torgander, Buerkner, Zhang, Carpenter and Vehtari (2024), arXiv 2407.04967; stan-dev/posteriordb 28f8d3d,
BSD-3-Clause (`data/LICENCE.md`).
"""

from .catalogue import CATALOGUE
from .problem import CHOICES, posteriordb
from .reference import Known, reference

__all__ = ["CATALOGUE", "CHOICES", "Known", "posteriordb", "reference"]

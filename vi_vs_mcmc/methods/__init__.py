from vi_vs_mcmc.methods.cavi import CAVI
from vi_vs_mcmc.methods.nuts import NUTS

"""Hosts, networks and servers that fail under a load, and what clients see of it: programs that judge, not only measure.

`failover` is made of `lab.failover_lib`, `faults` of `lab.faults_lib`; what they share with the benchmarks (processes, a
client, the load, figures) is `bench.lib`.
"""

import sys
from pathlib import Path

# Whoever has found this has found `tests`; `bench` lies beside that.
sys.path.insert(1, str(Path(__file__).resolve().parents[2]))

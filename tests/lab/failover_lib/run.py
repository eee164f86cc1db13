"""One run: a lab of one variant, one scenario, and the figures of it."""

import json
import time
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from lab.failover_lib.judge import Figures
from lab.failover_lib.judge import judge
from lab.failover_lib.lab import Lab
from lab.failover_lib.proxy import Coremux
from lab.failover_lib.scenario import Scenario
from lab.failover_lib.scenario import WARM_UP_S
from lab.failover_lib.variant import CLIENTS
from lab.failover_lib.variant import Variant


@dataclass(frozen=True)
class Result:
    """The figures of a run, by client host. `seconds`: what the run took."""

    variant: str
    scenario: str
    by_clients: dict[str, Figures]
    seconds: float

    @property
    def figures(self) -> Figures:
        """Those of the clients that every scenario has."""
        return self.by_clients[next(iter(CLIENTS))]


def run_once(variant: Variant, scenario: Scenario, coremux: Coremux | None, folder: Path, number: int) -> Result:
    """Builds the lab, lets the scenario happen, judges. Raises Failed when there are no figures."""
    begun = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with Lab(variant, coremux, folder, number, not scenario.by_file, scenario.min_replicas) as lab:
        lab.start_load(scenario.both)
        time.sleep(WARM_UP_S)
        scenario.act(lab)
        end_at = time.monotonic()
        records = [load.stop() for load in lab.loads]
        end = lab.read_all()
        by_clients = {
            name: judge(record, lab.marks[-1][1], end_at, lab.keys.cold, end)
            for name, record in zip(CLIENTS, records, strict=False)
        }
    result = Result(variant.name, scenario.name, by_clients, time.monotonic() - begun)
    content = {"marks": lab.marks, "end": end_at, **asdict(result)}
    (folder / "figures.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return result

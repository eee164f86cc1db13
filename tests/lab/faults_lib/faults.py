"""Which faults each kind of server has. To add one, write its row in one of the three tables."""

from collections.abc import Mapping

from bench.lib.database import MEMCACHED
from bench.lib.database import REDIS
from lab.faults_lib import memcached_faults
from lab.faults_lib import redis_faults
from lab.faults_lib.stage import Fault

# By the name of the kind.
FAULTS: Mapping[str, Mapping[str, Fault]] = {
    REDIS.name: redis_faults.FAULTS,
    MEMCACHED.name: memcached_faults.FAULTS,
}

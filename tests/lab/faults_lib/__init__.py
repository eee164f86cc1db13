"""What `tests/lab/faults` is made of. Names point down only; what it shares with the benchmarks is `bench.lib`:

    main                    the program: the order of things, the report, the exit code
    faults                  the tables of faults, by kind of server: redis_faults, memcached_faults, network_faults
    stage                   three servers, of which one can be made to fail
    gate, trace             figures become verdicts; what the load has seen, counted
    relay, namespace        what hurts
"""

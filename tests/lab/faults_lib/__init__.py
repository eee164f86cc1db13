"""What `tests/lab/faults` is made of. Names point down only; what it shares with the benchmarks is `bench.lib`:

    main                    the program: the order of things, the report, the exit code
    stage                   servers, proxy, load, and the table of faults
    gate, trace             figures become verdicts; what the load has seen, counted
    relay, namespace        what hurts
"""

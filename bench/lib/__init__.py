"""What the programs of `bench/` are made of, and what `tests/lab` shares with them.

Names point down only:

    compare, memory, tail, soak                                       the programs
    cli, measure, report, plot                                        their parts
    gate, memory_gate, tail_gate, soak_gate                           figures become verdicts
    trend
    homes, open_load, load, crowd, burst, slow_readers, churn         what loads
    contender, coremux_binary                                         what is measured
    servers, verdict
    summary, cpu, machine, process, resp, rss                         readings and processes; figures
    point, keyspace, errors
"""

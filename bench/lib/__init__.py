"""What the programs of `bench/` are made of.

Names point down only:

    compare, memory, tail, faults, soak                               the programs
    cli, measure, fault_stage, report, plot                           their parts
    gate, memory_gate, tail_gate, fault_gate, soak_gate               figures become verdicts
    trace, trend
    homes, open_load, load, crowd, burst, slow_readers, churn         what loads
    relay, namespace                                                  what hurts
    contender, coremux_binary                                         what is measured
    servers, verdict
    summary, cpu, machine, process, resp, rss                         readings and processes; figures
    point, keyspace, errors
"""

"""What the programs of `bench/` are made of.

Names point down only:

    compare, memory, tail                                             the programs
    cli, measure, gate, memory_gate, tail_gate, report, plot          their parts
    homes, open_load, load, crowd, burst                              what loads
    contender, coremux_binary                                         what is measured
    servers, verdict
    summary, cpu, machine, process, resp, rss                         readings and processes; figures
    point, keyspace, errors
"""

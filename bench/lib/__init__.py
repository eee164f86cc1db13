"""What `bench/compare`, `bench/memory` and `bench/plot` are made of.

Names point down only:

    compare, memory                                        the two programs
    cli, measure, gate, memory_gate, report, plot          their parts
    contender, coremux_binary, load, crowd, burst          what is measured, and what loads it
    servers, verdict
    summary, cpu, machine, process, resp, rss              readings and processes; figures
    point, keyspace, errors
"""

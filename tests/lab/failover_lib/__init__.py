"""What `tests/lab/failover` is made of: six hosts as network namespaces, real programs on them, clients, and a judge.

Names point down only; what it shares with the benchmarks comes from `bench.lib`:

    main                                    the program
    gate, report                            targets; tables and JSON
    run, scenario                           one run; what is done to the lab while clients work
    lab                                     six hosts with everything on them
    variant, redis, vrrp, proxy             what the hosts are given: the table of variants; programs
    load, judge                             the clients' side; what came of it
    client                                  runs inside a client's namespace, as a program of its own
    host, network, wait                     namespaces, processes, waiting
"""

"""What `bench/compare`, `bench/memory` and `bench/plot` are made of.

Names point down only: compare, memory -> measure, report, gate, plot -> contender, servers, load ->
summary, point, cpu, machine, process, resp, verdict, errors.
"""

"""The parts of Benchmarks/bench.py: processes, contestants, workloads, special measurements, reports."""

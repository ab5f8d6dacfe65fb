"""Published latencies, one pack a target; NOTICE says whose they are. Made by benchmarks/make_latency_packs.py."""

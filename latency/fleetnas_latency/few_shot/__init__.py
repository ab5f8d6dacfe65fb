"""The few-shot latency model: what a runtime executes, robustly fitted, with a prior borrowed from other devices."""

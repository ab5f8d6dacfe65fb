"""Search spaces: architectures as data, the one graph each becomes, what it costs, and how it is written out.

Names live in the modules: ``registry.space`` finds a space, ``cost`` counts, ``emit_onnx`` writes ONNX,
``build`` (the only one that imports torch) makes a trainable module.
"""

__all__: list[str] = []

"""How a space writes down its graph: nodes in order, grouped into blocks, shapes tracked."""

__all__ = ["GraphBuilder", "Tensor"]

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a node gives: ``channels`` square maps with a side of ``size_px``, batch 1."""

    name: str
    channels: int
    size_px: int


class GraphBuilder:
    """Collects nodes in topological order; every node belongs to the block that is open.

    Each method adds one node named ``"<block name>.<name>"`` and returns its output.
    """

    def __init__(self, resolution_px: int, channels: int = 3) -> None:
        self.input = Tensor(INPUT, channels, resolution_px)
        self._nodes: list[Node] = []
        self._names: set[str] = {INPUT}
        self._blocks: list[Operator] = []
        self._open = ""

    @contextmanager
    def block(self, operator: Operator, name: str) -> Iterator[None]:
        """Opens a block and closes it at the end of the ``with``; blocks do not nest.

        Args:
            operator: What the latency table learns the block as; equal blocks must give equal operators.
            name: Prefix of its nodes' names, e.g. ``"stage2.block0"``.
        """
        if self._open:
            raise InvalidArgumentError(
                f"block '{name}' was opened inside block '{self._open}': close it first."
            )
        self._blocks.append(operator)
        self._open = name
        try:
            yield
        finally:
            self._open = ""

    def conv(
        self,
        name: str,
        source: Tensor,
        out_channels: int,
        *,
        kernel_px: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation = Activation.NONE,
        batch_norm: bool = True,
        bias: bool = False,
    ) -> Tensor:
        """A convolution padded by ``kernel_px // 2`` on each side."""
        if source.channels % groups or out_channels % groups:
            raise InvalidArgumentError(
                f"'{name}' has {groups} groups, which divides {source.channels} or {out_channels} channels "
                "with a remainder."
            )
        operator = Operator(
            OperatorKind.CONV,
            source.channels,
            out_channels,
            source.size_px,
            kernel_px=kernel_px,
            stride=stride,
            padding_px=kernel_px // 2,
            groups=groups,
            activation=activation,
            batch_norm=batch_norm,
            bias=bias,
        )
        return self._add(name, operator, source)

    def depthwise(
        self, name: str, source: Tensor, *, kernel_px: int, stride: int, activation: Activation
    ) -> Tensor:
        """A depthwise convolution with batch normalisation."""
        return self.conv(
            name,
            source,
            source.channels,
            kernel_px=kernel_px,
            stride=stride,
            groups=source.channels,
            activation=activation,
        )

    def linear(self, name: str, source: Tensor, out_features: int) -> Tensor:
        """A fully connected layer with bias on a 1 x 1 map."""
        if source.size_px != 1:
            raise InvalidArgumentError(
                f"'{name}' is linear but '{source.name}' has a side of {source.size_px} px: pool it first."
            )
        return self._add(
            name, Operator(OperatorKind.LINEAR, source.channels, out_features, 1, bias=True), source
        )

    def global_average_pool(self, name: str, source: Tensor) -> Tensor:
        operator = Operator(
            OperatorKind.GLOBAL_AVERAGE_POOL,
            source.channels,
            source.channels,
            source.size_px,
            kernel_px=source.size_px,
        )
        return self._add(name, operator, source)

    def pool(
        self,
        name: str,
        source: Tensor,
        *,
        kind: OperatorKind,
        kernel_px: int,
        stride: int = 1,
        padding_px: int | None = None,
    ) -> Tensor:
        """AVERAGE_POOL (padding not counted in the mean) or MAX_POOL, padded by ``kernel_px // 2`` if not said."""
        if kind not in (OperatorKind.AVERAGE_POOL, OperatorKind.MAX_POOL):
            raise InvalidArgumentError(f"'{name}' pools with '{kind}': use average_pool or max_pool.")
        operator = Operator(
            kind,
            source.channels,
            source.channels,
            source.size_px,
            kernel_px=kernel_px,
            stride=stride,
            padding_px=kernel_px // 2 if padding_px is None else padding_px,
        )
        return self._add(name, operator, source)

    def batch_norm(self, name: str, source: Tensor, *, activation: Activation) -> Tensor:
        """A batch normalisation of its own: after a sum there is no convolution to fold it into."""
        operator = Operator(
            OperatorKind.BATCH_NORM,
            source.channels,
            source.channels,
            source.size_px,
            activation=activation,
            batch_norm=True,
        )
        return self._add(name, operator, source)

    def channel_shuffle(self, name: str, source: Tensor, *, groups: int) -> Tensor:
        """Channel ``g * (channels / groups) + i`` becomes channel ``i * groups + g``."""
        if source.channels % groups:
            raise InvalidArgumentError(
                f"'{name}' shuffles {source.channels} channels in {groups} groups: the division leaves a remainder."
            )
        operator = Operator(
            OperatorKind.CHANNEL_SHUFFLE, source.channels, source.channels, source.size_px, groups=groups
        )
        return self._add(name, operator, source)

    def zero(self, name: str, source: Tensor) -> Tensor:
        """Zeros in the shape of ``source``, for a cell without a path."""
        return self._add(
            name, Operator(OperatorKind.ZERO, source.channels, source.channels, source.size_px), source
        )

    def activation(self, name: str, source: Tensor, activation: Activation) -> Tensor:
        """A pointwise function that no convolution carries."""
        operator = Operator(
            OperatorKind.ACTIVATION, source.channels, source.channels, source.size_px, activation=activation
        )
        return self._add(name, operator, source)

    def add(
        self, name: str, left: Tensor, right: Tensor, *, activation: Activation = Activation.NONE
    ) -> Tensor:
        """The sum of two tensors of one shape."""
        if (left.channels, left.size_px) != (right.channels, right.size_px):
            raise InvalidArgumentError(
                f"'{name}' adds {left.channels} x {left.size_px} px and {right.channels} x {right.size_px} px: "
                "the shapes must be equal."
            )
        operator = Operator(
            OperatorKind.ADD, left.channels, left.channels, left.size_px, activation=activation
        )
        return self._add(name, operator, left, right)

    def multiply(self, name: str, left: Tensor, scale: Tensor) -> Tensor:
        """``left`` times one factor a channel (``scale`` is a 1 x 1 map)."""
        if scale.size_px != 1 or scale.channels != left.channels:
            raise InvalidArgumentError(
                f"'{name}' multiplies {left.channels} channels by {scale.channels} x {scale.size_px} px: "
                f"the scale must be {left.channels} x 1 px."
            )
        operator = Operator(OperatorKind.MULTIPLY, left.channels, left.channels, left.size_px)
        return self._add(name, operator, left, scale)

    def build(self) -> Graph:
        """The finished graph; the node added last is the output."""
        if not self._nodes:
            raise InvalidArgumentError("the graph has no node: add some before build().")
        shape = (self.input.channels, self.input.size_px, self.input.size_px)
        return Graph(shape, tuple(self._nodes), tuple(self._blocks))

    def _add(self, name: str, operator: Operator, *sources: Tensor) -> Tensor:
        if not self._open:
            raise InvalidArgumentError(
                f"node '{name}' is outside every block: use `with builder.block(...)`."
            )
        full_name = f"{self._open}.{name}"
        if full_name in self._names:
            raise InvalidArgumentError(f"node '{full_name}' exists already: names must differ.")
        for source in sources:
            if source.name not in self._names:
                raise InvalidArgumentError(f"node '{full_name}' reads '{source.name}', which is not here.")
        out_px = operator.out_px
        if out_px < 1:
            raise InvalidArgumentError(
                f"node '{full_name}' would have a side of {out_px} px: the input of {operator.in_px} px is "
                f"smaller than the kernel of {operator.kernel_px} px."
            )
        self._names.add(full_name)
        inputs = tuple(source.name for source in sources)
        self._nodes.append(Node(full_name, operator, inputs, len(self._blocks) - 1))
        return Tensor(full_name, operator.out_channels, out_px)

"""A baseline is the options that it declares and the part that makes its interactions; all else is said here."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any, ClassVar, cast, get_type_hints

import torch
from torch import Tensor, nn

from qnn_models.models.baselines.parts.mlp import Branch
from qnn_models.models.baselines.parts.options import Embedded, WithNormedMLP
from qnn_models.models.baselines.parts.start import start_values
from qnn_models.models.network import CTRModel, Layout

__all__ = ["Baseline", "Branched", "NetworkPair", "ShallowAndDeep"]


class Baseline(CTRModel):
    """A model that declares its options and makes its modules from them.

    A subclass has a frozen dataclass `Options`, whose fields are the keyword arguments of its constructor, and the method
    `_make`. The signature that `inspect` sees is that of a constructor written out: names, types and defaults. The class's
    docstring tells of the options that are its own; those of the shapes that it extends are told there (`parts.options`).

    Args:
        layout: the data set's fields.
        seed: seed of all start values; drawn from torch's global generator when left out.
        options: the fields of `Options`.
    """

    Options: ClassVar[type[Embedded]] = Embedded
    options: Embedded

    def __init__(self, layout: Layout, *, seed: int | None = None, **options: Any) -> None:
        declared = self.Options(**options)
        super().__init__(layout, embedding_dim=self._columns(declared.embedding_dim), seed=seed)
        self.options = declared
        self._make(seed)
        self._start(seed)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        made = cls.__init__ is Baseline.__init__ or hasattr(cls.__init__, "__signature__")
        if made:  # one that a subclass wrote out speaks for itself, and for its heirs
            cls.__init__ = _constructor(cls)  # type: ignore[method-assign]

    @property
    def embedded_dim(self) -> int:
        """Width d = f · e of all embedded fields together, other columns of the table not counted."""
        return self.embedding.num_fields * self.options.embedding_dim

    @staticmethod
    def _columns(embedding_dim: int) -> int:
        """Columns of the one table."""
        return embedding_dim

    @abstractmethod
    def _make(self, seed: int | None) -> None:
        """Make the model's own modules; only what draws its own start values needs the seed."""

    def _start(self, seed: int | None) -> None:
        """Draw the start values of what `_make` made."""
        start_values(self, seed)


def _constructor(kind: type[Baseline]) -> Callable[..., None]:
    """A constructor that shows the options of a class; the one that it inherits, in the end `Baseline`'s, does the work."""

    def __init__(self: Baseline, layout: Layout, **given: Any) -> None:  # noqa: N807  (it is one)
        super(kind, self).__init__(layout, **given)

    entry, types = inspect.Parameter, get_type_hints(kind.Options)
    shown = [
        entry("self", entry.POSITIONAL_OR_KEYWORD),
        entry("layout", entry.POSITIONAL_OR_KEYWORD, annotation=Layout),
    ]
    for option in fields(kind.Options):
        default = entry.empty if option.default is MISSING else option.default
        shown.append(entry(option.name, entry.KEYWORD_ONLY, default=default, annotation=types[option.name]))
    shown.append(entry("seed", entry.KEYWORD_ONLY, default=None, annotation=int | None))
    __init__.__annotations__ = {parameter.name: parameter.annotation for parameter in shown[1:]} | {"return": None}
    __init__.__qualname__, __init__.__module__ = f"{kind.__qualname__}.__init__", kind.__module__
    cast(Any, __init__).__signature__ = inspect.Signature(shown, return_annotation=None)
    return __init__


class Branched(Baseline):
    """``logit = shallow(v) + Σ_k branch_k(x_k)``; two passes share all but the branches, as only these are stochastic.

    Linear maps on a concatenation are sums of linear maps, so this is also the form of models whose papers concatenate their
    parts before the last map.
    """

    @abstractmethod
    def _branches(self, embedded: Tensor) -> Sequence[tuple[Branch, Tensor]]:
        """The stochastic parts and what each of them reads, ``(batch, width)``."""

    def _shallow(self, embedded: Tensor) -> Tensor | None:
        """Logits ``(batch,)`` of the part without dropout, from ``(batch, fields, columns)``; None where there is none."""
        return None

    def _joined(self, shallow: Tensor | None, logits: Sequence[Tensor]) -> Tensor:
        """Logits ``(batch,)`` from the shallow ones and those ``(batch, 1)`` of the branches."""
        parts = [logit.squeeze(-1) for logit in logits]
        return sum(parts[1:], parts[0]) if shallow is None else sum(parts, shallow)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        shallow = self._shallow(embedded)
        return self._joined(shallow, [branch(x) for branch, x in self._branches(embedded)])

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes."""
        shallow = self._shallow(embedded)
        pairs = [branch.forward_pair(x) for branch, x in self._branches(embedded)]
        first, second = (self._joined(shallow, logits) for logits in zip(*pairs, strict=True))
        return first, second


class ShallowAndDeep(Branched):
    """A shallow part beside a deep one that reads all embeddings: ``logit = shallow(v) + deep(v_1 ‖ ... ‖ v_f)``."""

    Options = WithNormedMLP
    options: WithNormedMLP

    def _make(self, seed: int | None) -> None:
        """Make the deep part, the last of the modules."""
        self.deep = self.options.deep_part(self.embedding.num_fields, seed)

    def _deep_input(self, embedded: Tensor) -> Tensor:
        """What the deep part reads."""
        return embedded.flatten(1)

    def _branches(self, embedded: Tensor) -> Sequence[tuple[Branch, Tensor]]:
        """The deep part alone."""
        return [(self.deep, self._deep_input(embedded))]


class NetworkPair(Baseline):
    """One or two networks on all embeddings, each with a linear head; the logit is the heads' mean.

    A pair of passes is the pair of networks, or of stochastic passes where there is one network.
    """

    heads: nn.ModuleList

    @abstractmethod
    def _networks(self) -> nn.ModuleList:
        """The networks, ``(batch, d) -> (batch, d)``."""

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``: the mean over the networks."""
        return torch.stack(self._logits(embedded)).mean(0)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the two networks; of two stochastic passes where there is one."""
        if len(self.heads) == 1:
            return self._passes(embedded)
        first, second = self._logits(embedded)
        return first, second

    def _passes(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes of the one network; where they can share work, a model overrides this."""
        return self._logits(embedded)[0], self._logits(embedded)[0]

    def _logits(self, embedded: Tensor) -> list[Tensor]:
        x = embedded.flatten(1)
        return [head(network(x)).squeeze(-1) for network, head in zip(self._networks(), self.heads, strict=True)]

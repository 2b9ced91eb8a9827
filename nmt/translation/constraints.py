"""The constraints on the translations of a translator.

To add a constraint that a request can ask for, add its field to `Request` and to `Segment` (nmt/translation/request.py)
and write the constraint in this module. Then add the function that builds it to CONSTRAINTS.
"""

from collections.abc import Callable

import numpy as np

from nmt.search.constraints import Constraint, ForbiddenTokens
from nmt.tokenizers.base import Tokenizer
from nmt.translation.request import Segment
from nmt.types import EOS


def forbid_tags(target: Tokenizer) -> ForbiddenTokens:
    """Build the constraint against tags and all other tokens that the tokenizer cannot produce from text."""
    special = np.arange(target.size) < EOS  # these tokens are never candidates
    return ForbiddenTokens(np.flatnonzero(~target.producible & ~special).tolist())


CONSTRAINTS: tuple[Callable[[Tokenizer], Constraint[Segment]], ...] = (forbid_tags,)
"""The functions that build the constraints on every translation, from the tokenizer of the target side. The bounds of
the length are not among them. They are part of every search."""


def build_constraints(target: Tokenizer) -> list[Constraint[Segment]]:
    """Build all constraints for the tokenizer of the target side."""
    return [build(target) for build in CONSTRAINTS]

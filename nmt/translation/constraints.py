"""The constraints that a translator applies to its translations.

To add a constraint that a request can ask for, first add a field to `Request` and to `Segment`
(nmt/translation/request.py). Then, in this module, write the constraint and a function that builds it. Finally, add the
function to CONSTRAINTS. The native library applies only `forbid_tags`: pass what it needs to know in
nmt/translation/native_search.py, or search requests that ask for the constraint with PyTorch.
"""

from collections.abc import Callable

from nmt.search.constraints import Constraint, ForbiddenTokens
from nmt.tokenizers.base import Tokenizer
from nmt.translation.request import Segment
from nmt.types import EOS


def forbid_tags(target: Tokenizer) -> ForbiddenTokens:
    """Build the constraint that forbids tags and all other tokens that the tokenizer never produces from text."""
    return ForbiddenTokens([token for token in range(EOS, target.size) if token not in target.producible])


CONSTRAINTS: tuple[Callable[[Tokenizer], Constraint[Segment]], ...] = (forbid_tags,)
"""The functions that build the constraints of a translator from the tokenizer of the target side. The limits of the
length of a translation are not included, because every search applies them."""


def build_constraints(target: Tokenizer) -> list[Constraint[Segment]]:
    """Build all constraints for the tokenizer of the target side."""
    return [build(target) for build in CONSTRAINTS]

"""nmt: recurrent neural machine translation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.translate import Translation, Translator

__version__ = "0.1.0"
__all__ = ["Translation", "Translator", "__version__"]


def __getattr__(name: str) -> Any:
    """The public names, imported when first used, so that `import nmt` and `--help` do not wait for torch."""
    if name in ("Translation", "Translator"):
        from nmt import translate

        return getattr(translate, name)
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")

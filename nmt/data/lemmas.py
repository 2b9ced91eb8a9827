"""The dictionary forms of words, by simplemma."""

import contextlib
import functools
from collections.abc import Sequence

from nmt.errors import MachineError
from nmt.metrics.languages import language_code


class Lemmatizer:
    """Finds the dictionary forms of words. In languages that simplemma does not know, a word is its own form.

    >>> lemmatizer = Lemmatizer(["de"])
    >>> lemmatizer.find("Häuser")
    'Haus'

    Args:
        languages: the languages of the words.

    Raises:
        MachineError: simplemma is not installed.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        try:
            import simplemma
        except ImportError as error:
            raise MachineError(
                "data.term_share: needs the package simplemma; install nmt[terms], or leave the key out"
            ) from error
        self._languages: tuple[str, ...] = ()
        for code in dict.fromkeys(map(language_code, languages)):
            with contextlib.suppress(ValueError):  # simplemma does not know the language
                simplemma.is_known("a", code)
                self._languages += (code,)

    @functools.lru_cache(maxsize=100_000)  # noqa: B019 - there is one lemmatizer in a process
    def find(self, word: str) -> str:
        """Return the dictionary form of a word."""
        if not self._languages:
            return word
        import simplemma

        lemma: str = simplemma.lemmatize(word, lang=self._languages)
        return lemma

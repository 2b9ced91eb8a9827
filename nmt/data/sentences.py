"""Division of text into sentences."""

from nmt.data.sentence_marks import INNER_END


def split_sentences(text: str, language: str) -> list[str]:
    """Split a text into sentences. Each sentence includes the white space after it. Joined, they are the text again.

    Args:
        text: a line of text.
        language: the code of the language, such as de or zh-TW. An unknown language has the rules of English.
    """
    if not INNER_END.search(text):
        return [text] if text else []
    from nmt.data.sentence_ends import divide_text  # imported here because few lines need it

    return divide_text(text, language)

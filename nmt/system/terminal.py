"""Text that is safe to show in a terminal."""


def escape_controls(text: str) -> str:
    r"""Replace control characters and characters without a glyph by escapes such as \x1b. Tabs are kept.

    A terminal would execute control characters, which may come from the name of a file or from a damaged file.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\t" else ascii(character)[1:-1] for character in text
    )

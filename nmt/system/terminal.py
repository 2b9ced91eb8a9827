"""A function that makes text safe to show in a terminal."""


def escape_controls(text: str) -> str:
    r"""Replace control characters and other unprintable characters by escapes such as \x1b. Tabs are kept.

    A terminal would execute the control characters. They can come from the name of a file or from a damaged file.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\t" else ascii(character)[1:-1] for character in text
    )

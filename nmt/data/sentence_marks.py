"""Marks at the ends of sentences, as regular expressions."""

import re

CLOSING = r"""["'”’»›)\]}」』】）]*"""
# A place where a sentence may end within a text. Text without such a place is one sentence.
INNER_END = re.compile(rf"[.!?;…‥·։؟۔]{CLOSING}\s+\S|[^\x00-\xff]{CLOSING}\s*\S")

"""The table of the rules by which nmt-train chooses settings, for the guide to training."""

import re
from pathlib import Path

from nmt.training.choose.rules import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "train.md"
_TABLE = re.compile(r"^\| pairs, up to .*?\n\n", re.MULTILINE | re.DOTALL)


def format_rules() -> str:
    """Return the table in Markdown, followed by an empty line."""
    heading = (
        "pairs, up to",
        "vocabulary",
        "embeddings",
        "encoder",
        "decoder",
        "dropout",
        "batch in tokens",
        "learning rate",
        "epochs",
        "measured on",
    )
    rows = [heading, ("---",) * len(heading)]
    for rule in RULES:
        size = f"{rule.joint:,}" if rule.joint == rule.apart else f"{rule.joint:,}, or {rule.apart:,} each"
        rows.append(
            (
                f"{rule.pairs:,}" if rule is not RULES[-1] else "more",
                size,
                f"{rule.embedding:,}",
                f"{rule.encoder:,}",
                f"{rule.decoder:,}",
                f"{rule.dropout:g}",
                f"{rule.batch:,}",
                f"{rule.rate:g}",
                f"{rule.epochs}",
                rule.evidence or "not yet",
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n"


def main() -> None:
    """Replace the table in docs/howto/train.md."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: format_rules(), text), encoding="utf-8")
    print(f"wrote the table of rules into {PAGE.relative_to(PAGE.parents[2])}")

"""Format figures as Markdown: a table for each setting, and a table of start-up times."""

from collections.abc import Sequence
from statistics import median

from tabulate import tabulate

from translate_benchmark.figures import Figures, Rounds, Setting

TORCH = "import torch"  # start-up times are compared with this command
NOTES = """- sentences/s and tokens/s are without start and loading; tokens are target pieces and one end of sentence
  each. The whole process is start, loading and translation of the test set. Medians, with the least and the most of the
  rounds in brackets.
- "times" is how many times as fast as that contender, without start and loading: the median of the ratios, each from
  one round.
- Memory is the peak (VmHWM) of the whole process."""


def format_figures(figures: Figures) -> str:
    """Format all tables with their notes."""
    tables = [f"### {setting.title}\n\n{format_speeds(figures, setting)}" for setting in figures.settings()]
    if figures.starts:
        tables.append(f"### Start to first translated line\n\n{format_starts(figures)}")
    signature = f"- BLEU: sacrebleu, {figures.signature}"
    return "\n\n".join([f"{figures.machine}. {figures.test_set}.", *tables, f"{NOTES}\n{signature}"])


def format_speeds(figures: Figures, setting: Setting) -> str:
    """Format BLEU, speeds, and the ratios to other toolkits at one setting. Without others, the first is the base."""
    contenders = figures.of(setting)
    others = [name for name, rounds in contenders.items() if not rounds.ours] or list(contenders)[:1]
    heads = ["contender", "BLEU", "sentences/s", "tokens/s", "whole process, sentences/s", "MiB"]
    rows = [_speeds_row(name, rounds, [contenders[other] for other in others]) for name, rounds in contenders.items()]
    heads += [f"times {other}" for other in others]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def _speeds_row(name: str, rounds: Rounds, others: Sequence[Rounds]) -> list[str]:
    bleu, tokens, peak = (rounds.median(each) for each in ("bleu", "tokens_per_second", "peak_mib"))
    return [
        name,
        "" if bleu is None else f"{bleu:.2f}",
        _spread(rounds.values("sentences_per_second")),
        "" if tokens is None else format_number(tokens),
        _spread(rounds.values("whole_sentences_per_second")),
        "" if peak is None else f"{peak:.0f}",
        *(f"{rounds.times(other):.2f}" if rounds.ours and other is not rounds else "" for other in others),
    ]


def format_starts(figures: Figures) -> str:
    """Format the seconds to the first translated line, also as a multiple of the time to import torch."""
    seconds: dict[str, list[float]] = {}
    for start in figures.starts:
        seconds.setdefault(start.contender, []).append(start.seconds)
    torch = seconds.get(TORCH, [])
    rows = [[name, _spread(values), _times(values, torch)] for name, values in seconds.items()]
    return tabulate(rows, ["process", "seconds", f"times {TORCH}"], tablefmt="github", disable_numparse=True)


def _times(values: Sequence[float], others: Sequence[float]) -> str:
    ratios = [a / b for a, b in zip(values, others, strict=False)]
    return f"{median(ratios):.2f}" if ratios else ""


def _spread(values: Sequence[float]) -> str:
    """Format the median, and the range in parentheses."""
    if not values:
        return ""
    return f"**{format_number(median(values))}** ({format_number(min(values))} to {format_number(max(values))})"


def format_number(value: float) -> str:
    """Format a number with at least three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

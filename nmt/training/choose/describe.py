"""The lines that describe a choice: the text, the settings and their reasons, time and memory."""

from pathlib import Path

from nmt.metrics.standard import MEASURES
from nmt.training.choose.choice import Choice
from nmt.training.choose.measure import SideMeasures
from nmt.training.choose.rules import RULES, find_rule, shares_vocabulary


def describe_choice(choice: Choice, recipe: Path) -> list[str]:
    """Return five lines: the text, the network, the length of training, time and memory, and the path of the recipe."""
    return [
        f"text: {_describe_text(choice, recipe.parent / 'data')}",
        f"network: {_describe_network(choice)}",
        f"training: {_describe_training(choice)}",
        f"time: {_describe_time(choice)}",
        f"recipe: {recipe} (nmt-train {recipe} --output DIR repeats this training)",
    ]


def _describe_text(choice: Choice, folder: Path) -> str:
    data, measures, read = choice.config.data, choice.measures, choice.parts.read
    sides = " and ".join(
        f"{language} ({_describe_side(side)})"
        for language, side in zip((data.source_language, data.target_language), measures.sides, strict=True)
    )
    reasons = ", ".join(report.reasons for report in (read, measures.report) if report and report.reasons)
    texts = [f"{measures.pairs:,} training pairs, {sides}", f"left out: {reasons}" if reasons else "nothing left out"]
    names = {"valid": "for validation", "test": "as the test set"}
    sizes = [f"{size:,} {names[name]}" for name, size in choice.parts.sizes.items() if name in names]
    if sizes:
        texts.append(f"held out: {' and '.join(sizes)} ({folder})")
    return "; ".join(texts)


def _describe_side(side: SideMeasures) -> str:
    script = next(iter(side.scripts), None)
    letters = f", {script.capitalize()} letters" if script else ""
    return f"{side.words:,} words, {side.types:,} different{letters}"


def _describe_network(choice: Choice) -> str:
    model, tokenizer = choice.config.model, choice.config.tokenizer
    sizes = f"{model.encoder_layers} + {model.decoder_layers} layers of {model.encoder_size} and {model.decoder_size}"
    rates = " and ".join(f"{rate:g}" for rate in dict.fromkeys((model.embedding_dropout, model.output_dropout)))
    pieces = f"{tokenizer.vocabulary_size:,} {'characters' if tokenizer.kind == 'characters' else 'tokens'}"
    vocabulary = f"{'one vocabulary' if tokenizer.joint else 'two vocabularies'} of {pieces}"
    if tokenizer.joint == shares_vocabulary(choice.measures) and not choice.parts.start:  # or the user has chosen
        letters = "share letters" if tokenizer.joint else "have different letters"
        vocabulary += f", because the sides {letters}"
    start = choice.parts.start
    if choice.small:
        reason = "because there is too little time for a larger one"
    elif start:
        kept = f"a new vocabulary, because {start.gap}" if start.gap else "its vocabulary"
        reason = f"continued from {start.folder}, with {kept}"
    else:
        reason = f"as for {_describe_rule(choice)}"
    return (
        f"{model.cell.upper()}, {sizes} units, dropout {rates}, {choice.speed.parameters:,} parameters, {reason}; "
        f"{vocabulary}"
    )


def _describe_rule(choice: Choice) -> str:
    rule = find_rule(choice.measures.pairs)
    row = RULES.index(rule)
    if row == len(RULES) - 1:
        return f"texts of more than {RULES[row - 1].pairs:,} pairs"
    return f"texts of up to {rule.pairs:,} pairs"


def _describe_training(choice: Choice) -> str:
    config, length = choice.config, choice.length
    epochs = length.updates / choice.speed.epoch
    metric = MEASURES[config.validation.metric].title
    text = f"{length.updates:,} updates of {config.training.batch_tokens:,} tokens ({epochs:.3g} epochs)"
    if length.updates < choice.full:
        text += f" instead of {choice.full:,}, because of the time"
    text += f"; validated every {config.validation.every:,} updates, {metric} chooses the checkpoint"
    if config.validation.patience:
        text += f", and {config.validation.patience} validations without a gain end the training"
    return text


def _describe_time(choice: Choice) -> str:
    speed, length = choice.speed, choice.length
    seconds = speed.seconds(length.updates, length.validations)
    memory = f"; memory: {speed.memory / 1e9:.1f} GB, as measured" if speed.memory else ""
    return f"about {format_time(seconds)}, {speed.update:.2g} s for an update, as measured{memory}"


def format_time(seconds: float) -> str:
    """Format a time roughly, for example "40 seconds", "25 minutes" or "3.5 hours"."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

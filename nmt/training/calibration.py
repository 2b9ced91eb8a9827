"""The calibration of a finished model: confidences in words that agree with the validation text."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from nmt.checkpoint.configuration import load_folder_config, store_validation_settings
from nmt.config.schema import Config
from nmt.metrics.calibration import compute_calibration_error, group_confidences
from nmt.search.options import SearchOptions
from nmt.system.machine import cores
from nmt.training.validation import read_validation_sets
from nmt.translation.confidence import Calibration, compute_logit, match_words
from nmt.translation.translator import Translator

logger = logging.getLogger(__name__)

_FEWEST_WORDS = 500  # fewer words do not determine a calibration
_STEPS = 100
_DECAY = 1e-6  # keeps the calibration finite if all words are right


def add_calibration(folder: Path, config: Config) -> None:
    """Fit `validation.confidence_scale` and `confidence_offset` to the validation text, and store them in a model.

    Nothing is changed if the model has a calibration already, if PyTorch translates, which does not return the
    probabilities of tokens, or if the validation text has too few words.

    Raises:
        UserError: the model or the validation text cannot be read.
    """
    if Calibration.of_config(load_folder_config(folder).validation) != Calibration():
        return
    translator = Translator.load(folder, threads=config.training.threads or cores())
    if not translator.is_native:
        return
    probabilities, right = list[float](), list[bool]()
    for each in read_validation_sets(config, translator.tokenizers.normalizers):
        options = SearchOptions(attention=True)
        split = translator.data.single_sentences  # the default, but an explicit value logs no message
        found = translator.nbest(each.sources, options, to=each.to, tag=each.tag, split=split, protect=False)
        language = translator.target_language(each.to)
        for (best, *_), pair in zip(found, each.pairs, strict=True):
            probabilities += [word.probability for word in best.words]
            right += match_words(best, pair.target, language)
    calibration = fit_calibration(probabilities, right)
    if calibration is None:
        return
    before = compute_calibration_error(group_confidences(probabilities, right))
    confidences = [calibration.compute_confidence(probability) for probability in probabilities]
    after = compute_calibration_error(group_confidences(confidences, right))
    logger.info(
        "confidence: expected calibration error %.3f -> %.3f on the %s words of the validation text",
        before,
        after,
        f"{len(right):,}",
    )
    store_validation_settings(
        folder, confidence_scale=round(calibration.scale, 4), confidence_offset=round(calibration.offset, 4)
    )


def fit_calibration(probabilities: Sequence[float], right: Sequence[bool]) -> Calibration | None:
    """Fit a calibration by maximum likelihood (Platt 1999).

    Args:
        probabilities: the probability of each word.
        right: whether the human translation has it, too.

    Returns:
        The calibration, or None if there are too few words, or if a larger probability does not make a word more likely
        to be right.
    """
    if len(right) < _FEWEST_WORDS:
        return None
    logits = torch.tensor([compute_logit(probability) for probability in probabilities], dtype=torch.float64)  # (N,)
    labels = torch.tensor(right, dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def compute_loss() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (
            binary_cross_entropy_with_logits(weights[0] * logits + weights[1], labels) + _DECAY * weights.square().sum()
        )
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    scale, offset = weights.tolist()
    return Calibration(scale=scale, offset=offset) if 0 < scale < 100 and abs(offset) < 100 else None

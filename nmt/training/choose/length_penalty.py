"""The choice of the length penalty of a finished model.

A model that has learned from little text is unsure of every word. Beam search then prefers short translations, because
they have fewer words to be unsure of. A larger exponent of the length makes up for this.
"""

import logging
from pathlib import Path

from nmt.checkpoint.configuration import load_folder_config, store_validation_settings
from nmt.checkpoint.run_folder import find_model_folder
from nmt.config.schema import Config
from nmt.metrics.standard import BLEU, Auto, ChrF
from nmt.search.options import SearchOptions
from nmt.system.machine import cores
from nmt.training.validation import read_validation_sets, score_sets
from nmt.translation.translator import Translator

logger = logging.getLogger(__name__)

_USUAL, _OTHERS = 1.0, (1.5, 2.0)
_LEAST_GAIN = 0.5  # in BLEU or chrF2; a smaller gain is likely to be chance


def choose_length_penalty(output: Path, config: Config) -> None:
    """Choose `validation.length_penalty` on the validation text, and store it in the best model of a training run.

    The score is that of `validation.metric: auto`: BLEU if it is at least 10, and chrF2 otherwise. Nothing is chosen if
    the configuration of the model has a value.

    Raises:
        UserError: the model or the validation text cannot be read.
    """
    folder = find_model_folder(output)
    model_config = load_folder_config(folder)
    if model_config.validation.length_penalty is not None:
        return
    translator = Translator.load(folder, threads=config.training.threads or cores())
    sets = read_validation_sets(config, translator.tokenizers.normalizers)
    split = model_config.data.single_sentences  # the default, but an explicit value logs no message

    def score(length_penalty: float) -> dict[str, float]:
        options = SearchOptions(length_penalty=length_penalty)
        hypotheses = [
            translator.translate(each.sources, options, to=each.to, tag=each.tag, split=split) for each in sets
        ]
        return score_sets(sets, hypotheses, (BLEU.name, ChrF.name))

    scores = {length_penalty: score(length_penalty) for length_penalty in (_USUAL, *_OTHERS)}
    metric = BLEU if scores[_USUAL][BLEU.name] >= Auto.least_bleu else ChrF
    best = max(scores, key=lambda length_penalty: scores[length_penalty][metric.name])
    if scores[best][metric.name] < scores[_USUAL][metric.name] + _LEAST_GAIN:
        best = _USUAL
    told = ", ".join(f"{metric.format(figures[metric.name])} with {value:g}" for value, figures in scores.items())
    logger.info("length penalty: %g, because %s is %s", best, metric.title, told)
    store_validation_settings(folder, length_penalty=best)

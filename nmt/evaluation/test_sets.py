"""A reader of the public test sets that sacreBLEU provides, for example the test sets of WMT."""

import difflib

from sacrebleu import DATASETS, get_reference_files, get_source_file

from nmt.data.text_files import read_lines
from nmt.errors import DataError, MachineError
from nmt.system.files import reason


def read_test_set(name: str, language_pair: str) -> tuple[list[str], list[list[str]]]:
    """Read a test set, which sacreBLEU downloads when it is first used.

    Args:
        name: the name of the test set, for example `wmt17`. The command `sacrebleu --list` prints all names.
        language_pair: the source and the target language, for example `en-de`.

    Returns:
        The source lines, and the sets of references.

    Raises:
        DataError: the test set or the language pair is unknown.
        MachineError: the test set cannot be downloaded.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=3) or ["wmt17", "wmt24"]
        raise DataError(
            f"{name}: sacrebleu has no such test set; it has {', '.join(near)} and others (sacrebleu --list)"
        )
    pairs = DATASETS[name].langpairs
    if language_pair not in pairs:
        raise DataError(f"{name}: no language pair {language_pair!r}; this test set has {', '.join(pairs)}")
    try:
        source, references = get_source_file(name, language_pair), get_reference_files(name, language_pair)
    except (Exception, SystemExit) as error:  # sacrebleu exits on a wrong checksum, and lets errors of archives pass
        raise MachineError(
            f"{name}: sacrebleu cannot download this test set ({reason(error)}); "
            "check the network, or give the files as --source and --reference"
        ) from error
    return list(read_lines(source)), [list(read_lines(path)) for path in references]

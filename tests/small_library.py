"""A small library with the layout of the real one, so that tests of compiling take a second."""

from pathlib import Path

ENGINE = """
#ifndef VALUE
#define VALUE 3
#endif
#define JOIN(a, b) a##b
#define NAME(variant) JOIN(value_, variant)
int NAME(NMT_VARIANT)(void) { return VALUE; }
"""
LIBRARY = """
#include "small.h"
int value_plain(void);
#ifdef NMT_HAVE_AVX2
int value_avx2(void);
#endif
#ifdef NMT_HAVE_NEON
int value_neon(void);
#endif
API int value(void) {
#if defined(NMT_HAVE_AVX2)
    return value_avx2();
#elif defined(NMT_HAVE_NEON)
    return value_neon();
#else
    return value_plain();
#endif
}
API double power(double x) { return pow(x, 1.5); }
"""
HEADER = """
#include <math.h>
#define API __attribute__((visibility("default")))
"""


def write_sources(folder: Path) -> Path:
    """Write the C files into a new folder and return it."""
    folder.mkdir()
    (folder / "engine.c").write_text(ENGINE, encoding="utf-8")
    (folder / "library.c").write_text(LIBRARY, encoding="utf-8")
    (folder / "small.h").write_text(HEADER, encoding="utf-8")
    return folder

/* Texts: arrays of code points, arrays of bytes, and UTF-8 between them. */

#ifndef NMT_LETTERS_H
#define NMT_LETTERS_H

#include "nmt.h"

#include <stdlib.h>
#include <string.h>

#define REPLACEMENT 0xFFFD
#define MAX_LETTER 0x10FFFF

/* The functions below that take `status` do nothing if it is not NMT_OK, and set it to NMT_NO_MEMORY if memory cannot
   be allocated. A sequence of calls needs a single check at its end. */

typedef struct {
    uint32_t *letters;
    size_t count, capacity;
} Text;

typedef struct {
    char *data;
    size_t count, capacity;
} Bytes;

/* Return memory for `count` items of a size, in which the items of `data` are kept. */
static void *enlarge(void *data, size_t *capacity, size_t count, size_t item, int *status) {
    if (*status || count <= *capacity) return data;
    size_t larger = count + count / 2 + 64;
    void *moved = count > SIZE_MAX / 4 / item ? NULL : realloc(data, larger * item);
    if (!moved) {
        *status = NMT_NO_MEMORY;
        return data;
    }
    *capacity = larger;
    return moved;
}

static void add_letter(Text *text, uint32_t letter, int *status) {
    text->letters = enlarge(text->letters, &text->capacity, text->count + 1, sizeof *text->letters, status);
    if (!*status) text->letters[text->count++] = letter;
}

static void add_letters(Text *text, const uint32_t *letters, size_t count, int *status) {
    text->letters = enlarge(text->letters, &text->capacity, text->count + count, sizeof *text->letters, status);
    if (*status || !count) return;
    memcpy(text->letters + text->count, letters, count * sizeof *letters);
    text->count += count;
}

static void add_bytes(Bytes *bytes, const char *data, size_t count, int *status) {
    bytes->data = enlarge(bytes->data, &bytes->capacity, bytes->count + count, 1, status);
    if (*status || !count) return;
    memcpy(bytes->data + bytes->count, data, count);
    bytes->count += count;
}

static void swap_texts(Text *one, Text *other) {
    Text swapped = *one;
    *one = *other;
    *other = swapped;
}

/* Write a code point in UTF-8. Return the number of bytes, at most 4. */
static int write_letter(uint32_t letter, char *out) {
    if (letter < 0x80) {
        out[0] = (char)letter;
        return 1;
    }
    int count = letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
    for (int i = count - 1; i; i--, letter >>= 6) out[i] = (char)(0x80 | (letter & 0x3F));
    out[0] = (char)((0xF00 >> count) | letter);
    return count;
}

/* Read the code point at the beginning of some bytes in UTF-8. Return its number of bytes, or 0 if there is none. */
static int read_letter(const char *data, size_t size, uint32_t *letter) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)data;
    if (!size) return 0;
    unsigned lead = bytes[0];
    int count = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
    if (!count || (size_t)count > size) return 0;
    uint32_t found = count == 1 ? lead : lead & (0x7F >> count);
    for (int i = 1; i < count; i++) {
        if ((bytes[i] & 0xC0) != 0x80) return 0;
        found = found << 6 | (bytes[i] & 0x3F);
    }
    if (found < lowest[count] || found > MAX_LETTER || (found >= 0xD800 && found < 0xE000)) return 0;
    *letter = found;
    return count;
}

/* Append a code point in UTF-8. */
static void add_utf8(Bytes *bytes, uint32_t letter, int *status) {
    char spelled[4];
    add_bytes(bytes, spelled, (size_t)write_letter(letter, spelled), status);
}

static void encode_utf8(const uint32_t *letters, size_t count, Bytes *bytes, int *status) {
    bytes->count = 0;
    for (size_t i = 0; i < count; i++) add_utf8(bytes, letters[i], status);
}

/* Append the code points of some bytes in UTF-8. Sets NMT_BAD_TEXT if the bytes are not UTF-8. */
static void add_decoded(Text *text, const char *data, size_t size, int *status) {
    for (size_t place = 0; place < size && !*status;) {
        uint32_t letter;
        int count = read_letter(data + place, size - place, &letter);
        if (!count) {
            *status = NMT_BAD_TEXT;
            return;
        }
        add_letter(text, letter, status);
        place += (size_t)count;
    }
}

#endif

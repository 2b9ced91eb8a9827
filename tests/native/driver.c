/* Search translations with a packed network, without Python: to run the library for other processors in an emulator.

   driver PACKED BEAM < SENTENCES

   A line of SENTENCES has the ids of a sentence, EOS last. The longest sentence comes first. The first line of the
   output is the variant in use. Each further line is the best translation of a sentence: its score and its ids. */

#include <stdio.h>
#include <stdlib.h>

#include "nmt.h"

enum { MAX_SENTENCES = 1000, MAX_IDS = 100000 };

static void fail(const char *message) {
    fprintf(stderr, "driver: %s\n", message);
    exit(1);
}

static void *read_file(const char *path, long *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail("the packed network cannot be read");
    *size = ftell(file);
    rewind(file);
    void *content = aligned_alloc(64, (size_t)(*size + 63) / 64 * 64);
    if (!content || fread(content, 1, (size_t)*size, file) != (size_t)*size) fail("the packed network cannot be read");
    fclose(file);
    return content;
}

static int32_t read_sentences(nmt_sentence *sentences, int32_t *ids) {
    int32_t count = 0, used = 0, start = 0, id;
    char end;
    while (scanf("%d%c", &id, &end) == 2) {
        if (used == MAX_IDS || count == MAX_SENTENCES) fail("the sentences are too long");
        ids[used++] = id;
        if (end != '\n') continue;
        sentences[count++] = (nmt_sentence){.ids = ids + start, .length = used - start};
        start = used;
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: driver PACKED BEAM < SENTENCES");
    static nmt_sentence sentences[MAX_SENTENCES];
    static int32_t ids[MAX_IDS];
    int32_t count = read_sentences(sentences, ids);
    nmt_options options = {.beam = atoi(argv[2]), .nbest = 1, .max_length_extra = 10, .shortlist = 1};
    options.max_length_factor = 1;
    options.length_penalty = 1;

    long size;
    void *content = read_file(argv[1], &size);
    nmt_network *network;
    nmt_hypotheses found;
    if (nmt_open(content, size, &network) != NMT_OK) fail("the packed network is damaged");
    const nmt_network *networks[] = {network};
    if (nmt_search(networks, 1, sentences, count, &options, &found) != NMT_OK) fail("the search failed");

    printf("%s\n", nmt_variant());
    for (int64_t h = 0, begin = 0; h < found.count; begin = found.ids_end[h++]) {
        printf("%.9g", found.scores[h]);
        for (int64_t i = begin; i < found.ids_end[h]; i++) printf(" %d", found.ids[i]);
        printf("\n");
    }
    nmt_free_hypotheses(&found);
    nmt_close(network);
    free(content);
    return 0;
}

/* Translate lines from standard input to standard output: translate MODEL [LANGUAGE] < LINES > TRANSLATIONS */

#include <nmt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, int status) {
    fprintf(stderr, "translate: %s: %s\n", what, nmt_message(status));
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: translate MODEL [LANGUAGE] < LINES > TRANSLATIONS\n");
        return 2;
    }
    nmt_model *model;
    int status = nmt_open_model(argv[1], &model);
    if (status != NMT_OK) return fail(argv[1], status);

    nmt_translation_options options;
    nmt_set_defaults(&options);
    options.to = argc > 2 ? argv[2] : NULL;

    char *line = NULL, *translation;
    size_t capacity = 0;
    for (long number = 1; getline(&line, &capacity, stdin) >= 0; number++) {
        line[strcspn(line, "\n")] = 0;
        status = nmt_translate(model, line, &options, &translation);
        if (status != NMT_OK) {
            char place[40];
            snprintf(place, sizeof place, "line %ld", number);
            fail(place, status);
            break;
        }
        puts(translation);
        nmt_free(translation);
    }
    free(line);
    nmt_close_model(model);
    return status == NMT_OK ? 0 : 1;
}
